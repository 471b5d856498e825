"""What the grade of a class is: who handed in what, the report of each, who resembles whom, what a mended check changes."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Student:
    """One person. sid: kept as text, so that leading zeros stay."""

    name: str = ""
    sid: str = ""
    email: str = ""

    def __str__(self) -> str:
        return self.name or self.sid or self.email


@dataclass
class Entry:
    """One submission. key: the name of its folder; report: as_json(Report); refused: why it could not be read, if so."""

    key: str
    students: list[Student]
    created_at: str
    report: dict[str, Any]
    seconds: float = 0.0
    refused: str = ""

    @property
    def who(self) -> str:
        return ", ".join(map(str, self.students)) or self.key

    @property
    def score(self) -> float:
        return self.report["score"]

    @property
    def faults(self) -> int:
        """Checks that met a fault of the grader."""
        return sum(c["status"] == "grader_fault" for c in self.report["checks"])

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, value: dict[str, Any]) -> "Entry":
        return cls(**{**value, "students": [Student(**s) for s in value["students"]]})


@dataclass(frozen=True)
class Pair:
    """Two submissions that share code. shares: how much of each is also in the other, 0 to 1; tokens: how many."""

    keys: tuple[str, str]
    file: str
    shares: tuple[float, float]
    tokens: int


@dataclass(frozen=True)
class Change:
    """A submission whose score is another one than in an older grade, and the checks that decide otherwise now."""

    key: str
    before: float
    after: float
    checks: tuple[str, ...]


@dataclass
class Gradebook:
    """A graded class. missing: what the export names but does not hold, and the other way round."""

    assignment: str
    title: str
    entries: list[Entry]
    pairs: list[Pair] = field(default_factory=list)
    changes: list[Change] | None = None
    missing: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    seconds: float = 0.0
    graded_now: int = 0

    def who(self, key: str) -> str:
        return next((e.who for e in self.entries if e.key == key), key)
