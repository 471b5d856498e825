"""The report as one self-contained page: no script, nothing fetched, inert whatever a submission has printed.

Written from the JSON report alone, so a class can be shown again without grading it again. Text of a submission is escaped by
Jinja2, and a content security policy in the page forbids everything but its own style.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.report.terminal import NOT_RUN, SIGNS, format_points
from autograder.text import sanitize

WORDS = {
    "passed": "passed",
    "partial": "partly",
    "failed": "failed",
    "not_attempted": "not attempted",
    "not_graded_here": "not graded here",
    "grader_fault": "fault of the grader",
}


def render_page(report: dict, name: str = "") -> str:
    """The page of one JSON report. name: whose it is, shown as given."""
    rows = _shown(report["checks"])
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


def _shown(checks: list[dict]) -> list[dict]:
    """The checks as they stand on the page; a message that has just been read is not shown again."""
    said: set[str] = set()
    rows = []
    for check in checks:
        texts = {key: (check.get(key) or "").strip() for key in ("message", "hint", "title", "output")}
        ran, hidden = check["reason"] not in NOT_RUN, check["id"].startswith("hidden/")
        row = {**check, **texts, "output": texts["output"] if ran else "", "same": not hidden and texts["message"] in said}
        row["alone"] = check["id"].partition("::")[2].partition("[")[0] if ran and not hidden else ""
        said |= {row["message"]} if row["status"] == "failed" else set()
        rows.append(row)
    return rows


def _part(part: dict, rows: list[dict]) -> dict:
    seen = [row for row in rows if not row["id"].startswith("hidden/")]  # why a hidden check failed is not told
    todo = bool(seen) and all(row["reason"] == "todo" for row in seen) and not part["points"]
    passed = [row for row in rows if row["status"] == "passed"]
    lost = {row["status"] for row in rows} & {"failed", "partial", "not_attempted"}
    named: set[str] = set()
    for row in rows:  # a mistake is explained once a part
        row["again"] = row["misconception"] in named
        named |= {row["misconception"]} - {None}
    return {
        **part,
        "todo": todo,
        "status": "not_attempted" if todo else "failed" if lost else "passed" if len(passed) == len(rows) else "grader_fault",
        "passed": passed,
        "open": [row for row in rows if row["status"] != "passed"],
        "given": sorted({name for row in rows for name in row["given"]}),
    }


def code(text: str) -> Markup:
    """The text, escaped, with what stands in `backticks` set as code."""
    pieces = re.split(r"`([^`\n]+)`", sanitize(text))
    return Markup("").join(Markup("<code>{}</code>").format(piece) if i % 2 else piece for i, piece in enumerate(pieces))


def _finalize(value: Any) -> Any:
    """What a template puts into the page: text made plain; markup is our own (of a macro, of `code`) and has been through here."""
    return sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """Jinja2 with all text escaped and made plain, and an error for a name that does not exist; `tools` draws with it too."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=format_points, code=code)
    made.globals.update(signs={status: sign for status, (sign, _) in SIGNS.items()}, words=WORDS)
    return made
