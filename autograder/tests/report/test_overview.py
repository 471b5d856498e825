"""The overview has a line for each assignment, which says what to go on with, and ends with how to see one whole."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.report.overview import Overview
from autograder.report.report import Report, empty_rows
from autograder.report.status import Status


@pytest.fixture(scope="module")
def report() -> Report:
    """A report of a01 on which nothing has been graded yet."""
    assignment = Course.here().load("a01")
    return Report(assignment, empty_rows(assignment, collect(assignment)), 2)


def graded(report: Report, *statuses: Status) -> Report:
    """The report with these statuses of its first checks. The others pass."""
    rows = [replace(row, status=Status.PASSED, points=row.max_points) for row in report.rows]
    for i, status in enumerate(statuses):
        rows[i] = replace(rows[i], status=status, points=0.0)
    return replace(report, rows=rows)


def overview(*reports: Report) -> list[str]:
    out = io.StringIO()
    table = Overview(Console(file=out, width=40), ["The transformer", "A much longer title"])
    for report in reports:
        table.add(report)
    table.close()
    return out.getvalue().splitlines()


def test_a_line_says_points_checks_and_the_next_part(report):
    head, line, _, last = overview(graded(report, Status.FAILED))
    n = len(report.rows)
    assert line.startswith(f" a01  {'The transformer':19}  ") and f"{n - 1} of {n}  {report.rows[0].check.part}" in line
    assert "next part" in head and last.endswith("make grade A=a01")


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ((), "nothing is open"),
        ((Status.GRADER_FAULT,), "a fault of the grader: "),
        ((Status.NOT_GRADED_HERE,), "nothing is open"),
    ],
)
def test_a_line_says_why_nothing_is_to_be_done(report, statuses, words):
    assert words in overview(graded(report, *statuses))[1]


def test_a_line_says_that_a_grade_was_interrupted(report):
    assert "interrupted" in overview(replace(report, interrupted=True))[1]


def test_the_last_line_names_the_first_that_is_not_done(report):
    other = replace(report, assignment=Course.here().load("a02"))
    assert overview(graded(report), other)[-1].endswith("make grade A=a02")
    assert overview(graded(report), graded(other))[-1].endswith("make grade A=a01")
