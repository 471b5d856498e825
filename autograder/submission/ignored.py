"""Which names in an upload mean nothing: what systems and tools leave there, and what belongs to the course."""

import re

# What systems and tools leave behind. Nobody wrote it, so it is neither read nor mentioned.
_CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__", ".git"}
# Folders of the course that hold files with the names of deliverables which no student wrote.
_NOT_THE_STUDENTS = {"given", "tests", "reference", "hidden"}
# What lies beside the deliverables in a folder of the course, and the manifest that `make submission` puts there.
_EXPECTED = {
    "README.md",
    "__init__.py",
    "alternates",
    "assignment.toml",
    "demo.py",
    "equivalents.toml",
    "explore.ipynb",
    "explore.py",
    "hidden",
    "manifest.json",
    "misconceptions",
    "tests",
}
_KEPT_BESIDE = re.compile(r"\.(mine|new)\d+$")  # what `reset` and `update` put beside a file


def is_clutter(name: str) -> bool:
    """Whether a system or a tool made the file or folder of this name."""
    return name in _CLUTTER or name.startswith("._")


def is_unexpected(name: str) -> bool:
    """Whether a name beside the deliverables is worth a note in the report: a student may think that it is graded."""
    return not (is_clutter(name) or name in _EXPECTED or _KEPT_BESIDE.search(name))


def may_hold_deliverables(folder: str) -> bool:
    """Whether a folder of this name is looked through for what a student wrote."""
    return not (is_clutter(folder) or folder in _NOT_THE_STUDENTS or folder.startswith("."))
