"""The report as one self-contained page: no script, nothing fetched, inert whatever a submission has printed.

Written from the JSON report alone, so a class can be shown again without grading it again. Text of a submission is escaped by
Jinja2, and a content security policy in the page forbids everything but its own style.
"""

from collections import Counter
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autograder.plain import plain
from autograder.terminal import SIGNS, number

WORDS = {
    "passed": "passed",
    "partial": "partly",
    "failed": "failed",
    "not_attempted": "not attempted",
    "not_graded_here": "not graded here",
    "grader_fault": "fault of the grader",
}


def page(report: dict, name: str = "") -> str:
    """The page of one JSON report. name: whose it is, shown as given."""
    rows = [_shown(check) for check in report["checks"]]
    here = [row for row in rows if row["status"] != "not_graded_here"]
    counts = Counter(row["status"] for row in rows)
    return (
        environment()
        .get_template("submission.html.j2")
        .render(
            report=report,
            name=name,
            parts=[_part(part, [row for row in here if row["part"] == part["name"]]) for part in report["parts"]],
            elsewhere=[row for row in rows if row["status"] == "not_graded_here"],
            faults=counts["grader_fault"],
            counts=f"{len(rows)} checks: " + ", ".join(f"{counts[s]} {WORDS[s]}" for s in SIGNS if counts[s]),
        )
    )


def _shown(check: dict) -> dict:
    shown = {key: (check.get(key) or "").strip() for key in ("message", "hint", "title", "output")}
    wanted = check["reason"] not in ("todo", "missing", "syntax")
    return {**check, **shown, "output": shown["output"] if wanted else ""}


def _part(part: dict, rows: list[dict]) -> dict:
    todo = bool(rows) and all(row["reason"] == "todo" for row in rows)
    passed = [row for row in rows if row["status"] == "passed"]
    named: set[str] = set()
    for row in rows:  # a mistake is explained once a part
        row["again"] = row["misconception"] in named
        named |= {row["misconception"]} - {None}
    return {
        **part,
        "todo": todo,
        "status": "passed" if len(passed) == len(rows) else "not_attempted" if todo else "failed",
        "passed": passed,
        "open": [row for row in rows if row["status"] != "passed"],
        "given": sorted({name for row in rows for name in row["given"]}),
    }


@cache
def environment() -> Environment:
    """Jinja2 with all text escaped and made plain, and an error for a name that does not exist; `tools` draws with it too."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=lambda value: plain(value) if isinstance(value, str) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.globals.update(signs={status: sign for status, (sign, _) in SIGNS.items()}, words=WORDS)
    return made
