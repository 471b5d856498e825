"""Which files the grader consists of: what ships to students and to Gradescope, and what a stored grade depends on."""

from collections.abc import Iterator
from pathlib import Path

import autograder

LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
_KINDS = {".py", ".ini", ".sh", ".json", ".j2"}  # an allow-list: a note that somebody leaves there does not ship


def course() -> Path:
    """The folder in which the grader lies. `Course.here()` may be another one, which tests use."""
    return Path(autograder.__file__).resolve().parents[1]


def files_below(folder: Path, leave_out: set[str] = frozenset()) -> Iterator[Path]:
    """Every file below a folder in the order of the names, without caches and without folders of these names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (LEFT_OUT | leave_out) & set(path.relative_to(folder).parts):
            yield path


def grader_files() -> Iterator[Path]:
    """Every file of the grader in all of its rooms, its tests left out."""
    yield from (path for path in files_below(course() / "autograder", leave_out={"tests"}) if path.suffix in _KINDS)
