"""A submission becomes a working copy: its deliverables are copied to a fresh tree, and nothing else of it is read.

The given parts of earlier assignments lie beside them. Those of the assignment itself do not (see `source/given_parts.py`).

Nothing is executed or parsed here. A module that says what is wrong takes the place of a deliverable that could not be
read. It says so when it is used, so that the other parts are still graded.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.submission.deliverables import find_deliverables, read_regular_files
from autograder.submission.ignored import is_unexpected
from autograder.text import sanitize


@dataclass(frozen=True)
class Tree:
    """A working copy.

    path: the folder that is put on the import path.
    folder: the package in it, which holds the student's files.
    notes: sentences for the report.
    missing: names of deliverables that could not be read.
    substituted: parts that files of the package import from the given ones.
    """

    path: Path
    folder: Path
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    substituted: frozenset[str] = frozenset()

    def with_file(self, into: Path, name: str, text: str) -> "Tree":
        """Another tree, in the folder `into`, that differs in one file. name: of a file in the package; text: what it holds."""
        folder = into / self.folder.name
        shutil.copytree(self.path, into, dirs_exist_ok=True, symlinks=True, copy_function=os.link)  # workers cannot write
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        for stale in (folder / "__pycache__").glob(f"{Path(name).stem}.*.pyc"):
            stale.unlink()
        return Tree(into, folder)

    def baseline(self, into: Path) -> "Tree":
        """A tree without any file of the student's, to time a submission against."""
        shutil.copytree(self.path / "given", into / "given", copy_function=os.link)
        for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        return Tree(into, into / self.folder.name)


def working_copy(source: Path, assignment: Assignment, into: Path) -> Tree:
    """Copy the deliverables of a folder to `into`, beside the given parts of earlier assignments. What is missing is noted.

    BadInput: `source` is no folder.
    """
    if not source.is_dir():
        raise BadInput(f"{source} is not a folder; give the folder that holds {', '.join(assignment.deliverables[:3])} …")
    source = find_deliverables(source, assignment.deliverables)
    folder = into / assignment.package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    _copy_given(assignment, into / "given")
    notes, missing = [], []
    for name, data in read_regular_files(source, assignment.deliverables):
        if isinstance(data, bytes):
            (folder / name).write_bytes(data)
            continue
        notes.append(f"{name}: {data}")
        missing.append(name)
        if name.endswith(".py"):
            (folder / name).write_text(_placeholder(notes[-1]))
    if len(missing) == len(assignment.deliverables):
        notes.insert(0, f"this folder holds none of the files of {assignment.id}: {', '.join(assignment.deliverables)}")
    expected = {*assignment.deliverables, *assignment.also}
    extra = sorted({path.name for path in source.iterdir() if is_unexpected(path.name)} - expected)
    if extra:
        shown = ", ".join(sanitize(name[:60], kept="") for name in extra[:8])
        notes.append(f"not read, because it is no deliverable: {shown}{' …' if len(extra) > 8 else ''}")
    for path in [into, *into.rglob("*")]:  # whatever the umask is, because a worker may have a user of its own
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Tree(into, folder, tuple(notes), tuple(missing))


def _copy_given(assignment: Assignment, into: Path) -> None:
    """Copy the package of the given parts, with those of the assignments before this one."""
    into.mkdir()
    for path in sorted(assignment.course.given.iterdir()):
        if path.is_dir() and path.name < assignment.package:
            shutil.copytree(path, into / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name == "__init__.py":
            shutil.copy(path, into)


def _placeholder(sentence: str) -> str:
    """A module that raises FileNotFoundError with this sentence when a name in it is looked up."""
    return (
        f'"""Stands in for a file that could not be copied."""\n\n\ndef __getattr__(name):\n'
        f"    if name.startswith('__'):\n        raise AttributeError(name)\n    raise FileNotFoundError({sentence!r})\n"
    )
