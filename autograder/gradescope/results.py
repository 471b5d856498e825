"""The report as Gradescope's results.json, with the policies that the assignment sets.

The JSON report is the only source. Nothing is graded or judged here. All text is plain text, because a submission shapes
a part of it. Left out: the fields about GitHub and Bitbucket, which change nothing.
Source: Gradescope's documentation of results.json. Its schema as we use it is schema/results.schema.json.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from autograder.check.inputs import PUBLIC
from autograder.files import write_atomically
from autograder.gradescope.discreet import EXPLANATION, discreet_message
from autograder.gradescope.metadata import Metadata
from autograder.gradescope.policy import Settings
from autograder.report.status import Status
from autograder.report.view import RowView, view_rows
from autograder.text import sanitize

MAX_TEXT = 100_000  # characters; Gradescope cuts each output there


def make_results(report: dict[str, Any], settings: Settings, metadata: Metadata, unfinished: str = "") -> dict[str, Any]:
    """results.json of a graded submission.

    The score is the earned points, less what lateness costs. Points of a fault of the grader are granted and flagged.

    report: the JSON report.
    unfinished: a sentence that says why some checks were not reached; empty if the run came to its end.
    """
    percent = settings.late.percent(metadata.late_by)
    score = round(report["score"] * (1 - percent / 100), 2)
    checks = report["checks"]
    rows = view_rows(report)
    visible = [row for row in rows if not row.hidden or settings.hidden_visibility == "visible"]
    late = _late_note(metadata, percent, score if len(visible) == len(rows) else None) if percent else ""
    public = report["environment"].get("inputs", PUBLIC.name) == PUBLIC.name
    summary = _summary(visible, len(rows) - len(visible), late, unfinished, report["notes"])
    summary += "" if public else f"\n{EXPLANATION}"
    return {
        "score": score,
        "execution_time": report["seconds"],
        "output": plain_text(summary),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {
            "manifest": report["manifest"],
            "manifest_sha256": report["manifest_sha256"],
            "isolation_level": report["isolation_level"],
            "environment": report["environment"],
            "regrade": any(row.status.granted for row in rows),
            "earned": report["score"],
            "max_score": report["max_score"],
            "late_percent": percent,
            "unfinished": unfinished,
            "metadata_problems": metadata.problems[:20],
            "refused": [time.isoformat() for time in metadata.refused[-100:]],
        },
        "tests": [_test(row, check, settings, unfinished, public) for row, check in zip(rows, checks, strict=True)],
        "leaderboard": _leaderboard(checks),
    }


def make_refused_results(report: dict[str, Any], settings: Settings, metadata: Metadata, next_free: datetime) -> dict[str, Any]:
    """results.json of a submission over the rate limit. Nothing was run, and the score before it is kept.

    report: the JSON report of a run that has not begun.
    next_free: when the next submission is graded.
    """
    kept = [earlier.score for earlier in metadata.previous if not earlier.crashed][-1]
    rate = settings.rate
    why = (
        f"Not graded: {rate.submissions} submissions were graded in the last {rate.hours:g} hours, and that is the limit. "
        f"The next one is graded from {next_free:%Y-%m-%d %H:%M} UTC on. Your previous score, {kept:g}, is kept."
    )
    results = make_results(report, settings, metadata, why)
    results["score"], results["output"] = kept, plain_text(why)
    if metadata.created_at:  # without a time there is no rate to be over
        results["extra_data"]["refused"].append(metadata.created_at.isoformat())
    return results


def _test(row: RowView, check: dict[str, Any], settings: Settings, unfinished: str, public: bool) -> dict[str, Any]:
    """One check as Gradescope's page shows it. public: whether students can know the inputs that were drawn."""
    visibility = check["visibility"]
    if row.hidden and visibility == "visible":
        visibility = settings.hidden_visibility
    copied = ("id", "status", "reason", "seconds", *(() if row.hidden else ("misconception", "given")))
    return {
        "number": row.number,
        "name": plain_text(f"{row.part}: {row.title}", 500, one_line=True),
        "score": row.points,
        "max_score": row.max_points,
        "status": "passed" if row.status is Status.PASSED or row.status.granted else "failed",
        "output": plain_text(_explain(row, check.get("leaf", ""), unfinished, public)),
        "output_format": "text",
        "tags": [*row.tags, *(["regrade"] if row.status.granted else [])],
        "visibility": visibility,
        "extra_data": {key: check[key] for key in copied},
    }


