"""What Gradescope says about a submission: who, when, due when, and what came before.

Read with distrust: the file may be missing, cut, or of another shape than documented, and a grade must not hang on it. So
nothing here raises; what could not be read is None or empty and named in `problems`.
Source: Gradescope's documentation of submission_metadata.json, and what its users observed of `users[].assignment`.
"""

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MAX_BYTES = 50 << 20  # it carries the whole results of the submission before


@dataclass(frozen=True)
class Previous:
    """An earlier submission. crashed: Gradescope got no results of it; refused: it was over the rate limit."""

    time: datetime
    score: float
    crashed: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Metadata:
    """created_at: when the submission was made, which a regrade does not change; due: with the students' own extensions."""

    created_at: datetime | None = None
    due: datetime | None = None
    total_points: float | None = None
    previous: tuple[Previous, ...] = ()  # by time
    refused: tuple[datetime, ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def late_by(self) -> timedelta:
        """How long after the due date it was made; zero where either is unknown."""
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
    """The metadata in what the JSON held."""
    problems: list[str] = []
    created = _time(_get(table, "created_at"), "created_at", problems)
    assignment = _get(table, "assignment")
    own = [_get(user, "assignment", "due_date") for user in _list(_get(table, "users"))]
    due = [_time(text, "due_date", problems) for text in own if text is not None]  # of a group, the latest
    due = [t for t in due if t] or [_time(_get(assignment, "due_date"), "due_date", problems)]
    results = _list(_get(table, "previous_submissions"))
    refused = {t for entry in results for t in _refused(entry)}
    previous = [p for entry in results if (p := _previous(entry, refused, created))]
    return Metadata(
        created,
        max((t for t in due if t), default=None),
        _number(_get(assignment, "total_points")),
        tuple(sorted(previous, key=lambda p: p.time)),
        tuple(sorted(refused)),
        problems,
    )


def _previous(entry: Any, refused: set[datetime], created: datetime | None) -> Previous | None:
    """None where it has no time, or was made later than the one that is graded (anew)."""
    time = _time(_get(entry, "submission_time"), "submission_time", [])
    if time is None or (created is not None and time >= created):
        return None
    crashed = _get(entry, "autograder_error") is True
    return Previous(time, _number(_get(entry, "score")) or 0.0, crashed, time in refused)


def _refused(entry: Any) -> list[datetime]:
    """Times that an earlier result of ours lists as refused; Gradescope hands on the latest results alone."""
    texts = _list(_get(entry, "results", "extra_data", "refused"))
    return [t for text in texts if (t := _time(text, "refused", []))]


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    """A finite number, also one in a string, such as the "20.0" of total_points."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(text: Any, name: str, problems: list[str]) -> datetime | None:
    """A moment; one without a time zone is UTC. Notes a problem where the text is none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" Z", "Z").replace(" UTC", "Z"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        problems.append(f"{name} is {str(text)[:40]!r}, which is no date")
        return None
