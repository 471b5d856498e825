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
from typing import Any

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata

CONTAINERS = {"0.5 CPU, 0.75 GB": 1, "1 CPU, 1.5 GB": 1, "2 CPU, 3 GB": 2, "4 CPU, 6 GB": 4}  # → workers side by side
VISIBILITY = ("visible", "hidden", "after_due_date", "after_published")


@dataclass(frozen=True)
class Late:
    """Percent of the earned points that each started day costs once the grace minutes are over, up to a maximum."""

    grace_minutes: float = 0
    percent_per_day: float = 0
    max_percent: float = 100

    def percent(self, late_by: timedelta) -> float:
        """What a submission loses that came so much too late."""
        beyond = late_by - timedelta(minutes=self.grace_minutes)
        days = math.ceil(beyond / timedelta(days=1)) if beyond > timedelta(0) else 0
        return min(self.max_percent, days * self.percent_per_day)


@dataclass(frozen=True)
class Rate:
    """So many submissions are graded in so many hours; 0: no limit."""

    submissions: int = 0
    hours: float = 24

    def next_free(self, metadata: Metadata) -> datetime | None:
        """When the next one would be graded, if this one is over the limit; what crashed or was refused does not count."""
        if not self.submissions or metadata.created_at is None:
            return None
        window = timedelta(hours=self.hours)
        times = [p.time for p in metadata.previous if not (p.crashed or p.refused) and p.time > metadata.created_at - window]
        return times[-self.submissions] + window if len(times) >= self.submissions else None


@dataclass(frozen=True)
class Settings:
    """The optional table [gradescope] of assignment.toml. timeout_minutes, container: as chosen on Gradescope's page."""

    timeout_minutes: float = 10
    container: str = "1 CPU, 1.5 GB"
    hidden_visibility: str = "after_published"
    late: Late = Late()
    rate: Rate = Rate()

    @classmethod
    def of(cls, assignment: Assignment) -> "Settings":
        """The settings of an assignment. BadInput for a name or value that is none."""
        where = f"{assignment.package}/assignment.toml, [gradescope"
        table = dict(assignment.gradescope)
        for name, kind in (("late", Late), ("rate", Rate)):
            if name in table:
                table[name] = _fill(kind, table[name], f"{where}.{name}]")
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
        """Seconds after which a run that could not end itself is killed; the report on disk stays. Before Gradescope's."""
        return 0.93 * 60 * self.timeout_minutes


def _fill(kind: Any, table: Any, where: str) -> Any:
    """An instance of the dataclass `kind` from a table of assignment.toml. BadInput: a name or a value is none of its own."""
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    if not isinstance(table, dict) or not table.keys() <= types.keys():
        raise BadInput(f"{where} knows {', '.join(types)}; got {', '.join(table) if isinstance(table, dict) else table!r}")
    for name, value in table.items():
        wanted = (int, float) if types[name] in (int, float) else types[name]
        if not isinstance(value, wanted) or isinstance(value, bool) or (isinstance(value, int | float) and value < 0):
            raise BadInput(f"{where}: {name} is of type {types[name].__name__} and not negative; got {value!r}")
    return kind(**table)
