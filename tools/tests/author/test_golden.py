"""Golden values are recorded for every check, or refused with a sentence that says what the author has to change."""

import json
import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from autograder.errors import GraderFault
from autograder.observation.leaf import Array, Leaf, Unsupported
from autograder.sandbox.outcome import Ending, Outcome
from tools.author.golden import cpu_twins, require_comparable

DEVICE_CHECK = '''

from autograder.check import on_device


@part("sums.weighted")
@on_device("cuda")
@weight(0)
@matches_reference
def test_{name}_on_cuda(solution, draw):
    """The same on a GPU."""
    x, w = draw.normal(2, 3, 5).requires_grad_(), draw.normal(5).requires_grad_()
    out = solution.sums.weighted(x, w)
    return {{"out": out, "grad": draw.backward(out)}}
'''


@pytest.fixture
def course(toy, tmp_path):
    """The toy course in a folder that may be changed."""
    shutil.copytree(toy.root, tmp_path / "course")
    return type(toy)(tmp_path / "course")


def checks_of(course) -> Path:
    return course.root / "assignments/a90_toy/tests/test_sums.py"


def add_device_check(course, name: str) -> None:
    path = checks_of(course)
    path.write_text(path.read_text() + DEVICE_CHECK.format(name=name))


@pytest.mark.slow
def test_a_check_for_a_device_without_a_twin_on_the_cpu_is_refused_before_any_work(course):
    add_device_check(course, "gpu_speed")
    reference = course.root / "reference/a90_toy/sums.py"
    reference.write_text("raise RuntimeError('the reference was run')\n" + reference.read_text())
    result = course.run("golden", "a90", module="tools")
    assert result.returncode == 3 and "Traceback" not in result.stderr, result.stderr
    assert "test_sums.py::test_gpu_speed_on_cuda" in result.stderr and "test_sums.py::test_gpu_speed" in result.stderr
    assert "the reference was run" not in result.stderr


@pytest.mark.slow
def test_a_check_for_a_device_expects_what_its_twin_on_the_cpu_does(course):
    """The control of the test above: the same check is recorded once it has the name of a check on the CPU."""
    add_device_check(course, "value")
    result = course.run("golden", "a90", module="tools")
    assert result.returncode == 0, result.stderr
    goldens = json.loads((checks_of(course).parent / "golden/test_sums.json").read_text())["checks"]
    assert goldens["test_value_on_cuda"] == goldens["test_value"]


@pytest.mark.slow
def test_one_check_is_recorded_and_the_others_stay_to_the_byte(course):
    """The entry of another check is damaged first, so a full recording would show."""
    path = checks_of(course).parent / "golden/test_sums.json"
    before = json.loads(path.read_text())["checks"]
    names = sorted(before)
    edited = {name: dict(entry) for name, entry in before.items()}
    for name in names[:2]:
        edited[name]["inputs"] = ["edited"]
    path.write_text(json.dumps({"checks": edited}))
    result = course.run("golden", "a90", "--only", names[0], module="tools")
    assert result.returncode == 0, result.stderr
    after = json.loads(path.read_text())["checks"]
    assert after == {**before, names[1]: edited[names[1]]}


def outcome_of(leaf: Leaf) -> Outcome:
    return Outcome(Ending.OBSERVED, {"out": leaf})


CHECK = SimpleNamespace(id="test_sums.py::test_mean")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (outcome_of(Unsupported("object")), "the reference returned something that cannot be compared at ['out']"),
        (outcome_of(math.nan), "the reference returned NaN"),
        (outcome_of(Array("float32", np.array([1.0, math.nan]))), "the reference returned NaN"),
        (Outcome(Ending.RAISED, error={"type": "KeyError"}), "the reference gave no observation: raised {'type': 'KeyError'}"),
    ],
)
def test_an_outcome_that_no_answer_can_be_compared_with_is_refused(outcome, words):
    with pytest.raises(GraderFault, match=re.escape(f"{CHECK.id}: {words}")):
        require_comparable(outcome, CHECK, "the reference")


@pytest.mark.parametrize("leaf", [1, 1.0, math.inf, None, "text", Array("float32", np.zeros(3))])
def test_an_outcome_that_an_answer_can_be_compared_with_is_accepted(leaf):
    outcome = outcome_of(leaf)
    assert require_comparable(outcome, CHECK, "the reference") is outcome


@dataclass(frozen=True)
class NamedCheck:
    id: str
    device: str | None = None


def test_each_check_without_a_twin_has_a_line_that_says_what_to_do():
    checks = [NamedCheck("a.py::test_x"), NamedCheck("a.py::test_x_on_mps", "mps"), NamedCheck("a.py::test_x_on_cuda", "cuda")]
    assert cpu_twins(checks) == {"a.py::test_x_on_mps": "a.py::test_x", "a.py::test_x_on_cuda": "a.py::test_x"}
    with pytest.raises(GraderFault) as fault:
        cpu_twins([*checks, NamedCheck("a.py::test_y_on_mps", "mps"), NamedCheck("b.py::test_x", "cuda")])
    first, second = str(fault.value).splitlines()
    assert first.startswith("a.py::test_y_on_mps has no check on the CPU") and first.endswith("write a.py::test_y")
    assert second.startswith("b.py::test_x has no check") and "call it test_x_on_cuda" in second
