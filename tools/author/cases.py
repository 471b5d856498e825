"""Cases: other versions of one definition of the reference. Misconceptions are wrong, alternates are right.

A case is an ordinary function or class under a decorator that names the definition which it replaces. Files of cases are
read and never imported, because they use names of the module that they change. A file has the name of that module, and a
relative import in it is written as that module would write it.
"""

import ast
import inspect
import re
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder.source.source_text import Definition


@dataclass(frozen=True)
class Case:
    """Another version of a definition.

    kind: "misconception" or "alternate".
    target: the module and the name in it, "rope.rotate" or "attention.MultiHeadAttention.forward".
    name: the mistake or the route in a few words.
    doc: the docstring. That of a misconception is the hint.
    pitfall: its number in the handout's section.
    ask: a question that leads further.
    source: the definition with its other decorators.
    preamble: the imports and helpers of its file that it uses.
    """

    kind: str
    target: str
    name: str = ""
    doc: str = ""
    pitfall: int | None = None
    ask: str | None = None
    source: str = field(default="", repr=False)
    preamble: tuple[str, ...] = field(default=(), repr=False)

    @property
    def module(self) -> str:
        """The module that the target is in. The handout's section has the same name."""
        return self.target.partition(".")[0]

    @property
    def qualname(self) -> str:
        """The target within its module: "rotate", "MultiHeadAttention.forward"."""
        return self.target.partition(".")[2]


def misconception(target: str, pitfall: int | None = None, ask: str | None = None) -> Callable:
    """Mark a wrong version of `target` that works. Students who make the same mistake are shown its docstring.

    pitfall, ask: as in `Case`. ValueError: `target` is not a module and a name.
    """
    return _attach(_case("misconception", target, pitfall, ask))


def alternate(target: str) -> Callable:
    """Mark another right version of `target`. Its docstring names the route. ValueError: `target` is no module and name."""
    return _attach(_case("alternate", target))


def load_cases(path: Path) -> list[Case]:
    """The cases of a file, or of a folder with a file for each module. Nothing is run.

    Cases of one file keep their order, and files come in alphabetical order.
    ValueError: a case is faulty, has the name of another one, or stands in the file of another module. It names the file
    and the line.
    """
    cases: dict[str, Case] = {}
    places: dict[str, str] = {}
    for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
        for line, case in _cases_of(file):
            place = f"{file}:{line}"
            if case.name in cases:
                raise ValueError(f"{place}: there are two cases named {case.name}; the first is at {places[case.name]}")
            if path.is_dir() and case.module != file.stem:
                raise ValueError(f"{place}: {case.name} is a version of {case.target}, so it belongs in {case.module}.py")
            cases[case.name], places[case.name] = case, place
    return list(cases.values())


def _cases_of(file: Path) -> Iterator[tuple[int, Case]]:
    """The cases of one file, each with its line."""
    text = file.read_text(encoding="utf-8")
    lines, tree = text.split("\n"), ast.parse(text, filename=str(file))
    binders = [binder for statement in tree.body for binder in _binders(statement, lines)]
    for node in (statement for statement in tree.body if isinstance(statement, Definition)):
        for decorator in filter(_is_case, node.decorator_list):
            try:
                yield node.lineno, _read(node, decorator, lines, binders)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{file}:{node.lineno}: {error}") from None


def _case(kind: str, target: str, pitfall: int | None = None, ask: str | None = None) -> Case:
    if not isinstance(target, str) or not re.fullmatch(r"\w+(\.\w+)+", target):
        raise ValueError(f'a target is a module and a name in it, as in "attention.causal_mask"; got {target!r}')
    if not isinstance(pitfall, int | None) or not isinstance(ask, str | None):
        raise ValueError(f"pitfall is a number and ask a question; got {pitfall!r} and {ask!r}")
    return Case(kind, target, pitfall=pitfall, ask=ask)


def _attach(case: Case) -> Callable:
    def decorate(definition):
        doc = inspect.cleandoc(definition.__doc__ or "")
        definition.__case__ = replace(case, name=definition.__name__, doc=doc)
        return definition

    return decorate


def _is_case(decorator: ast.expr) -> bool:
    return _decorator_name(decorator) in ("misconception", "alternate")


def _decorator_name(decorator: ast.expr) -> str | None:
    """The last name of a decorator, whichever way it was imported."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)


def _read(node: Definition, decorator: ast.expr, lines: list[str], binders: list[tuple[str, str]]) -> Case:
    """The case that a decorator makes of a definition. ValueError or TypeError if the decorator is not as expected."""
    if not isinstance(decorator, ast.Call):
        raise ValueError("the decorator needs a target in parentheses")
    doc = ast.get_docstring(node)
    if not doc:
        raise ValueError(f"{node.name} needs a docstring: the mistake or the route in one sentence")
    arguments = [ast.literal_eval(argument) for argument in decorator.args]
    named = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in decorator.keywords}
    make = misconception if _decorator_name(decorator) == "misconception" else alternate
    case = make(*arguments, **named)(type(node.name, (), {"__doc__": doc})).__case__
    source = _definition(node, lines)
    preamble = _preamble(source, [(name, text) for name, text in binders if name != node.name], case.module)
    return replace(case, source=source, preamble=preamble)


def _definition(node: Definition, lines: list[str]) -> str:
    """The text of a definition at the left margin, without the decorators that make it a case."""
    pieces = [*(d for d in node.decorator_list if not _is_case(d)), node]
    return "\n".join("\n".join(lines[piece.lineno - 1 : piece.end_lineno]) for piece in pieces)


def _binders(statement: ast.stmt, lines: list[str]) -> Iterator[tuple[str, str]]:
    """The names that a top-level statement binds, each with the text that binds it. An import of the grader binds none."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        origin = "." * getattr(statement, "level", 0) + (getattr(statement, "module", None) or "")
        for alias in statement.names:
            if (origin or alias.name).split(".")[0] in ("__future__", "autograder", "tools"):
                continue
            text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            yield alias.asname or alias.name.partition(".")[0], f"from {origin} {text}" if origin else text
    elif isinstance(statement, Definition):
        yield statement.name, _definition(statement, lines)
    else:
        text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, text


def _preamble(source: str, binders: list[tuple[str, str]], module: str) -> tuple[str, ...]:
    """What must stand before `source` for its names to be known: imports and helpers, and what those use in turn.

    An import from the module that the case changes is left out, because the name is defined there.
    """
    own = re.compile(rf"from (\.|(reference\.)?a\d\d_\w+\.){module} import ")
    pending, needed = names_looked_up(source), set()
    while pending:
        found = [text for name, text in binders if name in pending and text not in needed and not own.match(text)]
        needed.update(found)
        pending = set().union(*map(names_looked_up, found))
    return tuple(dict.fromkeys(text for _, text in binders if text in needed))  # in the order of the file


def names_looked_up(source: str) -> set[str]:
    """The names that a piece of code looks up in its module, when it is run or when it is called."""
    pending, found = [symtable.symtable(source, "case", "exec")], set()
    while pending:
        table = pending.pop()
        top = table.get_type() == "module"
        found |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
        pending += table.get_children()
    return found
