"""The report on a narrow terminal: what is to be copied stands on one line, and what code has printed is bounded."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.judge.reason import Reason
from autograder.report.next_step import debug_command
from autograder.report.report import Report, Row, empty_rows
from autograder.report.status import Status
from autograder.report.terminal import MAX_LINE, MAX_PRINTED, print_report
from autograder.text import CUT, shorten

ASSIGNMENT = Course.here().load("a01")
PART = "attention.causal_mask"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The rows of a01, of which one part is wrong and the others are right."""
    rows = empty_rows(ASSIGNMENT, collect(ASSIGNMENT))
    passed = [replace(row, status=Status.PASSED, points=row.max_points, message="") for row in rows]
    wrong = {"status": Status.FAILED, "points": 0.0, "reason": Reason.VALUE, "message": "it differs"}
    return [replace(row, **wrong) if row.check.part == PART else row for row in passed]


def shown(rows: list[Row], verbose: bool = False) -> list[str]:
    """The lines of the report, 80 columns wide."""
    text = io.StringIO()
    print_report(Report(ASSIGNMENT, rows, 2), Console(file=text, width=80, no_color=True), verbose)
    return text.getvalue().splitlines()


def test_a_command_is_never_folded(rows):
    first = next(row for row in rows if row.check.part == PART)
    lines = [line.strip() for line in shown(rows)]
    assert f"Debug it: {debug_command(ASSIGNMENT.package, first.id)}" in lines
    assert f"Quick: make grade A=a01 ONLY={first.check.name}" in lines
    assert max(map(len, lines)) > 80  # it is longer than a line, so the test can fail


def test_of_a_long_output_the_first_and_the_last_lines_are_shown(rows):
    text = "\n".join(["first", *["y"] * 500, "x" * 400, "last"])
    printed = [replace(row, output=text) if row.check.part == PART else row for row in rows]
    lines = [line.strip() for line in shown(printed)]
    begin = lines.index(f"It printed (the same in {sum(row.check.part == PART for row in rows) - 1} other checks):")
    output = lines[begin + 1 : lines.index("last", begin) + 1]
    assert output[0] == "first" and output.count(CUT) == 1
    assert sum(line == "y" for line in output) == MAX_PRINTED - 3
    assert sum(line.count("x") for line in output) == MAX_LINE
    assert lines.count("first") == 1


def test_a_text_is_shortened_between_its_beginning_and_its_end():
    assert shorten("x" * 100, 100) == "x" * 100
    short = shorten("a" * 500 + "z" * 500, 100)
    assert len(short) in (99, 100) and short.startswith("aaa") and short.endswith("zzz") and f"\n{CUT}\n" in short


def test_what_passing_checks_print_is_shown_to_whoever_asks_for_it(rows):
    printed = [replace(row, output="seen") if row.check.part == "layers.gelu" else row for row in rows]
    words = "Checks that are not listed here printed something; ARGS=-v shows it."
    quiet, loud = (" ".join(" ".join(shown(printed, verbose)).split()) for verbose in (False, True))
    assert words in quiet and "seen" not in quiet
    assert words not in loud and "seen" in loud
    assert words not in " ".join(" ".join(shown(rows)).split())
