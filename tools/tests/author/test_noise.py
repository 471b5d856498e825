"""A tolerance near its noise, or near a mistake, is a problem; one that is far from both is none."""

from types import SimpleNamespace

import numpy as np
import pytest

from autograder.check.inputs import PUBLIC
from autograder.judge.judge import Drive
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.golden_files import save_goldens
from autograder.observation.leaf import Array
from tools.author.noise import idle_checks, noise_of_checks

RUNS = SimpleNamespace(
    runner=SimpleNamespace(inputs=PUBLIC),
    cases=lambda kind: [SimpleNamespace(name="own", module="sums"), SimpleNamespace(name="others", module="rope")],
)


@pytest.fixture
def check(tmp_path):
    path = tmp_path / "test_sums.py"
    judge = SimpleNamespace(drive=Drive.OBSERVE)
    return SimpleNamespace(id="test_sums.py::test_x", name="test_x", path=path, module="sums", on_request=False, judge=judge)


def save(check, leaves: dict[str, Expected], **distances: float) -> None:
    mistakes = [Fingerprint(case, {"raised": "ValueError: x"}, distance) for case, distance in distances.items()]
    save_goldens(check.path.parent / "golden" / check.path.stem, {check.name: Golden(leaves, [], mistakes)})


def leaf(dtype: str, noise: float, random: bool = False) -> Expected:
    return Expected(Array(dtype, np.ones(3, np.float32)), noise, 1.0, random)


def test_far_from_noise_and_mistake_there_is_no_problem(check):
    save(check, {"out": leaf("float32", 0.03), "grad": leaf("float32", 0.01)}, own=11.0, others=2.0)
    problems: list[str] = []
    [row] = noise_of_checks(RUNS, [check], problems)
    assert problems == []
    assert (row.check, row.noise, row.tolerance, row.nearest, row.wrong) == (check.id, 0.03, 1.0, 11.0, 1)


def test_a_tolerance_near_its_noise_or_near_a_mistake_is_a_problem(check):
    save(check, {"out": leaf("float32", 0.2)}, own=3.0, others=2.0)
    problems: list[str] = []
    noise_of_checks(RUNS, [check], problems)
    assert problems == [
        f"{check.id}: noise is 0.20 of the tolerance; at most 0.1 is sound",
        f"{check.id}: misconception own lies only 3.0 tolerances away; choose inputs that separate",
    ]


def test_leaves_of_low_precision_and_random_ones_do_not_count(check):
    save(check, {"low": leaf("bfloat16", 0.9), "sample": leaf("float32", 0.9, random=True), "n": Expected(3)})
    problems: list[str] = []
    [row] = noise_of_checks(RUNS, [check], problems)
    assert problems == [] and (row.noise, row.tolerance, row.nearest, row.wrong) == (0.0, 0.0, None, 0)


def test_a_check_that_no_mistake_fails_is_idle(check):
    save(check, {"out": leaf("float32", 0.0)})
    assert idle_checks(RUNS, [check]) == [check.id]


def test_a_check_that_a_mistake_fails_is_not_idle(check):
    save(check, {"out": leaf("float32", 0.0)}, own=11.0)
    assert idle_checks(RUNS, [check]) == []
