"""A report as text, the same on every machine: terminal, page, JSON, and what Gradescope gets."""

import io
import json
import re
from dataclasses import replace

from rich.console import Console
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from autograder.gradescope.metadata import Metadata
from autograder.gradescope.policy import Settings
from autograder.gradescope.results import make_results
from autograder.report.as_json import as_json
from autograder.report.html import render_page
from autograder.report.report import Report, Row
from autograder.report.terminal import print_report

_STAMP = re.compile(r"\[([WEI])\d{4} [\d:.]+ ")  # before a warning of PyTorch
_MEASURED = re.compile(r"\d+(\.\d+)?(?= times\b| s\b| seconds\b| MB\b)")  # times and memory in a message


class Terminal(SingleFileSnapshotExtension):
    """A snapshot that is a file of text of its own."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class Page(Terminal):
    """A snapshot that a browser shows."""

    file_extension = "html"


class Data(Terminal):
    """A snapshot of JSON."""

    file_extension = "json"


def unmeasured(report: Report) -> Report:
    """The report without times, memory, versions, and whatever else differs from run to run and between machines."""
    return replace(
        report,
        rows=[_unmeasured(row) for row in report.rows],
        isolation_level=3,
        environment={name: value if name == "inputs" else "…" for name, value in report.environment.items()},
        seconds=0.0,
    )


def _unmeasured(row: Row) -> Row:
    return replace(
        row,
        message=_MEASURED.sub("#", row.message),
        output=_STAMP.sub(r"[\1… ", row.output),
        seconds=0.0,
        cpu_seconds=0.0,
        peak_kb=0,
        ranked=None if row.ranked is None else 1.0,
    )


def terminal(report: Report, width: int = 80) -> str:
    """What `make grade` prints."""
    text = io.StringIO()
    print_report(report, Console(file=text, width=width, no_color=True))
    return text.getvalue()


def views(report: Report) -> dict[type[Terminal], str]:
    """Each view of a report under the kind of its snapshot. The JSON also holds what Gradescope gets."""
    data = as_json(report)
    results = make_results(data, Settings.of(report.assignment), Metadata())
    dump = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
    return {Terminal: terminal(report), Page: render_page(data), Data: dump({"report": data, "gradescope": results}) + "\n"}
