"""The report as JSON, from which pages, Gradescope's results and a class are made; its schema is schema/report.schema.json."""

import hashlib
from typing import Any

from autograder import __version__
from autograder.report.next_step import next_step
from autograder.report.report import Report


def as_json(report: Report) -> dict[str, Any]:
    """The JSON report; its schema is schema/report.schema.json."""
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
        "parts": [
            {
                "name": part.name,
                "title": part.title,
                "number": part.number,
                "points": round(sum(r.points for r in rows), 4),
                "max_points": round(sum(r.max_points for r in rows), 4),
            }
            for part, rows in report.by_part()
        ],
        "seconds": round(report.seconds, 3),
        "checks": [
            {
                "id": r.id,
                "number": r.number,
                "part": r.check.part,
                "title": r.check.title,
                "status": r.status,
                "points": round(r.points, 4),
                "max_points": round(r.max_points, 4),
                "reason": "" if r.check.hidden else r.reason or "",
                "message": r.message,
                "hint": r.hint,
                "misconception": None if r.check.hidden else r.misconception,
                "given": list(r.given),
                # What a hidden check took could carry a secret.
                "seconds": 0.0 if r.check.hidden else round(r.seconds, 3),
                "cpu_seconds": 0.0 if r.check.hidden else round(r.cpu_seconds, 3),
                "peak_mb": 0.0 if r.check.hidden else round(r.peak_kb / 1024, 1),
                "on_request": r.check.on_request,
                "output": r.output[-2000:],
                "visibility": r.check.visibility,
                "tags": list(r.check.tags),
                "rank": None if r.ranked is None else {"name": r.check.ranks[0], "value": r.ranked, "order": r.check.ranks[1]},
            }
            for r in report.rows
        ],
    }


def manifest_hash(ids: list[str]) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
