"""What must not be published of a course: solutions, misconceptions, alternates, hidden checks, answers to sums.

It is read from `reference/` and never imported. What students' files hold as well is no secret: signatures, argument
checks, hints.
"""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import BadInput
from tools.author.stubs import stubs
from tools.release.token_stream import Stream, stream, streams


@dataclass(frozen=True)
class Secret:
    """A piece that must not be published. origin: the place that it comes from, which a finding may name."""

    origin: str
    stream: Stream
    prose: bool = False  # its names are words, so it is compared only as it stands


def secrets(root: Path, due: str = "") -> Iterator[Secret]:
    """All that must not be published of the course at `root`.

    due: the package of the assignment that is due. Its given parts and those of later ones are secret too.
    BadInput: a file of it cannot be parsed.
    """
    given = sorted((root / "assignments" / "given").rglob("*.py"))
    sealed = [path for path in given if due and path.parent.name >= due and path.parent.name != "given"]
    # Stubs as they would be made now, because a stub on disk may hold the leak that is looked for.
    fresh = list(stubs(root).values())
    for path in sealed:
        checks = _texts((root / "assignments" / path.parent.name / "tests").glob("*.py"))
        public = _statements([*fresh, *checks, *_texts(set(given) - set(sealed))])
        yield from _bodies(path.read_text(encoding="utf-8"), f"given/{path.parent.name}/{path.name}", public)
    known = _statements([*fresh, *_texts(given)])
    for folder in sorted((root / "reference").glob("a[0-9][0-9]_*")):
        of_checks = known | _statements(_texts((root / "assignments" / folder.name / "tests").glob("*.py")))
        for path in sorted(folder.rglob("*.py")):
            origin = f"reference/{path.relative_to(root / 'reference')}"
            source = path.read_text(encoding="utf-8")
            if "# BEGIN SOLUTION" in source:
                yield from _between_markers(source, origin)
            elif path.name != "__init__.py":
                yield from _bodies(source, origin, of_checks if path.parent.name == "hidden" else known)


def _texts(paths: Iterable[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


def _statements(sources: list[str]) -> set[str]:
    """The statements and the expressions of these sources, each as its syntax tree in text form."""
    nodes = (node for source in sources for node in ast.walk(_tree(source, "a stub")))
    return {ast.dump(node) for node in nodes if isinstance(node, ast.stmt | ast.expr)}


def _between_markers(source: str, origin: str) -> Iterator[Secret]:
    begun, lines = 0, source.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("# BEGIN SOLUTION"):
            begun = number
        elif line.strip() == "# END SOLUTION":
            yield from _code(f"{origin}:{begun}", lines[begun : number - 1])


def _bodies(source: str, origin: str, known: set[str]) -> Iterator[Secret]:
    """The statements of functions, without those that students' files or `given` have as well, such as super().__init__()."""
    lines = source.splitlines()
    for function in ast.walk(_tree(source, origin)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        doc = ast.get_docstring(function)
        if "/hidden/" in origin and doc:
            yield Secret(f"{origin}:{function.lineno}", stream(doc), prose=True)
        is_secret = lambda node: (
            not _refuses(node) and not known & {ast.dump(node), ast.dump(getattr(node, "value", None) or node)}
        )
        own = itertools.groupby(function.body[bool(doc) :], is_secret)
        for statements in (list(group) for new, group in own if new):
            first, last = statements[0].lineno, statements[-1].end_lineno
            yield from _code(f"{origin}:{first}", lines[first - 1 : last])


def _code(origin: str, lines: list[str]) -> Iterator[Secret]:
    text = re.sub(r"\A(\s*)return ", r"\1       ", "\n".join(lines))  # an expression is a solution wherever it stands
    for one in streams(text):
        yield Secret(origin, one)


def _tree(source: str | bytes, path: Path | str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise BadInput(
            f"{path}:{error.lineno} cannot be parsed, so nobody knows what must not be published: {error.msg}"
        ) from None


def _refuses(node: ast.stmt) -> bool:
    """Whether a statement is an argument check. That is part of the contract, which stubs and `given` state too."""
    return isinstance(node, ast.Raise) or (
        isinstance(node, ast.If | ast.For) and not node.orelse and all(_refuses(inner) for inner in node.body)
    )


def answers(root: Path) -> Iterator[tuple[str, str]]:
    """The sums done on paper: the key in by_hand.toml, and the right number."""
    for path in sorted((root / "reference").glob("a[0-9][0-9]_*/by_hand.toml")):
        yield from tomllib.loads(path.read_text(encoding="utf-8")).items()
