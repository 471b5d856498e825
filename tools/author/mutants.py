"""Mechanical mutants of graded code: small changes that nobody thought of, to see whether some check notices.

Operators come from the `cosmic-ray` library. One is our own, "call dropped": f(x, …) becomes x, and so does x.f(…).
Only code between BEGIN and END SOLUTION is changed, and neither its annotations nor the exceptions that it raises. The
operators of cosmic-ray that need arguments are left out.
"""

import ast
import random
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from autograder.source.source_text import SourceText

Maker = Callable[[], str | None]  # makes the text of the mutated file; None if its operator finds nothing to change
Sites = dict[int, list[tuple[str, Maker]]]  # offset into the text → operators that can change what starts there


@dataclass(frozen=True)
class Mutant:
    """One change.

    source: the text of the mutated file.
    line: the number of the line that changes.
    before, after: that line in the original and in the mutated file.
    """

    source: str
    line: int
    operator: str
    before: str
    after: str


def mutants(source: str, graded: list[tuple[int, int]] | None, seed: int, limit: int, per_site: int = 2) -> list[Mutant]:
    """A sample of mutants in the order of the text. All compile, no two are the same program, and none is the original.

    graded: first and last lines of what may change; None for the solutions.
    limit: at most how many there are.
    per_site: at most how many change the same place.
    SyntaxError: the source does not parse.
    """
    text = SourceText(source)
    lines = graded_lines(source) if graded is None else {n for first, last in graded for n in range(first, last + 1)}
    changeable = _Changeable(text, lines)
    sites = _library_sites(text, changeable)
    for place, makers in _dropped_calls(text, changeable).items():
        sites.setdefault(place, []).extend(makers)
    rng = random.Random(seed)
    programs = {_program(source)}
    result: list[Mutant] = []
    for place, makers in sorted(sites.items()):
        result += _mutants_at(text.line_of(place), rng.sample(makers, len(makers)), source, programs, per_site)
    return [result[i] for i in sorted(rng.sample(range(len(result)), min(limit, len(result))))]


def _mutants_at(line: int, makers: list[tuple[str, Maker]], source: str, programs: set[str | None], limit: int) -> list[Mutant]:
    """The first mutants of one place that are new programs. They are added to `programs`."""
    result: list[Mutant] = []
    for operator, make in makers:
        if len(result) == limit:
            break
        mutated = make()
        program = None if mutated is None else _program(mutated)
        if mutated is not None and program is not None and program not in programs:
            programs.add(program)
            result.append(Mutant(mutated, line, operator, *_change(source, mutated, line)))
    return result


def graded_lines(source: str) -> set[int]:
    """Line numbers between BEGIN SOLUTION and END SOLUTION. SyntaxError if the source does not parse."""
    inside, lines = False, set()
    for number, line in enumerate(SourceText(source).lines, 1):
        if line.lstrip().startswith(("# BEGIN SOLUTION", "# END SOLUTION")):
            inside = "BEGIN" in line
        elif inside:
            lines.add(number)
    return lines


class _Changeable:
    """The places of a text that may change: those in graded lines, except annotations and the exceptions that are raised."""

    def __init__(self, text: SourceText, lines: set[int]):
        self._text, self._lines = text, lines
        fixed: list[ast.stmt | ast.expr] = [node for node in ast.walk(text.tree) if isinstance(node, ast.Raise)]
        for node in ast.walk(text.tree):
            annotations = (getattr(node, name, None) for name in ("annotation", "returns"))
            fixed += [annotation for annotation in annotations if annotation is not None]
        self._fixed = [text.extent(node) for node in fixed]

    def __contains__(self, place: int) -> bool:
        return self._text.line_of(place) in self._lines and not any(start <= place < end for start, end in self._fixed)


def _library_sites(text: SourceText, changeable: _Changeable) -> Sites:
    """What every operator of cosmic-ray would do. The library counts occurrences, and the count says which one is meant."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    sites: Sites = defaultdict(list)
    nodes = list(ast_nodes(get_ast(text.text)))
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(starts):
            if (place := text.starts[line - 1] + column) in changeable:
                sites[place].append((name.removeprefix("core/"), partial(mutate_code, text.text, operator, occurrence)))
    return sites


def _dropped_calls(text: SourceText, changeable: _Changeable) -> Sites:
    """A call is replaced by its first argument, a method call by its object."""
    modules = {(a.asname or a.name).partition(".")[0] for n in text.tree.body if isinstance(n, ast.Import) for a in n.names}
    modules |= {"nn", "F", "self"}
    strings = [node for node in ast.walk(text.tree) if isinstance(node, ast.JoinedStr)]
    in_strings = {node for string in strings for node in ast.walk(string)}  # Python 3.11 gives them wrong positions
    sites: Sites = defaultdict(list)
    for node in ast.walk(text.tree):
        if not isinstance(node, ast.Call) or node in in_strings or text.extent(node)[0] not in changeable:
            continue
        if (inner := _inside_call(node, modules)) is not None:
            (start, end), (inner_start, inner_end) = text.extent(node), text.extent(inner)
            edit = (start, end, text.text[inner_start:inner_end])
            sites[start].append(("CallDropped", partial(text.edited, [edit])))
    return sites


def _inside_call(call: ast.Call, modules: set[str]) -> ast.expr | None:
    """What is left of a call when it is dropped; None if it has neither an object nor a first argument."""
    if isinstance(call.func, ast.Attribute) and _root(call.func.value) not in modules:
        return call.func.value
    first = call.args[0] if call.args else None
    return None if isinstance(first, ast.Starred) else first


def _root(node: ast.expr) -> str | None:
    """The name that a chain of attributes starts with: torch in torch.nn.init."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _program(text: str) -> str | None:
    """The syntax tree of a text as a string, which is equal for equal programs; None if the text does not compile."""
    try:
        with warnings.catch_warnings(action="ignore"):  # `x is 3` is a fine mutant
            compile(text, "mutant", "exec")
        return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError):
        return None


def _change(source: str, mutated: str, line: int) -> tuple[str, str]:
    """The lines that differ, before and after, each joined to one line."""
    before, after = source.splitlines(), mutated.splitlines()
    first = next((i for i, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), line - 1)
    extra = len(after) - len(before)
    last = max(first + 1, first + 1 - extra)
    return " ".join(s.strip() for s in before[first:last]), " ".join(s.strip() for s in after[first : last + extra])
