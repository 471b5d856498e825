"""Which files the grader consists of. They ship to students and to Gradescope, and a stored grade depends on them."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import autograder

LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
_KINDS = {".py", ".ini", ".sh", ".json", ".j2"}  # a list of what ships: a note that somebody leaves there does not


def course() -> Path:
    """The folder in which the grader lies. `Course.here()` may be another one, which tests use."""
    return Path(autograder.__file__).resolve().parents[1]


def files_below(folder: Path, leave_out: AbstractSet[str] = frozenset()) -> Iterator[Path]:
    """Every file below a folder in the order of the names, caches left out.

    leave_out: names of folders, at any depth, whose files are left out too.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (LEFT_OUT | leave_out) & set(path.relative_to(folder).parts):
            yield path


def grader_files() -> Iterator[Path]:
    """Every file of the grader in all of its rooms, its tests left out."""
    yield from (path for path in files_below(course() / "autograder", leave_out={"tests"}) if path.suffix in _KINDS)
