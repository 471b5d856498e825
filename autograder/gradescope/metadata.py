"""What Gradescope says about a submission: who made it, when, when it was due, and what came before it.

The file may be missing, incomplete, or of another shape than documented, and no grade may depend on that. So nothing here
raises. What could not be read is None or empty, and `problems` names it.
Source: Gradescope's documentation of submission_metadata.json, and what its users observed of `users[].assignment`.
"""

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MAX_BYTES = 50 << 20  # the file holds all results of the submission before


@dataclass(frozen=True)
class Previous:
    """An earlier submission.

    time: when it was made.
    crashed: Gradescope got no results of it.
    refused: it was over the rate limit.
    """

    time: datetime
    score: float
    crashed: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Metadata:
    """What could be read.

    created_at: when the submission was made. A regrade does not change it.
    due: when it was due, with the students' own extensions.
    total_points: of Gradescope's assignment.
    previous: earlier submissions, by time.
    refused: when submissions were made that were over the rate limit.
    problems: what could not be read, a sentence each.
    """

    created_at: datetime | None = None
    due: datetime | None = None
    total_points: float | None = None
    previous: tuple[Previous, ...] = ()
    refused: tuple[datetime, ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def late_by(self) -> timedelta:
        """How long after the due date the submission was made. Zero where either is unknown."""
        if self.created_at is None or self.due is None:
            return timedelta(0)
        return max(timedelta(0), self.created_at - self.due)


def read_metadata(path: Path) -> Metadata:
    """The metadata in a file, as far as it can be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        table = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError) as error:
        return Metadata(problems=[f"{path.name} cannot be read: {error}"])
    return understand(table)


def understand(table: Any) -> Metadata:
    """The metadata in what the JSON held. table: any JSON value."""
    problems: list[str] = []
    created_at = _time(_get(table, "created_at"), "created_at", problems)
    due = _due(table, problems)
    entries = _list(_get(table, "previous_submissions"))
    refused = {time for entry in entries for time in _refused(entry)}
    previous = [earlier for entry in entries if (earlier := _previous(entry, refused, created_at))]
    return Metadata(
        created_at,
        due,
        _number(_get(table, "assignment", "total_points")),
        tuple(sorted(previous, key=lambda earlier: earlier.time)),
        tuple(sorted(refused)),
        problems,
    )


def _due(table: Any, problems: list[str]) -> datetime | None:
    """The latest due date of the students who made the submission; the assignment's where none of them has one."""
    own = [_get(user, "assignment", "due_date") for user in _list(_get(table, "users"))]
    times = [_time(text, "due_date", problems) for text in own if text is not None]
    if known := [time for time in times if time]:
        return max(known)
    return _time(_get(table, "assignment", "due_date"), "due_date", problems)


def _previous(entry: Any, refused: set[datetime], created: datetime | None) -> Previous | None:
    """An earlier submission. None where it has no time, or was made later than the one that is graded again now."""
    time = _time(_get(entry, "submission_time"), "submission_time", [])
    if time is None or (created is not None and time >= created):
        return None
    crashed = _get(entry, "autograder_error") is True
    return Previous(time, _number(_get(entry, "score")) or 0.0, crashed, time in refused)


def _refused(entry: Any) -> list[datetime]:
    """Times that earlier results of ours list as refused. Gradescope hands on the latest results alone."""
    texts = _list(_get(entry, "results", "extra_data", "refused"))
    return [time for text in texts if (time := _time(text, "refused", []))]


def _get(value: Any, *keys: str) -> Any:
    """What stands under these keys, one inside the other. None where one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    """A finite number. It may stand in a string, as the "20.0" of total_points does. None for anything else."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(text: Any, name: str, problems: list[str]) -> datetime | None:
    """The moment that a text names, as UTC. One without a time zone is UTC. None and a problem where it names none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" Z", "Z").replace(" UTC", "Z"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        problems.append(f"{name} is {str(text)[:40]!r}, which is no date")
        return None
