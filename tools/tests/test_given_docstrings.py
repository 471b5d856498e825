"""The working parts in `given` say what they raise, as the parts that students write do.

A function raises what stands in its body, or in the body of its counterpart in the reference. Its docstring names each of
these exceptions, or points at another function ("Errors as in `row_shift`"). For `__init__` and `__post_init__`, the
docstring of the class counts.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.assignment import Course

Functions = dict[str, tuple[ast.FunctionDef, str]]  # qualified name → (function, the docstring that speaks for it)

CONSTRUCTORS = ("__init__", "__post_init__")
PENDING: tuple[str, ...] = ()
COURSE = Course.here()
PACKAGES = sorted(p for p in COURSE.given.iterdir() if (p / "__init__.py").exists() and p.name not in PENDING)


def functions_of(source: str) -> Functions:
    """Functions and methods of a module, without those that stand inside another function."""
    return {name: (function, doc) for name, function, doc in _walk(ast.parse(source), "", "")}


def _walk(parent: ast.AST, prefix: str, class_doc: str) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield from _walk(node, f"{prefix}{node.name}.", ast.get_docstring(node) or "")
        elif isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node, class_doc if node.name in CONSTRUCTORS else ast.get_docstring(node) or ""


def is_public(name: str) -> bool:
    """Whether a qualified name is for callers; constructors are, other names with a leading underscore are not."""
    return all(not part.startswith("_") or part in CONSTRUCTORS for part in name.split("."))


def raised_by(function: ast.FunctionDef, functions: Functions) -> set[str]:
    """Names of the exceptions that a function raises, itself or through private functions of its module."""
    names = {exception for node in ast.walk(function) if isinstance(node, ast.Raise) and (exception := _exception(node))}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("_"):
            others = {name: entry for name, entry in functions.items() if name != node.func.id}  # so that recursion ends
            if node.func.id in functions:
                names |= raised_by(functions[node.func.id][0], others)
    return names - {"NotImplementedError"}


def _exception(node: ast.Raise) -> str | None:
    target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return target.id if isinstance(target, ast.Name) and target.id[0].isupper() else None


def unnamed_errors(given: str, reference: str) -> list[str]:
    """The errors that public functions of `given` raise, there or in the reference, and that no docstring names."""
    functions, counterparts = functions_of(given), functions_of(reference)
    missing = []
    for name, (function, doc) in functions.items():
        exceptions = raised_by(function, functions)
        if name in counterparts:
            exceptions |= raised_by(counterparts[name][0], counterparts)
        if is_public(name) and "Errors as in `" not in doc:
            missing += [f"{name}: {exception}" for exception in sorted(exceptions) if exception not in doc]
    return missing


def modules(package: Path) -> Iterator[tuple[str, str, str]]:
    """Name, source, and source of the counterpart in the reference, of each module of a package of `given`."""
    for path in sorted(package.glob("*.py")):
        counterpart = COURSE.reference / package.name / path.name
        yield path.name, path.read_text(encoding="utf-8"), counterpart.read_text(encoding="utf-8") if counterpart.exists() else ""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_public_functions_of_given_name_the_errors_they_raise(package):
    assert [
        f"{module} {line}" for module, given, reference in modules(package) for line in unnamed_errors(given, reference)
    ] == []


GIVEN = '''
class Table:
    """A table. ValueError: it is empty."""

    def __init__(self, rows):
        _check(rows)

    def row(self, i):
        """Row i."""
        raise IndexError(i)

def _check(rows):
    if not rows:
        raise ValueError("empty")

def first(rows):
    """The first row."""
    _check(rows)

def last(rows):
    """The last row. Errors as in `first`."""
    _check(rows)

def middle(rows):
    return rows[1]
'''


def test_a_docstring_that_names_no_error_is_found():
    assert unnamed_errors(GIVEN, "") == ["Table.row: IndexError", "first: ValueError"]
    assert unnamed_errors(GIVEN.replace("The first row.", "The first row. ValueError: there is none."), "") == [
        "Table.row: IndexError"
    ]


def test_errors_of_the_reference_count():
    reference = (
        'def middle(rows):\n    """The middle row. ValueError: there are fewer than three."""\n    raise ValueError("too few")\n'
    )
    assert "middle: ValueError" in unnamed_errors(GIVEN, reference)
    assert "middle: ValueError" not in unnamed_errors(GIVEN, reference.replace("raise ValueError", "raise NotImplementedError"))
