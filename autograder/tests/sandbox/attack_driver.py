"""Grades submissions one after another on one warm server, as a class is graded, with an honest one after each.

Started by test_attacks.py in the toy course's environment: reads names with paths and seconds as JSON on stdin, writes a JSON line for each.
"""

import io
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from autograder.assignment import Course
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata
from autograder.gradescope.policy import Settings
from autograder.gradescope.results import make_results
from autograder.report.as_json import as_json
from autograder.report.html import render_page
from autograder.report.terminal import print_report
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, grade_submission


def main() -> None:
    assignment = Course.here().load("a90")
    checks, asked = checks_of(assignment), json.load(sys.stdin)
    with Server(assignment.preload, warm_for_batch=True) as server:

        def grade(path: str, seconds: float = assignment.seconds) -> dict:
            started = time.monotonic()
            try:
                report = grade_submission(Path(path), replace(assignment, seconds=seconds), checks, server)
            except BadInput as error:
                return {"refused": str(error), "seconds": time.monotonic() - started}
            seconds, text = time.monotonic() - started, io.StringIO()
            print_report(report, Console(file=text, width=100, no_color=True), verbose=True)
            data = as_json(report)
            return {
                "seconds": seconds,
                "report": data,
                "terminal": text.getvalue(),
                "html": render_page(data),
                "results": make_results(data, Settings(), Metadata()),
            }

        for name, path in asked["attacks"].items():
            found, after = grade(path, asked["seconds"][name]), grade(asked["honest"])
            row = {"name": name, **found, "next": after["report"], "next_seconds": after["seconds"]}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
