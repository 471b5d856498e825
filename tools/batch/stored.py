"""The results of a class on disk, from which a later run goes on.

    DIR/reports/KEY.json    the entry of one submission, with the digest that it was made under
    DIR/pages/KEY.html      its report as a page

A stored entry is used again only if submission, checks, golden values and grader are what they were. An entry with a
fault of the grader, or of a submission that could not be read, is never used again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import BadInput
from autograder.files import write_atomically
from autograder.report.html import render_page
from tools.batch.export import HandedIn
from tools.batch.gradebook import Change, Entry


@dataclass(frozen=True)
class ResultFolder:
    """The folder that results are written to."""

    path: Path

    def report(self, key: str) -> Path:
        """Where the entry of a submission lies."""
        return self.path / "reports" / f"{file_name(key)}.json"

    def page(self, key: str) -> Path:
        """Where the page of a submission lies."""
        return self.path / "pages" / f"{file_name(key)}.html"

    def create(self) -> None:
        """Make the folder and those in it. BadInput if that is not possible."""
        try:
            for name in ("reports", "pages"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{self.path} cannot be written: {error.strerror}; give a folder that may be made") from error

    def store(self, entry: Entry, digest: str) -> None:
        """Write an entry and its page. OSError if they cannot be written.

        digest: of submission and grader, which `load_cached` compares.
        """
        stored = {"digest": digest, "entry": entry.as_json()}
        write_atomically(self.report(entry.key), json.dumps(stored, ensure_ascii=False))
        write_atomically(self.page(entry.key), render_page(entry.report, entry.who))

    def load_cached(self, submission: HandedIn, digest: str) -> Entry | None:
        """The stored entry of a submission with its present names; None if it has to be graded again."""
        try:
            stored = json.loads(self.report(submission.key).read_text(encoding="utf-8"))
            entry = Entry.of(stored["entry"])
            if stored["digest"] != digest or entry.refused or entry.faults:
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # it is not there, or only half of it is
            return None
        entry.key, entry.students, entry.created_at = submission.key, list(submission.students), submission.created_at
        return entry


def load_entries(folder: Path) -> list[Entry]:
    """The entries of an earlier run. BadInput if the folder holds none, or one that cannot be read."""
    paths = sorted((folder / "reports").glob("[!.]*.json"))
    if not paths:
        raise BadInput(f"{folder} holds no reports; give the --to folder of an earlier batch")
    entries = []
    for path in paths:
        try:
            entries.append(Entry.of(json.loads(path.read_text(encoding="utf-8"))["entry"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is no report of a batch ({type(error).__name__}); give the --to folder of one") from error
    return entries


def changes(old: list[Entry], new: list[Entry]) -> list[Change]:
    """The submissions whose score differs between two runs, each with the checks that differ, are new or are gone."""
    old_by_key = {entry.key: entry for entry in old}
    pairs = [(old_by_key[entry.key], entry) for entry in new if entry.key in old_by_key]
    return [
        Change(after.key, before.score, after.score, _changed_checks(before, after))
        for before, after in pairs
        if before.score != after.score
    ]


def _changed_checks(before: Entry, after: Entry) -> tuple[str, ...]:
    old, new = ({c["id"]: (c["status"], c["points"]) for c in entry.report["checks"]} for entry in (before, after))
    return tuple(name for name in dict.fromkeys([*new, *old]) if new.get(name) != old.get(name))


def file_name(key: str) -> str:
    """A file name for a key. It is the key itself where that is harmless, otherwise a part of it and a digest."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in key)[:80].lstrip(".")
    return plain if plain == key else f"{plain}-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:8]}"
