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
        "regrade": any(c["status"] == "grader_fault" for c in checks),
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
        "tests": [_test(check, settings, unfinished) for check in checks],
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
    value["extra_data"]["refused"].append(metadata.created_at.isoformat())
    return value


def _test(check: dict, settings: Settings, unfinished: str) -> dict[str, Any]:
    hidden = check["id"].startswith("hidden/")
    visibility = check["visibility"]
    if hidden and visibility == "visible":
        visibility = settings.hidden_visibility
    detail = {key: check[key] for key in ("id", "status", "reason", "seconds", *(() if hidden else ("misconception", "given")))}
    return {
        "number": check["number"],
        "name": text(f"{check['part']}: {check['title']}", 500, one_line=True),
        "score": check["points"],
        "max_score": check["max_points"],
        "status": "passed" if check["status"] in ("passed", "grader_fault") else "failed",
        "output": text(_explain(check, hidden, unfinished)),
        "output_format": "text",
        "tags": [*check["tags"], *(["regrade"] if check["status"] == "grader_fault" else [])],
        "visibility": visibility,
        "extra_data": detail,
    }


def _explain(check: dict, hidden: bool, unfinished: str) -> str:
    status, message = check["status"], check["message"]
    if not_reached(check):
        return f"Not reached, so there is no verdict. {unfinished or 'The run was cut short.'}"
    if status == "grader_fault":
        fault = "" if hidden else f" What happened: {message}"
        return f"A fault of the grader, not of your code. Its points are granted for now; your instructors will regrade.{fault}"
    if status == "not_graded_here":
        return f"Not graded here, {message}. It is outside the points of this assignment."
    if status == "not_attempted":
        return f"Not attempted, {message}."
    if hidden:
        return "" if status == "passed" else message
    lines = [] if status == "passed" else [message, check["hint"]]
    if check["given"]:
        lines.append(f"Judged with the given {' and '.join(check['given'])} in place of yours.")
    if check["output"].strip() and status != "passed" and check["reason"] != "todo":
        lines.append("It printed:\n" + check["output"].strip())
    return "\n".join(filter(None, lines))


def not_reached(check: dict) -> bool:
    """Whether the run ended before this check had its turn."""
    return check["status"] == "not_attempted" and not check["reason"]  # one that waits for another part has failed first


def _summary(report: dict, settings: Settings, metadata: Metadata, percent: float, score: float, unfinished: str) -> str:
    """What a student reads first. It adds up visible checks alone, so that it tells nothing about hidden ones."""
    checks = report["checks"]
    seen = [c for c in checks if not c["id"].startswith("hidden/") or settings.hidden_visibility == "visible"]
    earned, full = (round(sum(c[key] for c in seen), 2) for key in ("points", "max_points"))
    counted = [c for c in seen if c["status"] != "not_graded_here"]
    passed = sum(c["status"] == "passed" for c in counted)
    lines = [f"{earned:g} of {full:g} points; {passed} of {len(counted)} checks pass."]
    if len(seen) < len(checks):
        lines.append(f"{len(checks) - len(seen)} more checks, with the rest of the points, are not shown here.")
    if percent:
        hours = metadata.late_by / timedelta(hours=1)
        total = f", so {score:g} remain" if len(seen) == len(checks) else ""
        lines.append(f"{hours:.1f} hours after the due date: {percent:g} % of the points are lost{total}.")
    if unfinished:
        missed = sum(map(not_reached, seen))
        lines.append(f"{unfinished} {missed} of {len(seen)} checks were not reached. That is no verdict on them.")
    if faults := sum(c["status"] == "grader_fault" for c in seen):
        lines.append(f"{faults} checks met a fault of the grader; their points are granted, and your instructors will regrade.")
    if absent := sum(c["status"] == "not_graded_here" for c in seen):
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


def write(path: Path, value: dict[str, Any]) -> None:
    """As a file that is never half written."""
    write_atomically(path, dumps(value))
