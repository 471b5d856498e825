"""The one report that every writer writes: a row for each check of the manifest, whatever happened."""

import platform
import time
from dataclasses import dataclass, field

from autograder.assignment import Assignment, Part
from autograder.check.check import Check
from autograder.check.inputs import PUBLIC, Inputs
from autograder.judge.reason import Reason
from autograder.report.hints import Hint
from autograder.report.status import Status

NOT_RUN = "not run"  # the message of a check that has not had its turn


@dataclass
class Row:
    """One check of a report.

    points: earned.
    max_points: its share of the points of its part. 0 for a row of another device.
    reason: why it does not pass.
    leaf: the leaf of the observation in which the first difference was found.
    candidates: known mistakes that this check alone cannot tell apart.
    given: parts of the student's that a given one stood in for.
    seconds: wall clock.
    cpu_seconds, peak_kb: the kernel's account of the worker, 0 where there is none.
    ranked: the number for a leaderboard, as the parent read it.
    """

    check: Check
    number: str
    max_points: float
    status: Status = Status.NOT_ATTEMPTED
    points: float = 0.0
    reason: Reason | None = None
    leaf: str = ""
    message: str = ""
    hint: str = ""
    misconception: str | None = None
    candidates: list[Hint] = field(default_factory=list)
    given: tuple[str, ...] = ()
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_kb: int = 0
    ranked: float | None = None

    @property
    def id(self) -> str:
        """The id of the check, as in "test_rope.py::test_rotation"."""
        return self.check.id


@dataclass
class Report:
    """A graded submission. Its rows stand in the order of the manifest.

    interrupted: the run was cut short.
    empty: not one deliverable was there.
    """

    assignment: Assignment
    rows: list[Row]
    isolation_level: int
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    interrupted: bool = False
    empty: bool = False
    seconds: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Points earned."""
        return round(sum(row.points for row in self.rows), 2)

    @property
    def max_score(self) -> float:
        """Points that can be earned by the checks of this report."""
        return round(sum(row.max_points for row in self.rows), 2)

    @property
    def not_graded_here(self) -> float:
        """Points outside the total that checks for another device would show."""
        return round(sum(row.check.weight for row in self.rows if not row.status.is_verdict), 2)

    @property
    def faults(self) -> list[Row]:
        """Rows whose points are granted because the grader itself was at fault."""
        return [row for row in self.rows if row.status.granted]

    @property
    def exit_status(self) -> int:
        """0 every point that can be graded here, 1 points lost, 2 nothing to grade, 3 a fault of the grader."""
        if self.faults:
            return 3
        if self.empty:
            return 2
        return 1 if any(row.status.is_open for row in self.rows) else 0

    def by_part(self) -> list[tuple[Part, list[Row]]]:
        """Rows part by part, in the order of the assignment; parts without a row are left out."""
        groups = [(part, [r for r in self.rows if r.check.part == part.name]) for part in self.assignment.parts]
        return [(part, rows) for part, rows in groups if rows]


def empty_rows(assignment: Assignment, checks: list[Check]) -> list[Row]:
    """A row for each check, nothing attempted yet. Rows for other devices carry no points."""
    rows: list[Row] = []
    counted: dict[str, int] = {}
    order = {part.name: part.number for part in assignment.parts}
    for check in sorted(checks, key=lambda c: order[assignment.part(c.part).name]):
        part = assignment.part(check.part)
        counted[part.name] = counted.get(part.name, 0) + 1
        points = part.points * check.share if check.device is None else 0.0
        number = check.number or f"{part.number}.{counted[part.name]}"
        rows.append(Row(check, number, points, message=NOT_RUN))
    return rows


def environment(inputs: Inputs = PUBLIC) -> dict[str, str]:
    """What a regrade may want to know: versions, without importing any of them, and which inputs were drawn."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in ("torch", "numpy", "pytest")},
        "inputs": inputs.name,
        "graded_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
