"""Other versions of one definition of the reference, kept as data: misconceptions are wrong, alternates right.

A case is an ordinary function or class under a decorator that names what it stands for. Files of cases are read, never
imported: they lean on names of the module that they change, and they have nothing to run of their own. A file has the
name of that module, and a relative import in it is written as that module would write it.
"""

import ast
import inspect
import re
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """Another version of `target`, a module and a name in it: "rope.rotate", "attention.MultiHeadAttention.forward".

    kind: "misconception" or "alternate"; name: the mistake or the route in a few words; doc: the docstring, for a
    misconception the hint; pitfall: its number in the handout's section; ask: a question that leads on.
    source: the definition with its other decorators; preamble: the imports and helpers of its file that it uses.
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
        """The module that the target is in; the handout's section has the same name."""
        return self.target.partition(".")[0]

    @property
    def qualname(self) -> str:
        """The target within its module: "rotate", "MultiHeadAttention.forward"."""
        return self.target.partition(".")[2]


def misconception(target: str, pitfall: int | None = None, ask: str | None = None) -> Callable:
    """A working wrong version of `target`; its docstring says what is wrong, and is shown to those who do the same."""
    return _attach(_case("misconception", target, pitfall, ask))


def alternate(target: str) -> Callable:
    """Another right version of `target`, by another route; its docstring names the route."""
    return _attach(_case("alternate", target))


def load_cases(path: Path) -> list[Case]:
    """The cases of a file, or of a folder that has a file for each module; nothing is run.

    Cases of one file keep their order, and files come in that of the alphabet. ValueError with file and line for a case
    that is faulty, has the name of another one, or stands in another module's file of the folder.
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
    for node in tree.body:
        for decorator in filter(_is_case, getattr(node, "decorator_list", ())):
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


def _read(node: ast.stmt, decorator: ast.expr, lines: list[str], binders: list[tuple[str, str]]) -> Case:
    if not isinstance(decorator, ast.Call):
        raise ValueError("the decorator needs a target in parentheses")
    doc = ast.get_docstring(node)
    if not doc:
        raise ValueError(f"{node.name} needs a docstring: the mistake or the route in one sentence")
    arguments = [ast.literal_eval(argument) for argument in decorator.args]
    named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
    decorate = {"misconception": misconception, "alternate": alternate}[_decorator_name(decorator)](*arguments, **named)
    case = decorate(type(node.name, (), {"__doc__": doc})).__case__
    source = _definition(node, lines)
    preamble = _preamble(source, [(name, text) for name, text in binders if name != node.name], case.module)
    return replace(case, source=source, preamble=preamble)


def _definition(node: ast.stmt, lines: list[str]) -> str:
    """The text of a definition at the left margin, with its decorators but those that make it a case."""
    kept = [d for d in node.decorator_list if not _is_case(d)]
    spans = [(d.lineno, d.end_lineno) for d in kept] + [(node.lineno, node.end_lineno)]
    return "\n".join("\n".join(lines[first - 1 : last]) for first, last in spans)


def _binders(statement: ast.stmt, lines: list[str]) -> Iterator[tuple[str, str]]:
    """The names that a top-level statement binds, each with the text that binds it: one import, one helper."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        origin = "." * getattr(statement, "level", 0) + (getattr(statement, "module", None) or "")
        for alias in statement.names:
            if (origin or alias.name).split(".")[0] in ("__future__", "autograder", "tools"):
                continue
            text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            yield alias.asname or alias.name.partition(".")[0], f"from {origin} {text}" if origin else text
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name, _definition(statement, lines)
    else:
        text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, text


def _preamble(source: str, binders: list[tuple[str, str]], module: str) -> tuple[str, ...]:
    """What must stand before `source` for its names to be known: imports and helpers, and what those use in turn.

    An import from the module that the case changes is left out: there the name is at home.
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
