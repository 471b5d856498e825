"""The grades of a class as data: submissions and their reports, pairs that share code, scores that changed."""

from dataclasses import asdict, dataclass, field
from typing import Any

from autograder.report.status import Status


@dataclass(frozen=True)
class Student:
    """One person. sid: the number of the student, kept as text so that leading zeros stay."""

    name: str = ""
    sid: str = ""
    email: str = ""

    def __str__(self) -> str:
        return self.name or self.sid or self.email


@dataclass
class Entry:
    """One submission.

    key: the name of its folder or archive.
    report: the JSON report, see `as_json`.
    seconds: wall time of its grade.
    refused: why it could not be graded; empty if it was.
    """

    key: str
    students: list[Student]
    created_at: str
    report: dict[str, Any]
    seconds: float = 0.0
    refused: str = ""

    @property
    def who(self) -> str:
        """The names of the students; the key where none is known."""
        return ", ".join(map(str, self.students)) or self.key

    @property
    def score(self) -> float:
        """The points that the submission earned."""
        return self.report["score"]

    @property
    def faults(self) -> int:
        """The number of checks that met a fault of the grader."""
        return sum(Status.of(check["status"]).granted for check in self.report["checks"])

    def as_json(self) -> dict[str, Any]:
        """The entry as plain values. `of` is the way back."""
        return asdict(self)

    @classmethod
    def of(cls, value: dict[str, Any]) -> "Entry":
        """The entry that `as_json` gave. KeyError or TypeError if the value is none."""
        return cls(**{**value, "students": [Student(**student) for student in value["students"]]})


@dataclass(frozen=True)
class Pair:
    """Two submissions that share code.

    shares: how much of each file is also in the other one, from 0 to 1.
    tokens: how many tokens they share.
    """

    keys: tuple[str, str]
    file: str
    shares: tuple[float, float]
    tokens: int


@dataclass(frozen=True)
class Change:
    """A submission whose score differs from an earlier run. checks: ids of the checks whose result differs."""

    key: str
    before: float
    after: float
    checks: tuple[str, ...]


@dataclass
class Gradebook:
    """A graded class.

    assignment: its id; title: its title.
    copies: for each submission that holds a copy of a given part, its key and a sentence.
    changes: scores that differ from an earlier run; None if there was nothing to compare with.
    missing: a sentence for each folder or name of the export that has no counterpart.
    not_compared: a sentence for each file that could not be compared with the others.
    seconds: wall time of the whole run.
    graded_now: how many entries are new.
    """

    assignment: str
    title: str
    entries: list[Entry]
    pairs: list[Pair] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    changes: list[Change] | None = None
    missing: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    seconds: float = 0.0
    graded_now: int = 0

    def who(self, key: str) -> str:
        """The names of the students of a submission; its key where none is known."""
        return next((entry.who for entry in self.entries if entry.key == key), key)
