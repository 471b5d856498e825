"""What a report asks its reader to do: one thing, the first that is open in the order of the handout."""

from dataclasses import replace

import pytest

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.judge.reason import Reason
from autograder.report.next_step import next_step
from autograder.report.report import Report, Row, empty_rows
from autograder.report.status import Status
from autograder.source.stub_text import OpenQuestion, Unwritten

ASSIGNMENT = Course.here().load("a01")
PACKAGE = ASSIGNMENT.package


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The rows of a01 when all is right."""
    rows = empty_rows(ASSIGNMENT, collect(ASSIGNMENT))
    return [replace(row, status=Status.PASSED, points=row.max_points, message="") for row in rows]


def report(rows: list[Row], part: str = "", **fields) -> Report:
    """A report in which these fields of each check of the part are otherwise."""
    changed = [replace(row, **fields) if row.check.part == part else row for row in rows]
    return Report(ASSIGNMENT, changed, 2)


def unwritten(function: str, step: str) -> dict:
    sentence = str(Unwritten(f"{PACKAGE}/attention.py", function, step))
    return {"status": Status.FAILED, "points": 0.0, "reason": Reason.TODO, "message": sentence}


def test_a_wrong_part_is_to_be_fixed_and_the_command_runs_its_check_alone(rows):
    part = "attention.scaled_dot_product_attention"
    first = next(row for row in rows if row.check.part == part)
    assert next_step(report(rows, part, status=Status.FAILED, points=0.0, reason=Reason.VALUE)) == [
        f"Next: fix {part} (check {first.number}). Read assignments/{PACKAGE}/README.md, section attention.",
        f"Quick: make grade A=a01 ONLY={first.check.name}",
    ]


def test_a_part_that_is_not_written_is_to_be_opened(rows):
    assert next_step(report(rows, "attention.causal_mask", **unwritten("causal_mask", "attention, step 1"))) == [
        f"Next: open assignments/{PACKAGE}/attention.py and write causal_mask"
        f" (handout assignments/{PACKAGE}/README.md: attention, step 1).",
        "Then: make grade A=a01 ONLY=causal_mask",
    ]


def test_who_has_written_nothing_reads_how_much_there_is(rows):
    nothing = [replace(row, **unwritten("f", "attention, step 1")) for row in rows]
    lines = next_step(Report(ASSIGNMENT, nothing, 2))
    assert lines[0] == f"{len(ASSIGNMENT.parts)} parts are yours to write. Start small:"
    assert lines[1].startswith(f"Next: open assignments/{PACKAGE}/{ASSIGNMENT.parts[0].name.partition('.')[0]}.py")


def test_a_question_without_an_answer_leads_to_the_file(rows):
    question = {"status": Status.FAILED, "points": 0.0, "reason": Reason.TODO, "message": str(OpenQuestion("score"))}
    assert next_step(report(rows, "by_hand", **question)) == [f"Next: solve the problems in assignments/{PACKAGE}/by_hand.toml."]


def test_the_command_of_a_hidden_check_is_not_told(rows):
    part = "attention.causal_mask"
    hidden = [replace(row, check=replace(row.check, hidden=True)) if row.check.part == part else row for row in rows]
    assert len(next_step(report(hidden, part, status=Status.FAILED, points=0.0, reason=Reason.VALUE))) == 1


def test_when_nothing_is_open(rows):
    assert next_step(report(rows)) == ["Everything that can be graded here is right."]
    fault = report(rows, "attention.causal_mask", status=Status.GRADER_FAULT)
    assert next_step(fault) == ["Nothing else is open. Please tell your instructor about the fault."]


def test_a_check_that_was_not_tried_is_not_where_to_begin(rows):
    """A timed check, for example, stands before the plain one that ran into its time limit."""
    part = "attention.causal_mask"
    own = [row for row in rows if row.check.part == part]
    reasons = {own[0].id: Reason.NOT_TRIED, own[1].id: Reason.TIMEOUT}
    changed = [replace(row, status=Status.FAILED, reason=reasons[row.id]) if row.id in reasons else row for row in rows]
    assert f"(check {own[1].number})" in next_step(Report(ASSIGNMENT, changed, 2))[0]


def test_a_check_without_points_comes_last_and_needs_long(rows):
    """A check that runs on request carries no points, so it is next only when nothing with points is open."""
    request = replace(rows[0], max_points=0.0, points=0.0, check=replace(rows[0].check, on_request=True))
    wrong = {"status": Status.FAILED, "points": 0.0, "reason": Reason.VALUE}
    alone = next_step(Report(ASSIGNMENT, [replace(request, **wrong), *rows[1:]], 2))
    assert alone[1] == f"Quick: make grade A=a01 ONLY={request.check.name} ARGS=--long"
    with_points = next_step(Report(ASSIGNMENT, [replace(request, **wrong), *rows[1:-1], replace(rows[-1], **wrong)], 2))
    assert f"fix {rows[-1].check.part} " in with_points[0] and "--long" not in "".join(with_points)