def _explain(row: RowView, leaf: str, unfinished: str, public: bool) -> str:
    """What a student reads about one check. leaf: where the first difference was found."""
    if row.not_reached:
        return f"Not reached, so there is no verdict. {unfinished or 'The run was cut short.'}"
    if row.hidden:
        return row.status.explain("a hidden check met it") if row.status.granted else row.message
    lines = [row.message if public else discreet_message(row, leaf), row.hint]
    if row.given:
        lines.append(f"Judged with the given {' and '.join(row.given)} in place of yours.")
    if row.output and public:
        lines.append(f"{row.printed}:\n{row.output}")
    return "\n".join(filter(None, lines))


def _summary(visible: list[RowView], not_shown: int, late: str, unfinished: str, notes: Sequence[str]) -> str:
    """What a student reads first. It counts visible checks alone, so that it tells nothing about hidden ones.

    not_shown: how many checks are hidden.
    late, unfinished: sentences, or empty.
    """
    earned, full = round(sum(row.points for row in visible), 2), round(sum(row.max_points for row in visible), 2)
    here = [row for row in visible if row.status.is_verdict]
    passed = sum(row.status is Status.PASSED for row in here)
    lines = [f"{earned:g} of {full:g} points; {passed} of {len(here)} checks pass."]
    if not_shown:
        lines.append(f"{not_shown} more checks, with the rest of the points, are not shown here.")
    if late:
        lines.append(late)
    if unfinished:
        missed = sum(row.not_reached for row in visible)
        lines.append(f"{unfinished} {missed} of {len(visible)} checks were not reached. That is no verdict on them.")
    if faults := sum(row.status.granted for row in visible):
        lines.append(f"{faults} checks met a fault of the grader; their points are granted, and your instructors will regrade.")
    if extra := len(visible) - len(here):
        lines.append(f"Without points, and not graded for want of a device: {extra} extra.")
    return "\n".join(lines + [f"Note: {note}" for note in notes])


def _late_note(metadata: Metadata, percent: float, score: float | None) -> str:
    """How late the submission is and what that costs. score: what remains; None where the total must not be told."""
    hours = metadata.late_by / timedelta(hours=1)
    remains = "" if score is None else f", so {score:g} remain"
    return f"{hours:.1f} hours after the due date: {percent:g} % of the points are lost{remains}."


def _leaderboard(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each number that checks rank by. Rows of the same name get the number of their check."""
    ranked = [check for check in checks if check["rank"]]
    names = [check["rank"]["name"] for check in ranked]
    return [
        {
            "name": plain_text(name if names.count(name) == 1 else f"{name} ({check['number']})", 100, one_line=True),
            "value": check["rank"]["value"],
            "order": check["rank"]["order"],
        }
        for name, check in zip(names, ranked, strict=True)
    ]


def plain_text(value: str, most: int = MAX_TEXT, one_line: bool = False) -> str:
    """The text without control characters, cut to `most` characters. one_line: without line breaks and tabs too."""
    plain = sanitize(value[: most + 1].replace("\r\n", "\n"), kept="" if one_line else "\n\t")
    end = " … (cut)"
    return plain if len(plain) <= most else plain[: most - len(end)] + end


def results_to_json(results: dict[str, Any]) -> str:
    """The results as JSON in ASCII, whatever stands in the texts. ValueError: one is a number that JSON does not have."""
    return json.dumps(results, indent=1, allow_nan=False) + "\n"


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write the results to a file that is never half written.

    ValueError: as in `results_to_json`.
    OSError: the file cannot be written. What stood there before stays.
    """
    write_atomically(path, results_to_json(results))
