"""The golden value of a leaf comes from float64, its dtype from float32, its noise from all right versions."""

import math

import numpy as np
import pytest

from autograder.errors import GraderFault
from autograder.observation.leaf import Array
from autograder.observation.tolerance import FACTOR
from tools.author.expected_values import expected_value

EXACT = Array("float64", np.array([1.0, 2.0, 3.0]))


def float32(*values: float) -> dict:
    return {"out": Array("float32", np.array(values, np.float32))}


def test_the_noise_is_the_largest_distance_of_a_float32_run_from_float64():
    runs = [float32(1.0, 2.0, 3.0), float32(1.0, 2.0 + 1e-3, 3.0), float32(1.0, 2.0, 3.0 - 1e-2)]
    expected = expected_value("check: out", "out", EXACT, runs)
    assert expected.value.dtype == "float32" and expected.value.values.dtype == np.float32
    assert expected.noise == pytest.approx(1e-2, rel=1e-3) and expected.tolerance == FACTOR * expected.noise
    assert expected_value("check: out", "out", EXACT, runs[:2]).noise == pytest.approx(1e-3, rel=1e-3)


def test_a_bfloat16_leaf_keeps_values_that_bfloat16_does_not_have():
    exact = Array("float64", np.array([1.001]))
    expected = expected_value("check: out", "out", exact, [{"out": Array("bfloat16", np.array([1.0], np.float32))}])
    assert expected.value.dtype == "bfloat16" and expected.value.values == np.float32(1.001)


def test_a_random_leaf_has_no_noise_and_one_that_is_no_float_stays_as_it_is():
    assert expected_value("check: out", "out", EXACT, [float32(9.0)], is_random=True).random
    expected = expected_value("check: n", "n", 3, [{"n": 3}])
    assert (expected.value, expected.noise, expected.tolerance) == (3, 0.0, 0.0)


@pytest.mark.parametrize(
    ("exact", "runs", "words"),
    [
        (4, [{"out": 3}], "check: out differs between float32 and float64, though it is not a float"),
        (EXACT, [float32(1, 2, 3), float32(1, 2)], "check: out of the reference and its alternates differ in shape"),
        (EXACT, [float32(1, 2, 3), float32(1, 2, math.inf)], "by an infinite amount"),
        (EXACT, [float32(1, 2, 3), {}], "differ in shape"),
    ],
)
def test_right_versions_that_disagree_are_refused(exact, runs, words):
    with pytest.raises(GraderFault, match=words):
        expected_value("check: out", "out", exact, runs)
