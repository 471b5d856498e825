"""What `verify` measures about the grader of an assignment, as data."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CheckNoise:
    """How far the noise of a check lies from its nearest mistake.

    noise, tolerance: of the leaf in which the noise is the largest part of the tolerance, in the unit of that leaf.
    nearest: distance of the nearest misconception in tolerances; None if none of its module fails the check.
    wrong: number of misconceptions of its module that fail the check.
    """

    check: str
    noise: float
    tolerance: float
    nearest: float | None
    wrong: int


@dataclass(frozen=True)
class ReferenceGrade:
    """The grade of the reference. peak_pss_mb: peak memory of all processes together, `verify` itself included."""

    score: float
    seconds: float
    peak_pss_mb: int


@dataclass(frozen=True)
class MisconceptionGrade:
    """The grade of the reference with one mistake.

    killed_by: checks of its own module that fail.
    named_by: those among them that name this mistake.
    collateral: points that it costs in other modules.
    """

    target: str
    name: str
    score: float
    killed_by: list[str]
    named_by: list[str]
    collateral: float


@dataclass(frozen=True)
class MutantCounts:
    """Mechanical mutants of the graded code.

    sites: how many there are.
    tried: how many of them were run.
    equivalent: those that survive, and that a person has reviewed as equal in effect, with the reason.
    killed: how many of the others fail a check; share: the same, from 0 to 1.
    survivors: those that survive, and that nobody has reviewed.
    """

    sites: int
    tried: int
    equivalent: list[str]
    killed: int
    share: float
    survivors: list[str]


@dataclass(frozen=True)
class SeedGrades:
    """Grades of right code under other seeds. flaky: a line for each check that right code failed."""

    grades: int
    flaky: list[str]


@dataclass(frozen=True)
class ShownFailure:
    """A check that failed. shown: the hint, or the first line of the message. misconception: its name, if it is a known one."""

    check: str
    shown: str
    misconception: str | None


@dataclass(frozen=True)
class ExtraGrade:
    """The grade of a case from outside the repository. expected: the lowest and the highest score that are right."""

    case: str
    score: float
    expected: tuple[float, float]
    failed: list[ShownFailure]


@dataclass(frozen=True)
class Verification:
    """Everything that is measured about the grader of one assignment.

    assignment: its id; title: its title; checks: how many it has.
    problems: a sentence for each thing that is not as it should be.
    noise: a row for each check.
    idle: checks that no misconception fails.
    stubs: the score of the stubs.
    alternates: the score of each alternate.
    mutants, seeds, extra: None if they were not asked for.
    """

    assignment: str
    title: str
    checks: int
    problems: list[str]
    noise: list[CheckNoise]
    idle: list[str]
    reference: ReferenceGrade
    stubs: float
    alternates: dict[str, float]
    misconceptions: list[MisconceptionGrade]
    mutants: MutantCounts | None = None
    seeds: SeedGrades | None = None
    extra: list[ExtraGrade] | None = None

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values. What was not asked for is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}
