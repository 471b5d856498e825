"""What a class handed in: Gradescope's export of an assignment, or a plain folder with a folder or archive for each submission.

An export holds `submission_metadata.yml` beside folders `submission_<id>`. Its keys are Ruby symbols, and a number may be
written as a number or as text. The files of the submissions are not read here.
Source: Gradescope's "Export Submissions", as its users observed it.
"""

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from autograder.errors import BadInput
from autograder.submission.archive import is_archive
from autograder.text import sanitize
from tools.batch.gradebook import Student

METADATA = "submission_metadata.yml"


@dataclass(frozen=True)
class HandedIn:
    """One submission as it was handed in.

    key: its name, which no other submission has.
    path: a folder or an archive.
    created_at: when it was handed in, as the export writes it.
    """

    key: str
    path: Path
    students: tuple[Student, ...] = ()
    created_at: str = ""


@contextmanager
def opened(source: Path) -> Iterator[tuple[list[HandedIn], list[str]]]:
    """The submissions of a class in the order of their names, and a sentence for each thing that does not fit together.

    BadInput: `source` is neither an export (a folder or a zip) nor a folder of submissions.
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
    """The folder, or the contents of a zip. Its size has no limit, because the instructor made it."""
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
    submissions = [HandedIn(sanitize(p.name, kept=""), p) for p in paths if p.is_dir() or is_archive(p)]
    if not submissions:
        raise BadInput(f"{folder} holds no submissions; a folder or a zip is expected for each")
    return _with_unique_keys(submissions)


def _with_unique_keys(submissions: list[HandedIn]) -> list[HandedIn]:
    """The submissions, each with a key of its own. Two names can become equal once invisible characters are replaced."""
    keys: set[str] = set()
    result = []
    for number, submission in enumerate(submissions, 1):
        key = submission.key if submission.key not in keys else f"{submission.key} ({number})"
        keys.add(key)
        result.append(replace(submission, key=key))
    return result


def _gradescope(folder: Path) -> tuple[list[HandedIn], list[str]]:
    submissions, missing = _named_in(_metadata(folder), folder)
    known = {submission.path for submission in submissions}
    for path in sorted(folder.glob("submission_*")):
        if path.is_dir() and not path.is_symlink() and path not in known:
            missing.append(f"{sanitize(path.name, kept='')} is not named in {METADATA}; graded without a name")
            submissions.append(HandedIn(_text(path.name), path))
    if not submissions:
        raise BadInput(f"{METADATA} names no submission whose folder is there")
    return _with_unique_keys(sorted(submissions, key=lambda submission: submission.key)), missing


def _metadata(folder: Path) -> dict[object, object]:
    """The table of an export: what it says about a submission, by the name of its folder."""
    try:
        table = yaml.load((folder / METADATA).read_text(encoding="utf-8"), Loader=_SYMBOL_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{METADATA} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise BadInput(f"{METADATA} is a {type(table).__name__}; a table of submissions by folder is expected")
    return table


def _named_in(table: dict[object, object], folder: Path) -> tuple[list[HandedIn], list[str]]:
    """The submissions that the table names, and a sentence for each whose folder is not there."""
    submissions, missing = [], []
    for key, entry in table.items():
        path = folder / str(key)
        if path.parent != folder or str(key) in ("..", "") or not path.is_dir() or path.is_symlink():
            missing.append(f"{sanitize(str(key), kept='')} stands in {METADATA}, but there is no such folder")
            continue
        fields = entry if isinstance(entry, dict) else {}
        submitters = fields.get(":submitters")
        students = tuple(map(_student, submitters)) if isinstance(submitters, list) else ()
        submissions.append(HandedIn(_text(path.name), path, students, _text(fields.get(":created_at"))))
    return submissions, missing


def _student(entry: object) -> Student:
    fields = entry if isinstance(entry, dict) else {}
    return Student(*(_text(fields.get(key)) for key in (":name", ":sid", ":email")))


def _text(value: object) -> str:
    return "" if value is None else sanitize(str(value), kept="").strip()


# The safe loader, but a number stays the text that was written (0042 is the number of a student). So does a time.
_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_FASTEST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SYMBOL_LOADER = type("SymbolLoader", (_FASTEST_LOADER,), {"yaml_implicit_resolvers": _RESOLVERS})
