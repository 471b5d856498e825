"""The report as Gradescope's results.json, with the policies that the assignment sets.

The report (a dict) is the one source; nothing is graded or judged here. Text is plain text throughout, because a
submission shapes a part of it. Left out: GitHub's and Bitbucket's own fields, which change nothing.
Source: Gradescope's documentation of results.json; its schema as we use it is schema/results.schema.json.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from autograder.files import write_atomically
from autograder.gradescope.metadata import Metadata
from autograder.gradescope.policy import Settings
from autograder.report.status import Status
from autograder.report.view import RowView

MAX_TEXT = 100_000  # Gradescope cuts each output there


def graded(report: dict, settings: Settings, metadata: Metadata, unfinished: str = "") -> dict[str, Any]:
    """results.json of one graded submission. unfinished: why checks were not reached, if the run was cut short.

    The score is the earned points, less what lateness costs; points of a fault of the grader are granted and flagged.
    """
    percent = settings.late.percent(metadata.late_by)
    score = round(report["score"] * (1 - percent / 100), 2)
    checks = report["checks"]
    extra = {
        "manifest": report["manifest"],
        "manifest_sha256": report["manifest_sha256"],
        "isolation_level": report["isolation_level"],
        "environment": report["environment"],
        "regrade": any(Status.of(check["status"]).granted for check in checks),
        "earned": report["score"],
        "max_score": report["max_score"],
        "late_percent": percent,
        "unfinished": unfinished,
        "metadata_problems": metadata.problems[:20],
        "refused": [t.isoformat() for t in metadata.refused[-100:]],
    }
    return {
        "score": score,
        "execution_time": report["seconds"],
        "output": text(_summary(report, settings, metadata, percent, score, unfinished)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": extra,
        "tests": [_test(RowView.of(check), check, settings, unfinished) for check in checks],
        "leaderboard": _leaderboard(checks),
    }


def not_graded(report: dict, settings: Settings, metadata: Metadata, free: datetime) -> dict[str, Any]:
    """results.json of a submission over the rate limit: nothing was run, and the score before it is kept."""
    kept = [p.score for p in metadata.previous if not p.crashed][-1]
    rate = settings.rate
    why = (
        f"Not graded: {rate.submissions} submissions were graded in the last {rate.hours:g} hours, and that is the limit. "
        f"The next one is graded from {free:%Y-%m-%d %H:%M} UTC on. Your previous score, {kept:g}, is kept."
    )
    value = graded(report, settings, metadata, why)
    value["score"], value["output"] = kept, text(why)
    if metadata.created_at:  # without a time there is no rate to be over
        value["extra_data"]["refused"].append(metadata.created_at.isoformat())
    return value


def _test(row: RowView, check: dict, settings: Settings, unfinished: str) -> dict[str, Any]:
    visibility = check["visibility"]
    if row.hidden and visibility == "visible":
        visibility = settings.hidden_visibility
    shown = ("id", "status", "reason", "seconds", *(() if row.hidden else ("misconception", "given")))
    return {
        "number": row.number,
        "name": text(f"{row.part}: {row.title}", 500, one_line=True),
        "score": row.points,
        "max_score": row.max_points,
        "status": "passed" if row.status is Status.PASSED or row.status.granted else "failed",
        "output": text(_explain(row, unfinished)),
        "output_format": "text",
        "tags": [*row.tags, *(["regrade"] if row.status.granted else [])],
        "visibility": visibility,
        "extra_data": {key: check[key] for key in shown},
    }


def _explain(row: RowView, unfinished: str) -> str:
    if row.not_reached:
        return f"Not reached, so there is no verdict. {unfinished or 'The run was cut short.'}"
    if row.hidden:
        return row.status.explain("a hidden check met it") if row.status.granted else row.message
    lines = [row.message, row.hint]
    if row.given:
        lines.append(f"Judged with the given {' and '.join(row.given)} in place of yours.")
    if row.output:
        lines.append(f"It printed:\n{row.output}")
    return "\n".join(filter(None, lines))


def _summary(report: dict, settings: Settings, metadata: Metadata, percent: float, score: float, unfinished: str) -> str:
    """What a student reads first. It adds up visible checks alone, so that it tells nothing about hidden ones."""
    rows = [RowView.of(check) for check in report["checks"]]
    visible = [row for row in rows if not row.hidden or settings.hidden_visibility == "visible"]
    earned, full = round(sum(row.points for row in visible), 2), round(sum(row.max_points for row in visible), 2)
    graded_here = [row for row in visible if row.status.is_verdict]
    passed = sum(row.status is Status.PASSED for row in graded_here)
    lines = [f"{earned:g} of {full:g} points; {passed} of {len(graded_here)} checks pass."]
    if len(visible) < len(rows):
        lines.append(f"{len(rows) - len(visible)} more checks, with the rest of the points, are not shown here.")
    if percent:
        hours = metadata.late_by / timedelta(hours=1)
        total = f", so {score:g} remain" if len(visible) == len(rows) else ""
        lines.append(f"{hours:.1f} hours after the due date: {percent:g} % of the points are lost{total}.")
    if unfinished:
        missed = sum(row.not_reached for row in visible)
        lines.append(f"{unfinished} {missed} of {len(visible)} checks were not reached. That is no verdict on them.")
    if faults := sum(row.status.granted for row in visible):
        lines.append(f"{faults} checks met a fault of the grader; their points are granted, and your instructors will regrade.")
    if absent := len(visible) - len(graded_here):
        lines.append(f"Without points, and not graded for want of a device: {absent} extra.")
    return "\n".join(lines + [f"Note: {note}" for note in report["notes"]])


def _leaderboard(checks: list[dict]) -> list[dict]:
    ranked = [c for c in checks if c["rank"]]
    names = [c["rank"]["name"] for c in ranked]
    return [
        {
            "name": text(name if names.count(name) == 1 else f"{name} ({check['number']})", 100, one_line=True),
            "value": check["rank"]["value"],
            "order": check["rank"]["order"],
        }
        for name, check in zip(names, ranked, strict=True)
    ]


def text(value: str, most: int = MAX_TEXT, one_line: bool = False) -> str:
    """Plain text without control characters, cut to `most` characters."""
    kept = "" if one_line else "\n\t"
    plain = "".join(c if c.isprintable() or c in kept else "�" for c in value[: most + 1].replace("\r\n", "\n"))
    end = " … (cut)"
    return plain if len(plain) <= most else plain[: most - len(end)] + end


def dumps(value: dict[str, Any]) -> str:
    """As JSON, in ASCII whatever stands in the texts. ValueError for a number that JSON does not have."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def write_results(path: Path, value: dict[str, Any]) -> None:
    """As a file that is never half written."""
    write_atomically(path, dumps(value))
