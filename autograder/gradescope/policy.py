"""The optional table [gradescope] of assignment.toml: time, container, what shows when, lateness, and a rate limit.

[gradescope]
timeout_minutes = 10               # as chosen on Gradescope's page; our own deadline comes before it
container = "1 CPU, 1.5 GB"        # likewise; says how many workers run side by side
hidden_visibility = "after_published"
[gradescope.late]
grace_minutes = 15
percent_per_day = 10               # of the earned points, for each started day
max_percent = 50
[gradescope.rate]
submissions = 5                    # graded ones
hours = 24
"""

import math
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata

CONTAINERS = {"0.5 CPU, 0.75 GB": 1, "1 CPU, 1.5 GB": 1, "2 CPU, 3 GB": 2, "4 CPU, 6 GB": 4}  # workers side by side
Table = TypeVar("Table", "Settings", "Late", "Rate")
VISIBILITY = ("visible", "hidden", "after_due_date", "after_published")


@dataclass(frozen=True)
class Late:
    """What lateness costs.

    grace_minutes: cost nothing.
    percent_per_day: of the earned points. Each started day after the grace costs so much.
    max_percent: more is never lost.
    """

    grace_minutes: float = 0
    percent_per_day: float = 0
    max_percent: float = 100

    def percent(self, late_by: timedelta) -> float:
        """How many percent of its points a submission loses. late_by: how long after the due date it was made."""
        beyond = late_by - timedelta(minutes=self.grace_minutes)
        days = math.ceil(beyond / timedelta(days=1)) if beyond > timedelta(0) else 0
        return min(self.max_percent, days * self.percent_per_day)


@dataclass(frozen=True)
class Rate:
    """How often a student's submissions are graded.

    submissions: so many are graded in any `hours`. 0 means no limit.
    """

    submissions: int = 0
    hours: float = 24

    def next_free(self, metadata: Metadata) -> datetime | None:
        """When the next submission would be graded, if this one is over the limit. None if it is not.

        Submissions that crashed or were refused do not count.
        """
        if not self.submissions or metadata.created_at is None:
            return None
        window = timedelta(hours=self.hours)
        counted = [earlier.time for earlier in metadata.previous if not (earlier.crashed or earlier.refused)]
        times = [time for time in counted if time > metadata.created_at - window]
        return times[-self.submissions] + window if len(times) >= self.submissions else None


@dataclass(frozen=True)
class Settings:
    """The optional table [gradescope] of assignment.toml.

    timeout_minutes, container: as chosen on Gradescope's page.
    hidden_visibility: when students see the rows of hidden checks.
    """

    timeout_minutes: float = 10
    container: str = "1 CPU, 1.5 GB"
    hidden_visibility: str = "after_published"
    late: Late = Late()
    rate: Rate = Rate()

    @classmethod
    def of(cls, assignment: Assignment) -> "Settings":
        """The settings of an assignment. BadInput: a name or a value in the table is none that can stand there."""
        where = f"{assignment.package}/assignment.toml, [gradescope"
        table = dict(assignment.gradescope)
        if "late" in table:
            table["late"] = _fill(Late, table["late"], f"{where}.late]")
        if "rate" in table:
            table["rate"] = _fill(Rate, table["rate"], f"{where}.rate]")
        settings = _fill(cls, table, f"{where}]")
        if settings.container not in CONTAINERS:
            raise BadInput(f"{where}]: container is one of {', '.join(CONTAINERS)}; got {settings.container!r}")
        if settings.hidden_visibility not in VISIBILITY:
            raise BadInput(f"{where}]: hidden_visibility is one of {', '.join(VISIBILITY)}; got {settings.hidden_visibility!r}")
        if not 0 < settings.timeout_minutes <= 40:
            raise BadInput(f"{where}]: timeout_minutes lies above 0 and is at most 40; got {settings.timeout_minutes}")
        if settings.late.max_percent > 100:
            raise BadInput(f"{where}.late]: max_percent is at most 100; got {settings.late.max_percent}")
        return settings

    @property
    def deadline(self) -> float:
        """Seconds after which a run ends itself with a complete report."""
        return 0.8 * 60 * self.timeout_minutes

    @property
    def watchdog(self) -> float:
        """Seconds after which a run that could not end itself is killed. The report on disk stays.

        This is earlier than Gradescope's own limit, because Gradescope overwrites the report.
        """
        return 0.93 * 60 * self.timeout_minutes


def _fill(kind: type[Table], table: Any, where: str) -> Table:
    """An instance of the dataclass `kind` from a table of assignment.toml.

    where: the name of the table, for messages.
    BadInput: the table has a name that is no field of it, or a value of another type, or a negative one.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    if not isinstance(table, dict) or not table.keys() <= types.keys():
        raise BadInput(f"{where} knows {', '.join(types)}; got {', '.join(table) if isinstance(table, dict) else table!r}")
    for name, value in table.items():
        wanted = (int, float) if types[name] in (int, float) else types[name]
        if not isinstance(value, wanted) or isinstance(value, bool) or (isinstance(value, int | float) and value < 0):
            raise BadInput(f"{where}: {name} is of type {types[name].__name__} and not negative; got {value!r}")
    return kind(**table)
