"""What a check says about itself is read from its decorators, and what is missing is said at once."""

from pathlib import Path

import pytest
from gradescope_utils.autograder_utils.decorators import number, visibility, weight

from autograder.check import fits_in_memory, keeps_pace, limits, matches_reference, needs, on_device, part, ranks
from autograder.check.check import Check
from autograder.check.collecting import read_checks
from autograder.check.decorators import on_request
from autograder.errors import GraderFault
from autograder.judge.judge import Drive
from autograder.judge.judge import matches_reference as parity

FILE = Path("tests/test_rope.py")


def decorated(*decorators, doc: str | None = "It turns.", name: str = "test_turns"):
    def function(solution, draw):
        raise AssertionError("the parent never calls a check")

    function.__doc__, function.__name__ = doc, name
    for decorate in decorators:
        function = decorate(function)
    return function


def test_everything_that_a_check_says_is_read():
    marks = [weight(2.5), number("3.1"), visibility("after_due_date"), part("rope.rotate"), needs("rope.angles", "norm.rms")]
    function = decorated(*marks, limits(seconds=7), ranks("pace", "asc"), matches_reference, doc="It turns\n    by angles.")
    check = Check.of(function, FILE)
    assert (check.id, check.module, check.part) == ("test_rope.py::test_turns", "rope", "rope.rotate")
    assert (check.title, check.weight, check.number) == ("It turns by angles.", 2.5, "3.1")
    assert (check.needs, check.limits, check.ranks) == (("rope.angles", "norm.rms"), {"seconds": 7}, ("pace", "asc"))
    assert (check.judge, check.visibility, check.hidden) == (parity, "after_due_date", False)
    assert Check.of(function, FILE, hidden=True).id == "hidden/test_rope.py::test_turns"
    assert Check.of(decorated(weight(1), matches_reference), FILE).part == "rope"


def test_the_inputs_are_the_same_on_every_device():
    here = Check.of(decorated(weight(1), matches_reference), FILE)
    there = Check.of(decorated(weight(1), matches_reference, on_device("cuda"), name="test_turns_on_cuda"), FILE)
    other = Check.of(decorated(weight(1), matches_reference, name="test_stays"), FILE)
    assert here.seed == there.seed != other.seed


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (decorated(matches_reference), "needs @weight"),
        (decorated(weight(1), matches_reference, doc=None), "a docstring"),
        (decorated(weight(1)), "test_rope.py::test_turns has no judge; decorate it with @matches_reference"),
        (decorated(weight(1), matches_reference, on_request), "is worth no points"),
    ],
)
def test_what_is_missing_is_said(function, words):
    with pytest.raises(ValueError, match=words):
        Check.of(function, FILE)


@pytest.mark.parametrize(("judge", "name"), [("@matches_reference", "test_x"), ("", None)])
def test_a_file_with_a_check_without_a_judge_is_the_graders_fault(tmp_path, judge, name):
    path = tmp_path / "test_x.py"
    path.write_text(
        "from gradescope_utils.autograder_utils.decorators import weight\nfrom autograder.check import matches_reference\n"
        f'@weight(1)\n{judge}\ndef test_x(solution, draw):\n    """Right."""\n',
        encoding="utf-8",
    )
    if name:
        assert [check.name for check in read_checks(path)] == [name]
    else:
        with pytest.raises(GraderFault, match=r"test_x.py::test_x has no judge"):
            read_checks(path)


def test_only_a_judge_that_needs_no_recorded_values_can_judge_on_request():
    with pytest.raises(GraderFault, match="MatchesReference needs recorded golden values"):
        matches_reference.expected(seed=1)


def test_each_judge_says_how_its_workers_are_driven():
    pace = keeps_pace(full=1, none=2, repeats=5)
    assert (matches_reference.drive, pace.drive, pace.steps, pace.baseline) == (Drive.OBSERVE, Drive.STEP, 7, True)
    memory = fits_in_memory(growth=1)
    assert (memory.drive, memory.steps, memory.baseline) == (Drive.STEP, 3, False)
