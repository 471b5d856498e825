"""Mechanical mutants of graded code: small changes that no one thought of, to see whether some check notices.

Operators come from the `cosmic-ray` library, and one is our own, "call dropped": f(x, …) becomes x, and so does x.f(…).
Only what stands between BEGIN and END SOLUTION is changed, and of that neither annotations nor what is raised. Left
out: the operators of cosmic-ray that need arguments.
"""

import ast
import random
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from autograder.source.source_text import SourceText

Sites = dict[int, list[tuple[str, Callable[[], str | None]]]]  # place → (operator, what makes the mutated text)


@dataclass(frozen=True)
class Mutant:
    """One change. source: the whole file; line: of the change; before and after: that line."""

    source: str
    line: int
    operator: str
    before: str
    after: str


def mutants(source: str, graded: list[tuple[int, int]] | None, seed: int, limit: int, per_site: int = 2) -> list[Mutant]:
    """A seeded sample of mutants, at most `per_site` at one place and `limit` in all, in the order of the text.

    graded: first and last lines of what may change; None for the solutions. All compile; no two are alike, nor one the
    original.
    """
    text = SourceText(source)
    lines = graded_lines(source) if graded is None else {n for first, last in graded for n in range(first, last + 1)}
    open_to_change = _Open(text, lines)
    sites = _library_sites(text, open_to_change)
    for place, makers in _dropped_calls(text, open_to_change).items():
        sites[place] += makers
    chance = random.Random(seed)
    observation = {_compiled(source)}
    found: list[Mutant] = []
    for place, makers in sorted(sites.items()):
        kept = 0
        for operator, make in chance.sample(makers, len(makers)):
            if kept == per_site:
                break
            mutated = make()
            if (compiled := _compiled(mutated)) is None or compiled in observation:
                continue
            kept += 1
            observation.add(compiled)
            line = text.line_of(place)
            found.append(Mutant(mutated, line, operator, *_change(source, mutated, line)))
    return [found[i] for i in sorted(chance.sample(range(len(found)), min(limit, len(found))))]


def graded_lines(source: str) -> set[int]:
    """Line numbers between BEGIN SOLUTION and END SOLUTION."""
    inside, found = False, set()
    for number, line in enumerate(SourceText(source).lines, 1):
        if line.lstrip().startswith(("# BEGIN SOLUTION", "# END SOLUTION")):
            inside = "BEGIN" in line
        elif inside:
            found.add(number)
    return found


class _Open:
    """Which places of a text may change: those in graded lines, but for annotations and what is raised."""

    def __init__(self, text: SourceText, lines: set[int]):
        self._text, self._lines = text, lines
        closed = [n for n in ast.walk(text.tree) if isinstance(n, ast.Raise)]
        closed += [
            part
            for node in ast.walk(text.tree)
            for name in ("annotation", "returns")
            if (part := getattr(node, name, None)) is not None
        ]
        self._closed = [text.extent(node) for node in closed]

    def __contains__(self, place: int) -> bool:
        return self._text.line_of(place) in self._lines and not any(a <= place < b for a, b in self._closed)


def _library_sites(text: SourceText, open_to_change: _Open) -> Sites:
    """What every operator of cosmic-ray would do; its own count of occurrences says where."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    sites = defaultdict(list)
    nodes = list(ast_nodes(get_ast(text.text)))
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(starts):
            if (place := text.starts[line - 1] + column) in open_to_change:
                make = lambda op=operator, nth=occurrence: mutate_code(text.text, op, nth)
                sites[place].append((name.removeprefix("core/"), make))
    return sites


def _dropped_calls(text: SourceText, open_to_change: _Open) -> Sites:
    """A call gives way to its first argument, a method call to its object."""
    modules = {(a.asname or a.name).partition(".")[0] for n in text.tree.body if isinstance(n, ast.Import) for a in n.names}
    modules |= {"nn", "F", "self"}
    in_strings = {c for n in ast.walk(text.tree) if isinstance(n, ast.JoinedStr) for c in ast.walk(n)}  # misplaced in 3.11
    sites = defaultdict(list)
    for node in ast.walk(text.tree):
        if not isinstance(node, ast.Call) or node in in_strings or text.extent(node)[0] not in open_to_change:
            continue
        is_method = isinstance(node.func, ast.Attribute) and _root(node.func.value) not in modules
        inner = node.func.value if is_method else node.args[0] if node.args else None
        if inner is None or isinstance(inner, ast.Starred):
            continue
        (start, end), (inner_start, inner_end) = text.extent(node), text.extent(inner)
        edit = (start, end, text.text[inner_start:inner_end])
        sites[start].append(("CallDropped", lambda edit=edit: text.edited([edit])))
    return sites


def _root(node: ast.expr) -> str | None:
    """The name that a chain of attributes starts with: torch in torch.nn.init."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", None)


def _compiled(text: str | None) -> str | None:
    """The tree of a text as a string, to tell mutants apart; None if it does not compile."""
    try:
        with warnings.catch_warnings(action="ignore"):  # `x is 3` is a fine mutant
            compile(text, "mutant", "exec")
        return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, TypeError):
        return None


def _change(source: str, text: str, line: int) -> tuple[str, str]:
    """The lines that differ, before and after, on one line each."""
    before, after = source.splitlines(), text.splitlines()
    first = next((i for i, (x, y) in enumerate(zip(before, after, strict=False)) if x != y), line - 1)
    extra = len(after) - len(before)
    last = max(first + 1, first + 1 - extra)
    return " ".join(s.strip() for s in before[first:last]), " ".join(s.strip() for s in after[first : last + extra])
