"""A submission becomes a working copy: deliverables by allow-list, onto a fresh tree; nothing else of it is ever read.

Nothing is executed or parsed here. A deliverable that is missing or no regular file is replaced by a module that says so
when it is used, so that the other parts are still graded.
"""

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import ASSIGNMENTS, Assignment
from autograder.errors import BadInput
from autograder.submission.archive import find_deliverables
from autograder.text import sanitize

MAX_FILE_BYTES = 1 << 20
_SILENT = {
    "README.md",
    "assignment.toml",
    "tests",
    "explore.py",
    "explore.ipynb",
    "demo.py",
    "__init__.py",
    "__pycache__",
    "misconceptions",
    "equivalents.toml",
    "alternates",
    "hidden",
    ".DS_Store",
    "__MACOSX",
    "manifest.json",
}
_KEPT = re.compile(r"\.(mine|new)\d+$")  # what `reset` and `update` put beside a file


@dataclass(frozen=True)
class Tree:
    """A working copy. path: import root; folder: the package in it, where the student's files lie; notes: for the report."""

    path: Path
    folder: Path
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def with_file(self, into: Path, name: str, text: str) -> "Tree":
        """Another tree that differs in one file."""
        folder = into / self.folder.name
        shutil.copytree(self.path, into, dirs_exist_ok=True, symlinks=True, copy_function=os.link)  # no worker can write them
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        for stale in (folder / "__pycache__").glob(f"{Path(name).stem}.*.pyc"):
            stale.unlink()
        return Tree(into, folder)

    def baseline(self, into: Path) -> "Tree":
        """A tree with the given parts alone and no file of the student's, to time a submission against."""
        shutil.copytree(self.path / "given", into / "given", copy_function=os.link)
        for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        return Tree(into, into / self.folder.name)


def working_copy(source: Path, assignment: Assignment, into: Path) -> Tree:
    """Copy the deliverables of a folder to `into`; what is missing is noted. BadInput if it is no folder."""
    if not source.is_dir():
        raise BadInput(f"{source} is not a folder; give the folder that holds {', '.join(assignment.deliverables[:3])} …")
    if not any((source / name).is_symlink() or (source / name).exists() for name in assignment.deliverables):
        source = find_deliverables(source, assignment.deliverables)  # the folder was zipped, or the one above it
    folder = into / assignment.package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    shutil.copytree(ASSIGNMENTS / "given", into / "given", ignore=shutil.ignore_patterns("__pycache__"))
    notes, missing = [], []
    for name in assignment.deliverables:
        if problem := _copy(source / name, folder / name):
            notes.append(f"{name}: {problem}")
            missing.append(name)
            if name.endswith(".py"):
                (folder / name).write_text(_placeholder(f"{name}: {problem}"))
    if len(missing) == len(assignment.deliverables):
        notes.insert(0, f"this folder holds none of the files of {assignment.id}: {', '.join(assignment.deliverables)}")
    known = _SILENT.union(assignment.deliverables)
    extra = sorted(p.name for p in source.iterdir() if p.name not in known and not _KEPT.search(p.name))
    if extra:
        shown = ", ".join(sanitize(name[:60], kept="") for name in extra[:8])
        notes.append(f"not read, because it is no deliverable: {shown}{' …' if len(extra) > 8 else ''}")
    for path in [into, *into.rglob("*")]:  # whatever the umask: a worker may have a user of its own
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Tree(into, folder, tuple(notes), tuple(missing))


def _copy(source: Path, target: Path) -> str | None:
    """Copy one regular file of sane size; otherwise a sentence that says why it was not."""
    try:
        found = source.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "it is not a regular file, so it was not read"
        if found.st_size > MAX_FILE_BYTES:
            return f"it has {found.st_size:,} bytes, at most {MAX_FILE_BYTES:,} are read"
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    target.write_bytes(data[:MAX_FILE_BYTES])
    return None


def _placeholder(sentence: str) -> str:
    return (
        f'"""Stands in for a file that could not be copied."""\n\n\ndef __getattr__(name):\n'
        f"    if name.startswith('__'):\n        raise AttributeError(name)\n    raise FileNotFoundError({sentence!r})\n"
    )
