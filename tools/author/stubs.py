"""Make students' stubs from the reference: all from BEGIN SOLUTION to END SOLUTION becomes one raise.

Everything else stays byte for byte. `# BEGIN SOLUTION a01_transformer/attention.py` marks work of an earlier assignment,
and the stub says so.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.source.source_text import Definition, SourceText
from autograder.source.stub_text import EarlierWork, Unwritten, handout_step

_BEGIN = re.compile(r"([ \t]*)# BEGIN SOLUTION(?:[ \t]+(\S+))?\s*$")
_END = re.compile(r"[ \t]*# END SOLUTION\s*$")
_WIDTH = 130  # of a line


@dataclass(frozen=True)
class _Solution:
    """A solution between its markers.

    begin, end: numbers of the lines of the markers.
    indent: the white space before the first marker.
    owner: the file of an earlier assignment that the solution belongs to. None if it belongs to this one.
    """

    begin: int
    end: int
    indent: str
    owner: str | None


def make_stub(source: str, package: str, filename: str) -> str:
    """The stub of one file.

    source: the file in the reference.
    package, filename: where the stub will lie, "a01_transformer" and "attention.py".
    ValueError: the markers are not as they should be. It names the file and the line.
    """
    text = SourceText(source)
    lines = list(text.lines)
    for solution in reversed(_solutions(text, filename)):  # from the end, so that line numbers stay right
        sentence = _sentence(text, solution, package, filename)
        new_line = "\r\n" if lines[solution.begin - 1].endswith("\r\n") else "\n"
        lines[solution.begin - 1 : solution.end] = [line + new_line for line in _raise(solution.indent, sentence)]
    stub = text.mark + "".join(lines)
    try:
        ast.parse(stub)
    except SyntaxError as error:
        raise ValueError(f"{filename}: the stub would not be Python: {error}") from None
    return stub


def stubs(root: Path) -> dict[Path, str]:
    """What every stub should be, by path. There is one for each module of the reference that holds a solution."""
    wanted = {}
    for path in sorted((root / "reference").glob("a[0-9][0-9]_*/*.py")):
        source = path.read_text(encoding="utf-8")
        if "# BEGIN SOLUTION" in source:
            wanted[root / "assignments" / path.parent.name / path.name] = make_stub(source, path.parent.name, path.name)
    return wanted


def write_stubs(root: Path) -> list[Path]:
    """Write the stubs that have changed, and return their paths."""
    wanted, changed = stubs(root), drifted(root)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return changed


def drifted(root: Path) -> list[Path]:
    """Paths of the stubs that are missing, or differ from what the reference gives."""
    return [path for path, text in stubs(root).items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def _solutions(text: SourceText, filename: str) -> list[_Solution]:
    """The solutions in the order of the file. ValueError if markers do not come in pairs."""
    solutions: list[_Solution] = []
    opened: tuple[int, re.Match[str]] | None = None
    for number, line in enumerate(text.lines, 1):
        begin, end = _BEGIN.match(line), _END.match(line)
        if begin and opened:
            raise ValueError(f"{filename}:{number}: a second BEGIN SOLUTION before the END of the one in line {opened[0]}")
        if begin:
            opened = number, begin
        elif end and opened:
            solutions.append(_Solution(opened[0], number, opened[1][1], opened[1][2]))
            opened = None
        elif end:
            raise ValueError(f"{filename}:{number}: END SOLUTION without a BEGIN")
        elif re.search(r"# *(BEGIN|END) +SOLUTION", line):
            raise ValueError(f"{filename}:{number}: a marker stands alone on its line; got {line.strip()!r}")
    if opened:
        raise ValueError(f"{filename}:{opened[0]}: BEGIN SOLUTION without an END")
    return solutions


def _sentence(text: SourceText, solution: _Solution, package: str, filename: str) -> str:
    """What the stub says in the place of a solution. ValueError if it does not end the function that it stands in."""
    name, function = _function_around(text, solution, filename)
    after = [node.lineno for node in ast.walk(function) if isinstance(node, ast.stmt) and node.lineno > solution.end]
    if after:
        raise ValueError(f"{filename}:{min(after)}: {name}() goes on after END SOLUTION, where its stub has raised")
    todo = text.lines[function.lineno : solution.begin - 1]
    steps = [step for line in todo if (step := handout_step(line))]
    try:
        if solution.owner:
            return str(EarlierWork(solution.owner, name))
        return str(Unwritten(f"{package}/{filename}", name, steps[-1] if steps else ""))
    except ValueError as error:
        raise ValueError(f"{filename}:{solution.begin}: {error}") from None


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _function_around(text: SourceText, solution: _Solution, filename: str) -> tuple[str, _Function]:
    """The innermost function that holds a solution, and its qualified name. ValueError if there is none."""
    around = [
        (name, function)
        for name, function in _functions(text.tree)
        if function.lineno < solution.begin and solution.end <= text.line_of(text.span(function)[1])
    ]
    if not around:
        raise ValueError(f"{filename}:{solution.begin}: a solution stands inside one function, as its last statements")
    return around[-1]


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, _Function]]:
    """Every function under its qualified name. An inner one comes after the one that it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _Function):
            yield prefix + node.name, node
        yield from _functions(node, f"{prefix}{node.name}." if isinstance(node, Definition) else prefix)


def _raise(indent: str, sentence: str) -> list[str]:
    """The lines of the statement that raises a sentence."""
    line = f'{indent}raise NotImplementedError("{sentence}")'
    if len(line) <= _WIDTH:
        return [line]
    return [f"{indent}raise NotImplementedError(", f'{indent}    "{sentence}"', f"{indent})"]
