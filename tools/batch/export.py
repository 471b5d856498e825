"""What a class handed in: Gradescope's export of an assignment, or a plain folder with a folder or an archive for each.

An export holds `submission_metadata.yml` beside folders `submission_<id>`; its keys are Ruby symbols, and a number may be
written as a number or as text. Nothing of the submissions themselves is read here.
Source: Gradescope's "Export Submissions", as its users observed it.
"""

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from autograder.errors import BadInput
from autograder.submission.archive import is_archive
from autograder.text import sanitize
from tools.batch.gradebook import Student

METADATA = "submission_metadata.yml"


@dataclass(frozen=True)
class HandedIn:
    """One submission as it was handed in. key: a name that is its own; path: a folder or an archive."""

    key: str
    path: Path
    students: tuple[Student, ...] = ()
    created_at: str = ""


@contextmanager
def opened(source: Path) -> Iterator[tuple[list[HandedIn], list[str]]]:
    """The submissions of a class in order of their names, and sentences about what does not fit together.

    BadInput if `source` is neither an export, unpacked or zipped, nor a folder of submissions.
    """
    if not source.exists():
        raise BadInput(f"{source} does not exist; give a Gradescope export or a folder with a folder or zip for each submission")
    with _as_folder(source) as folder:
        inner = [f for f in folder.iterdir() if f.is_dir() and (f / METADATA).is_file()]
        if (folder / METADATA).is_file():
            yield _gradescope(folder)
        elif len(inner) == 1:
            yield _gradescope(inner[0])
        else:
            yield _plain_folder(folder), []


@contextmanager
def _as_folder(source: Path) -> Iterator[Path]:
    """A zip of the whole class is the instructor's own file, so sizes are not bounded as they are for a submission."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        try:
            with zipfile.ZipFile(source) as file:
                file.extractall(folder)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
            raise BadInput(f"{source} is neither a folder nor a zip that can be read ({error}); give an export") from error
        yield Path(folder)


def _plain_folder(folder: Path) -> list[HandedIn]:
    paths = [p for p in sorted(folder.iterdir()) if not p.name.startswith((".", "__")) and not p.is_symlink()]
    handed = [HandedIn(sanitize(p.name, kept=""), p) for p in paths if p.is_dir() or is_archive(p)]
    if not handed:
        raise BadInput(f"{folder} holds no submissions; a folder or a zip is expected for each")
    return _told_apart(handed)


def _told_apart(handed: list[HandedIn]) -> list[HandedIn]:
    """Each with a key of its own: two names may look alike once what is invisible in them is replaced."""
    keys: set[str] = set()
    for number, one in enumerate(handed, 1):
        key = one.key if one.key not in keys else f"{one.key} ({number})"
        keys.add(key)
        handed[number - 1] = replace(one, key=key)
    return handed


def _gradescope(folder: Path) -> tuple[list[HandedIn], list[str]]:
    try:
        table = yaml.load((folder / METADATA).read_text(encoding="utf-8"), Loader=_Symbols)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{METADATA} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise BadInput(f"{METADATA} is a {type(table).__name__}; a table of submissions by folder is expected")
    handed, missing = [], []
    for key, entry in table.items():
        path = folder / str(key)
        if path.parent != folder or str(key) in ("..", "") or not path.is_dir() or path.is_symlink():
            missing.append(f"{sanitize(str(key), kept='')} stands in {METADATA}, but there is no such folder")
            continue
        known_of = entry if isinstance(entry, dict) else {}
        submitters = known_of.get(":submitters")
        students = tuple(map(_student, submitters)) if isinstance(submitters, list) else ()
        handed.append(HandedIn(_text(path.name), path, students, _text(known_of.get(":created_at"))))
    known = {h.path for h in handed}
    for path in sorted(folder.glob("submission_*")):
        if path.is_dir() and not path.is_symlink() and path not in known:
            missing.append(f"{sanitize(path.name, kept='')} is not named in {METADATA}; graded without a name")
            handed.append(HandedIn(_text(path.name), path))
    if not handed:
        raise BadInput(f"{METADATA} names no submission whose folder is there")
    return _told_apart(sorted(handed, key=lambda h: h.key)), missing


def _student(entry: Any) -> Student:
    entry = entry if isinstance(entry, dict) else {}
    return Student(*(_text(entry.get(key)) for key in (":name", ":sid", ":email")))


def _text(value: Any) -> str:
    return "" if value is None else sanitize(str(value), kept="").strip()


class _Symbols(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """The safe loader, but a number stays the text that was written (0042 is a sid), and so does a time."""


_Symbols.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
