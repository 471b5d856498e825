"""After a time-out the other checks of the part are not tried, and a grade is the same whichever worker ends first.

Verdicts come from a table here, as a worker's would: `slow` ones arrive late, on any number of threads.
"""

import math
import random
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from autograder import grading
from autograder.assignment import Assignment, Part
from autograder.check.check import Check
from autograder.grading import Grader, Judgement, grade
from autograder.judge.judge import Drive, MatchesReference
from autograder.judge.reason import Reason
from autograder.sandbox.outcome import Ending, Outcome
from autograder.submission.working_copy import Tree

OWN, GIVEN = Tree(Path("own"), Path("own/a90_toy")), Tree(Path("given"), Path("given/a90_toy"))
PARTS = tuple(Part(name, name, 10.0, number) for number, name in enumerate(("m.a", "m.b", "m.c"), 1))
ASSIGNMENT = Assignment("a90", "a90_toy", Path("a90_toy"), "A toy", ("m.py",), PARTS, 5, 512, (), ())


def check(name: str, *needs: str, timed: bool = False, hidden: bool = False, weight: float = 1.0) -> Check:
    """A check of the part whose letter its name begins with."""
    judge = MatchesReference()
    if timed:
        judge.drive = Drive.STEP
    test_id = f"{'hidden/' if hidden else ''}test_m.py::{name}"
    part = f"m.{name[0]}"
    return Check(test_id, Path("test_m.py"), name, print, judge, weight, part, needs, name, {}, hidden=hidden, share=weight / 10)


@pytest.fixture
def graded(monkeypatch):
    """Grades with these verdicts; returns what each check came to, and the names of those that were run, in their order.

    own, given: names of the checks that run into the time limit, with the student's files and with the given parts.
    """
    monkeypatch.setattr(grading, "substitute", lambda *_: GIVEN)

    def start(checks: list[Check], own: set[str], given: set[str] = frozenset(), jobs: int = 2, seed: int = 0, try_all=False):
        lock, ran, delays = threading.Lock(), [], random.Random(seed)

        def judge(_: Grader, check: Check, tree: Tree) -> Judgement:
            with lock:
                ran.append((check.name, tree.path.name))
                delay = delays.choice([0.0, 0.005, 0.02])
            time.sleep(delay)
            if check.name in (own if tree is OWN else given):
                return Judgement(0.0, Reason.TIMEOUT, "no answer", outcome=Outcome(Ending.TIMEOUT))
            return Judgement(1.0, outcome=Outcome(Ending.OBSERVED))

        monkeypatch.setattr(Grader, "judge", judge)
        jail = SimpleNamespace(level=2)
        runner = SimpleNamespace(assignment=ASSIGNMENT, jail=jail, device="cpu", deadline=math.inf)
        runner.timing_lock, runner.cancelled = nullcontext(), threading.Event()
        report = grade(runner, OWN, checks, Path("scratch"), jobs, try_all=try_all)
        return {row.check.name: (row.status.value, row.reason, row.given) for row in report.rows}, ran, report

    return start


PASSED, TIMEOUT = ("passed", None, ()), ("failed", Reason.TIMEOUT, ())
NOT_TRIED = ("not_attempted", Reason.NOT_TRIED, ())
WITH_GIVEN = ("passed", None, ("m.a",))

LOOP_IN_A_PART_THAT_OTHERS_NEED = [
    check("a1"),
    check("a2"),
    check("a3_timed", timed=True),
    check("a4"),
    check("b1", "m.a"),
    check("b2"),
    check("b3", "m.a"),
    check("b4", "m.a"),
    check("c1", "m.a", "m.b"),
    check("c2_timed", "m.a", timed=True),
]


@pytest.mark.parametrize("jobs", [1, 2, 4, 16])
@pytest.mark.parametrize("seed", range(5))
def test_the_verdicts_are_the_same_in_whatever_order_workers_end(graded, jobs, seed):
    """a2 loops, so what needs m.a is judged with the given one. b3 loops of its own accord, so b4 is not tried."""
    came_to, _, _ = graded(LOOP_IN_A_PART_THAT_OTHERS_NEED, {"a2", "b1", "b3", "c1", "c2_timed"}, {"b3"}, jobs, seed)
    assert came_to == {
        "a1": PASSED,
        "a2": TIMEOUT,
        "a3_timed": NOT_TRIED,
        "a4": NOT_TRIED,
        "b1": WITH_GIVEN,
        "b2": PASSED,
        "b3": ("failed", Reason.TIMEOUT, ("m.a",)),
        "b4": NOT_TRIED,
        "c1": ("passed", None, ("m.a", "m.b")),
        "c2_timed": WITH_GIVEN,
    }


def test_on_one_core_an_endless_loop_costs_one_time_out(graded):
    _, ran, _ = graded(LOOP_IN_A_PART_THAT_OTHERS_NEED, {"a2", "b1", "b3", "c1", "c2_timed"}, {"b3"}, jobs=1)
    assert [name for name, tree in ran if (name, tree) in {("a2", "own"), ("b3", "given")}] == ["a2", "b3"]
    assert not {("a3_timed", "own"), ("a4", "own"), ("b1", "own"), ("c1", "own")} & set(ran)


def test_all_are_tried_where_somebody_asks_for_it(graded):
    came_to, ran, _ = graded(LOOP_IN_A_PART_THAT_OTHERS_NEED, {"a2", "a4"}, try_all=True)
    assert came_to["a4"] == TIMEOUT and came_to["a3_timed"] == PASSED and len(ran) == len(LOOP_IN_A_PART_THAT_OTHERS_NEED)


def test_a_check_that_is_asked_for_alone_is_tried(graded):
    assert graded([check("a4")], {"a4"})[0] == {"a4": TIMEOUT}


def test_the_report_says_in_words_why_a_check_was_not_tried(graded):
    row = graded([check("a1"), check("a2")], {"a1"})[2].rows[1]
    assert row.status.explain(row.message) == (
        "Not attempted, because a1 of this part ran into its time limit; `make grade A=a90 ARGS=--try-all` tries it."
    )
    assert row.points == 0 and row.max_points == 1


def test_a_slow_timed_check_stops_no_plain_one(graded):
    came_to, _, _ = graded([check("a1_timed", timed=True), check("a2"), check("a3_timed", timed=True)], {"a1_timed"})
    assert came_to == {"a1_timed": TIMEOUT, "a2": PASSED, "a3_timed": NOT_TRIED}


@pytest.mark.parametrize("first", [check("a1", hidden=True), check("a1", weight=0)], ids=["hidden", "without points"])
def test_what_not_everybody_runs_changes_nothing_for_others(graded, first):
    """Hidden checks, those of a device and those on request. So a student's grade is the official one."""
    assert graded([first, check("a2"), check("b1", "m.a")], {"a1"})[0] == {"a1": TIMEOUT, "a2": PASSED, "b1": PASSED}


def test_a_hidden_check_that_is_not_tried_says_nothing(graded):
    row = graded([check("a1"), check("a2", hidden=True)], {"a1"})[2].rows[1]
    assert (row.status.value, row.reason) == ("failed", Reason.NOT_TRIED)
    assert row.message == "a hidden check; what it saw is not shown"


def test_what_a_hidden_check_prints_is_not_shown(graded, monkeypatch):
    loud = Judgement(1.0, outcome=Outcome(Ending.OBSERVED, output="a secret"))
    rows = grading.empty_rows(ASSIGNMENT, [check("a1", hidden=True), check("a2")])
    for row in rows:
        grading._settle(row, loud)
    assert [row.output for row in rows] == ["", "a secret"]
