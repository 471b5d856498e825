"""Which part is unwritten, and which part `given` can stand in for: exact answers, where a part of a name is not the name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from autograder.check.check import Check
from autograder.grading import is_unwritten, substitute
from autograder.judge.reason import Reason
from autograder.report.report import Row
from autograder.report.status import Status
from autograder.source.given_parts import GivenParts
from autograder.submission.working_copy import Tree

PACKAGE = "a01_x"


def failed(part: str, message: str, reason: Reason = Reason.TODO) -> Row:
    check = Check("m::test", Path("test_m.py"), "test", print, None, 1, part, (), "title", {})
    return Row(check, "1.1", 1.0, Status.FAILED, reason=reason, message=message)


@pytest.mark.parametrize(
    ("part", "message", "expected"),
    [
        ("m.mask", "a01_x/m.py: mask() is yours to write (handout: m, step 1)", True),
        ("m.Head", "a01_x/m.py: Head.forward() is yours to write", True),
        ("by_hand", "by_hand.toml: the question 'angle' is still open", True),
        ("m.mask", "a01_x/m.py: causal_mask_bias() is yours to write", False),
        ("m.mask", "a01_x/mask.py: f() is yours to write", False),
        ("m.write", "a01_x/m.py: mask() is yours to write", False),
        ("m.mask", "a02_x/m.py: mask() is yours to write", False),
        ("m.mask", "a01_x/m.py: mask() belongs to a01; finish it there or use given", False),
        ("m.mask", "a hidden check, which mask() does not pass", False),
    ],
)
def test_a_part_is_unwritten_if_the_sentence_names_it(part, message, expected):
    assert is_unwritten(failed(part, message), PACKAGE) is expected


def test_a_part_that_failed_otherwise_is_written():
    assert not is_unwritten(failed("m.mask", "a01_x/m.py: mask() is yours to write", reason=Reason.VALUE), PACKAGE)


@pytest.fixture
def run():
    """A runner as far as substitution asks for one. One part is given, `causal_mask_bias`."""
    given = GivenParts(PACKAGE, {"m": '"""What a mask is."""\n\n\ndef causal_mask_bias(n):\n    return n\n'})
    return SimpleNamespace(assignment=SimpleNamespace(package=PACKAGE), given=given)


@pytest.fixture
def tree(tmp_path):
    """A working copy of two parts."""
    (tmp_path / "tree" / PACKAGE).mkdir(parents=True)
    (tmp_path / "tree" / PACKAGE / "m.py").write_text("def mask(n): return 0\ndef causal_mask_bias(n): return 0\n")
    return Tree(tmp_path / "tree", tmp_path / "tree" / PACKAGE)


def test_a_part_is_not_found_in_given_because_of_a_longer_name(tree, run, tmp_path):
    assert substitute(tree, frozenset({"m.mask"}), run, tmp_path / "no") is None
    changed = substitute(tree, frozenset({"m.causal_mask_bias"}), run, tmp_path / "yes")
    assert changed is not None, "the control: this part is in given"
    assert (changed.folder / "m.py").read_text() == "def mask(n): return 0\nfrom given.a01_x.m import causal_mask_bias\n"
    assert changed.substituted == {"m.causal_mask_bias"}
