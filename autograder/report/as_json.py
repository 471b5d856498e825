"""The report as JSON. Pages, Gradescope's results and the page of a class are made from it.

Its schema is schema/report.schema.json.
"""

import hashlib
from typing import Any

from autograder import __version__
from autograder.assignment import Part
from autograder.report.next_step import next_step
from autograder.report.report import Report, Row
from autograder.text import shorten

MAX_OUTPUT = 2000  # characters of what a check printed


def as_json(report: Report) -> dict[str, Any]:
    """The JSON report: a dict of plain values."""
    manifest = [row.id for row in report.rows]
    return {
        "schema": 1,
        "grader_version": __version__,
        "assignment": report.assignment.id,
        "package": report.assignment.package,
        "title": report.assignment.title,
        "score": report.score,
        "max_score": report.max_score,
        "not_graded_here": report.not_graded_here,
        "isolation_level": report.isolation_level,
        "environment": report.environment,
        "manifest": manifest,
        "manifest_sha256": manifest_hash(manifest),
        "interrupted": report.interrupted,
        "notes": list(report.notes),
        "next": next_step(report),
        "parts": [_part_as_json(part, rows) for part, rows in report.by_part()],
        "seconds": round(report.seconds, 3),
        "checks": [_row_as_json(row) for row in report.rows],
    }


def manifest_hash(ids: list[str]) -> str:
    """SHA-256 of the ids of all checks. Reports with the same hash are about the same checks."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def _part_as_json(part: Part, rows: list[Row]) -> dict[str, Any]:
    """One part with the points of its rows."""
    return {
        "name": part.name,
        "title": part.title,
        "number": part.number,
        "points": round(sum(row.points for row in rows), 4),
        "max_points": round(sum(row.max_points for row in rows), 4),
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    """One check. What a hidden check took and why it fails could carry a secret, so both are left out."""
    check, hidden = row.check, row.check.hidden
    rank = None
    if row.ranked is not None and check.ranks is not None:
        rank = {"name": check.ranks[0], "value": row.ranked, "order": check.ranks[1]}
    return {
        "id": row.id,
        "number": row.number,
        "part": check.part,
        "title": check.title,
        "status": row.status,
        "points": round(row.points, 4),
        "max_points": round(row.max_points, 4),
        "reason": "" if hidden else row.reason or "",
        "leaf": "" if hidden else row.leaf,
        "message": row.message,
        "hint": row.hint,
        "misconception": None if hidden else row.misconception,
        "given": list(row.given),
        "seconds": 0.0 if hidden else round(row.seconds, 3),
        "cpu_seconds": 0.0 if hidden else round(row.cpu_seconds, 3),
        "peak_mb": 0.0 if hidden else round(row.peak_kb / 1024, 1),
        "on_request": check.on_request,
        "output": shorten(row.output, MAX_OUTPUT),
        "visibility": check.visibility,
        "tags": list(check.tags),
        "rank": rank,
    }
