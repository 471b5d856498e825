"""What a snapshot leaves out is what was measured, and nothing else."""

import pytest

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.report.report import Report, empty_rows
from autograder.report.status import Status
from tools.tests.snapshots import unmeasured, views


@pytest.fixture(scope="module")
def report() -> Report:
    assignment = Course.here().load("a01")
    rows = empty_rows(assignment, collect(assignment))
    rows[0].status, rows[0].message = Status.FAILED, "It takes 3.25 times as long as 2.5 of out[1, 0], 12 MB more."
    rows[0].seconds, rows[0].cpu_seconds, rows[0].peak_kb = 1.5, 1.25, 9000
    return Report(assignment, rows, 2, environment={"torch": "2.13.0"}, seconds=7.125)


def test_what_was_measured_is_left_out(report):
    row, clean = report.rows[0], unmeasured(report)
    assert clean.rows[0].message == "It takes # times as long as 2.5 of out[1, 0], # MB more."
    assert row.message.startswith("It takes 3.25"), "the report itself stays as it was"
    for text in views(clean).values():
        assert not [measured for measured in ("3.25", "2.13.0", "7.125", "9000") if measured in text]
    assert any("3.25" in text for text in views(report).values()) and any("7.1" in text for text in views(report).values())


def test_every_view_shows_a_change_of_words(report):
    before = views(unmeasured(report))
    report.rows[0].message = report.rows[0].message.replace("takes", "needs")
    after = views(unmeasured(report))
    assert [kind for kind in before if before[kind] == after[kind]] == []
