"""Students' stubs from the reference, by pure subtraction: what stands between BEGIN and END SOLUTION becomes one raise.

Everything else stays byte for byte. `# BEGIN SOLUTION a01_transformer/attention.py` marks work of an earlier assignment;
its stub says so.
"""

import ast
import re
from pathlib import Path

_BEGIN = re.compile(r"^(\s*)# BEGIN SOLUTION(?:\s+(\S+))?\s*$")
_END = re.compile(r"^\s*# END SOLUTION\s*$")
_NO_STUB = {"misconceptions.py", "alternates.py"}


def make_stub(source: str, package: str, filename: str) -> str:
    """The stub of one file. ValueError with file and line when the markers are not as they should be."""
    functions = list(_functions(ast.parse(source)))
    out: list[str] = []
    begun: int | None = None
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        begin, end = _BEGIN.match(line), _END.match(line)
        if begin and begun is not None:
            raise ValueError(f"{filename}:{number}: a second BEGIN SOLUTION before the END of the one in line {begun}")
        if end and begun is None:
            raise ValueError(f"{filename}:{number}: END SOLUTION without a BEGIN")
        if begin:
            begun = number
            out.append(_raise(begin[1], _message(functions, number, out, package, filename, begin[2])))
        elif end:
            begun = None
        elif begun is None:
            out.append(line)
    if begun is not None:
        raise ValueError(f"{filename}:{begun}: BEGIN SOLUTION without an END")
    return "".join(out)


def _raise(indent: str, message: str) -> str:
    return f'{indent}raise NotImplementedError(\n{indent}    "{message}"\n{indent})\n' if len(indent) + len(message) > 90 else (
        f'{indent}raise NotImplementedError("{message}")\n')


def _message(functions: list, number: int, above: list[str], package: str, filename: str, owner: str | None) -> str:
    inside = [(end - start, name) for name, start, end in functions if start <= number <= end]
    if not inside:
        raise ValueError(f"{filename}:{number}: a solution stands inside a function, as its last statements")
    name = min(inside)[1]
    if owner:
        return f"{owner}: {name}() belongs to {owner[:3]}; finish it there or use given"
    step = next((m[0] for line in reversed(above[-12:]) if (m := re.search(r"\(handout: [^)]*\)", line))), "")
    return f"{package}/{filename}: {name}() is yours to write {step}".rstrip()


def _functions(tree: ast.AST, prefix: str = ""):
    """(qualified name, first line, last line) of every function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not isinstance(node, ast.ClassDef):
                yield prefix + node.name, node.lineno, node.end_lineno
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def stubs(root: Path) -> dict[Path, str]:
    """What every stub should be, by path."""
    found = {}
    for path in sorted((root / "reference").glob("a[0-9][0-9]_*/*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name not in _NO_STUB and "# BEGIN SOLUTION" in source:
            found[root / "assignments" / path.parent.name / path.name] = make_stub(source, path.parent.name, path.name)
    return found


def write_stubs(root: Path) -> list[Path]:
    """Write the stubs that have changed; returns their paths."""
    changed = drifted(root)
    for path in changed:
        path.write_text(stubs(root)[path], encoding="utf-8")
    return changed


def drifted(root: Path) -> list[Path]:
    """Committed stubs that differ from what the reference gives."""
    return [path for path, text in stubs(root).items() if not path.exists() or path.read_text(encoding="utf-8") != text]
