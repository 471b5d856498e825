"""Students' stubs from the reference, by pure subtraction: from BEGIN SOLUTION to END SOLUTION all becomes one raise.

Everything else stays byte for byte. `# BEGIN SOLUTION a01_transformer/attention.py` marks work of an earlier
assignment; its stub says so.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from autograder.source.source_text import Definition, SourceText
from autograder.source.stub_text import EarlierWork, Unwritten, handout_step

_BEGIN = re.compile(r"([ \t]*)# BEGIN SOLUTION(?:[ \t]+(\S+))?\s*$")
_END = re.compile(r"[ \t]*# END SOLUTION\s*$")
_WIDTH = 130


def make_stub(source: str, package: str, filename: str) -> str:
    """The stub of one file. ValueError with file and line when the markers are not as they should be."""
    text = SourceText(source)
    out = text.lines
    for begin, end, indent, owner in reversed(_regions(text, filename)):  # from the end, so that line numbers stay good
        message = _message(text, begin, end, package, filename, owner)
        new_line = "\r\n" if text.lines[begin - 1].endswith("\r\n") else "\n"
        out[begin - 1 : end] = [line + new_line for line in _raise(indent, message)]
    stub = text.mark + "".join(out)
    try:
        ast.parse(stub)
    except SyntaxError as error:
        raise ValueError(f"{filename}: the stub would not be Python: {error}") from None
    return stub


def stubs(root: Path) -> dict[Path, str]:
    """What every stub should be, by path: one for each reference module that holds a solution."""
    found = {}
    for path in sorted((root / "reference").glob("a[0-9][0-9]_*/*.py")):
        source = path.read_text(encoding="utf-8")
        if "# BEGIN SOLUTION" in source:
            found[root / "assignments" / path.parent.name / path.name] = make_stub(source, path.parent.name, path.name)
    return found


def write_stubs(root: Path) -> list[Path]:
    """Write the stubs that have changed; returns their paths."""
    wanted, changed = stubs(root), drifted(root)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return changed


def drifted(root: Path) -> list[Path]:
    """Stubs that are missing, or differ from what the reference gives."""
    return [path for path, text in stubs(root).items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def _regions(text: SourceText, filename: str) -> list[tuple[int, int, str, str | None]]:
    """Each solution: the lines of its markers, its indentation, and the file that it belongs to if an earlier one."""
    found, open_one = [], None
    for number, line in enumerate(text.lines, 1):
        begin, end = _BEGIN.match(line), _END.match(line)
        if begin and open_one:
            raise ValueError(f"{filename}:{number}: a second BEGIN SOLUTION before the END of the one in line {open_one[0]}")
        if end and not open_one:
            raise ValueError(f"{filename}:{number}: END SOLUTION without a BEGIN")
        if begin:
            open_one = number, begin[1], begin[2]
        elif end:
            found.append((open_one[0], number, *open_one[1:]))
            open_one = None
        elif re.search(r"# *(BEGIN|END) +SOLUTION", line):
            raise ValueError(f"{filename}:{number}: a marker stands alone on its line; got {line.strip()!r}")
    if open_one:
        raise ValueError(f"{filename}:{open_one[0]}: BEGIN SOLUTION without an END")
    return found


def _message(text: SourceText, begin: int, end: int, package: str, filename: str, owner: str | None) -> str:
    around = [f for f in _functions(text.tree) if f[1].lineno < begin and end <= text.line_of(text.span(f[1])[1])]
    if not around:
        raise ValueError(f"{filename}:{begin}: a solution stands inside one function, as its last statements")
    name, function = around[-1]
    after = [node.lineno for node in ast.walk(function) if isinstance(node, ast.stmt) and node.lineno > end]
    if after:
        raise ValueError(f"{filename}:{min(after)}: {name}() goes on after END SOLUTION, where its stub has raised")
    if owner:
        return str(EarlierWork(owner, name))
    steps = [step for line in text.lines[function.lineno : begin - 1] if (step := handout_step(line))]
    return str(Unwritten(f"{package}/{filename}", name, steps[-1] if steps else ""))


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function under its qualified name, inner ones after those that they stand in."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, Definition)
        if named and not isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
        yield from _functions(node, f"{prefix}{node.name}." if named else prefix)


def _raise(indent: str, message: str) -> list[str]:
    line = f'{indent}raise NotImplementedError("{message}")'
    if len(line) <= _WIDTH:
        return [line]
    return [f"{indent}raise NotImplementedError(", f'{indent}    "{message}"', f"{indent})"]
