"""What each row shows is worked out once, and every status means the same to every reader."""

import re

import pytest

from autograder.report.html import render_page
from autograder.report.status import Status
from autograder.report.terminal import _COLOURS
from autograder.report.view import RowView, format_points, view_report
from autograder.tests.report.test_html import MIXED, check, report

BY_HAND = {"name": "by_hand", "title": "on paper", "number": 1, "points": 0.0, "max_points": 5.0}


def test_every_tone_has_a_colour_on_the_terminal_and_on_the_page():
    page = render_page(MIXED)
    for status in Status:
        assert status.tone in _COLOURS
        assert re.search(rf"\.{status} {{ color: var\(--{status.tone}\)", page), status
        assert re.search(rf"--{status.tone}: #", page)


def test_every_status_is_a_value_of_its_own_with_a_sign_and_words_of_its_own():
    for field in ("value", "sign", "words"):
        values = [getattr(status, field) for status in Status]
        assert len(set(values)) == len(values) and all(values)


@pytest.mark.parametrize("status", Status)
def test_a_row_says_what_its_status_says(status):
    row = RowView.of(check("x", status, message="for a reason"))
    assert row.message == ("" if status is Status.PASSED else status.explain("for a reason"))
    assert row.not_reached == (status is Status.NOT_ATTEMPTED)  # it has no reason, so it has not had its turn
    assert row.can_be_debugged == (status in (Status.PARTIAL, Status.FAILED))


def test_a_check_that_ran_on_request_shows_what_it_has_to_say():
    assert RowView.of(check("x", "passed", message="1.2 on average")).message == ""
    assert RowView.of(check("x", "passed", message="1.2 on average", on_request=True)).message == "1.2 on average"


def test_a_message_is_read_once_and_a_mistake_is_explained_once():
    wrong = {"reason": "value", "message": "out[0] differs"}
    view = view_report(report(check("a", "failed", **wrong, misconception="m"), check("b", "failed", **wrong, misconception="m")))
    assert [(row.same, row.again) for row in view.rows] == [(False, False), (True, True)]
    other = view_report(report(check("a", "failed", **wrong), check("b", "failed", **wrong | {"message": "out[1] differs"})))
    assert [(row.same, row.again) for row in other.rows] == [(False, False), (False, False)]


def test_what_several_checks_print_alike_stands_at_the_first_that_is_read():
    """That is one that fails. The others print nothing of their own, so they are only counted."""
    loud = {"output": "imported\n"}
    checks = [check("a", "passed", **loud), check("b", "failed", reason="todo", **loud), check("c", "failed", **loud)]
    view = view_report(report(*checks, check("d", "passed", output="else"), check("e", "passed")))
    assert [row.output for row in view.rows] == ["", "", "imported", "else", ""]
    assert [row.others for row in view.rows] == [0, 0, 2, 0, 0]
    assert view.rows[2].printed == "It printed (the same in 2 other checks)" and view.rows[3].printed == "It printed"
    assert "the same in 2 other checks" in render_page(report(*checks))


def test_a_problem_on_paper_has_nothing_to_debug():
    wrong = {"reason": "value", "message": "not the number"}
    assert not RowView.of(check("x", "failed", part="by_hand", **wrong)).can_be_debugged
    assert RowView.of(check("x", "failed", **wrong)).can_be_debugged
    assert "Alone:" not in render_page(report(check("x", "failed", part="by_hand", **wrong), parts=[BY_HAND]))


def test_rows_of_another_machine_stand_by_themselves_and_are_counted():
    view = view_report(MIXED)
    assert [row.name for row in view.elsewhere] == ["cuda"] and view.faults == 1
    assert view.counts == ("8 checks: 2 passed, 1 partly, 2 failed, 1 not attempted, 1 not graded here, 1 fault of the grader")


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (2.0, "2"), (1 / 3, "0.33"), (2.5, "2.5"), (99.996, "100"), (100, "100")])
def test_points_have_at_most_two_decimals(number, text):
    assert format_points(number) == text
