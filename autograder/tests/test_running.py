"""One server serves many grades, and a timed check is compared with code that knows nothing of the student's."""

import threading

import pytest

from autograder.assignment import Course
from autograder.check.collecting import read_checks
from autograder.report.status import Status
from autograder.running import Runner, _without_beginning
from autograder.sandbox.jail import reserve_user
from autograder.sandbox.outcome import Ending
from autograder.sandbox.server_handle import Server
from autograder.sandbox.worker_handle import Worker
from autograder.session import GradeOptions, checks_of, grade_submission, scratch_space
from autograder.source.given_parts import GivenParts
from autograder.submission.working_copy import working_copy

BASELINE_LOOKS_FOR_THE_STUDENT = '''
import importlib.util

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import keeps_pace, part


@part("attention.causal_mask")
@weight(1)
@keeps_pace(full=50, none=100, repeats=3)
def test_pace(solution, draw):
    """The given code is timed in a tree of its own."""
    found = importlib.util.find_spec("a01_transformer") is not None
    if solution.attention.__name__.startswith("given.") and found:
        raise RuntimeError("the baseline can import the student's package")
    while True:
        yield {"found": found}
'''


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


def test_ctrl_c_ends_one_grade_and_not_those_that_come_after_it(server):
    """As in `watch`: the server stays, and the next save is graded."""
    assignment = Course.here().load("a01")
    source, checks = assignment.reference, checks_of(assignment, GradeOptions(only="causal_mask"))

    def ctrl_c(row):
        raise KeyboardInterrupt

    interrupted = grade_submission(source, assignment, checks, server, progress=ctrl_c)
    assert interrupted.interrupted
    after = grade_submission(source, assignment, checks, server)
    assert not after.interrupted
    assert {row.status for row in after.rows} == {Status.PASSED}


def test_a_cancelled_grade_starts_no_check_and_says_that_it_is_a_partial_one(server):
    """As `watch` does when a file is saved."""
    assignment, cancelled = Course.here().load("a01"), threading.Event()
    checks = checks_of(assignment, GradeOptions(only="causal_mask"))
    cancelled.set()
    report = grade_submission(assignment.reference, assignment, checks, server, cancelled=cancelled)
    assert report.interrupted and {row.message for row in report.rows} == {"interrupted"}


@pytest.mark.parametrize(
    ("trained", "predicted", "rest"),
    [
        ("imported\n", "imported\n", ""),
        ("imported\nstep 1\n", "imported\npredicts\n", "predicts\n"),
        ("imported", "imported too", "imported too"),
        ("", "x", "x"),
    ],
)
def test_what_a_module_prints_at_its_import_is_shown_once_for_training_and_predicting(trained, predicted, rest):
    assert _without_beginning(predicted, trained) == rest


def test_the_baseline_of_a_timed_check_has_no_file_of_the_students(server, tmp_path):
    path = tmp_path / "test_attention.py"
    path.write_text(BASELINE_LOOKS_FOR_THE_STUDENT, encoding="utf-8")
    [check] = read_checks(path)
    assignment = Course.here().load("a01")
    given = GivenParts.of(assignment.course, assignment.package)
    with scratch_space() as scratch, reserve_user() as jail:
        tree = working_copy(assignment.reference, assignment, scratch / "tree")
        baseline = tree.baseline(scratch / "baseline")
        outcome = Runner(server, assignment, scratch / "cwd", baseline, given, jail).step(check, tree, timed=True)
        assert outcome.kind == Ending.OBSERVED, outcome.error
        assert len(outcome.times) == 1  # of three repetitions, two are watched
        # The control: with the student's tree as the baseline, the check notices.
        outcome = Runner(server, assignment, scratch / "cwd", tree, given, jail).step(check, tree, timed=True)
        assert outcome.kind == Ending.RAISED and "can import the student's package" in outcome.error["message"]


def test_a_worker_that_is_given_up_before_it_is_forked_leaves_the_server_alive(server):
    """Its control socket is closed by then, and the server writes to it."""
    assignment = Course.here().load("a01")
    checks = checks_of(assignment, GradeOptions(only="causal_mask"))
    grade_submission(assignment.reference, assignment, checks, server)
    before = server.pid
    for _ in range(20):
        with Worker(server, {}):
            pass
    after = grade_submission(assignment.reference, assignment, checks, server)
    assert server.pid == before
    assert {row.status for row in after.rows} == {Status.PASSED}
