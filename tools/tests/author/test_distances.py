"""The distance of a mistake counts precise floats alone."""

import math

import numpy as np

from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Array
from tools.author.distances import distance_from_golden


def leaf(dtype: str, *values: float) -> Array:
    return Array(dtype, np.array(values, np.float32))


GOLDEN = Golden(
    {
        "out": Expected(leaf("float32", 1.0, 2.0), tolerance=0.25),
        "grad": Expected(leaf("float32", 1.0), tolerance=0.5),
        "low": Expected(leaf("bfloat16", 1.0), tolerance=0.25),
        "sample": Expected(leaf("float32", 0.0), random=True),
        "n": Expected(3),
    }
)
RIGHT = {path: expected.value for path, expected in GOLDEN.leaves.items()}


def test_the_leaf_that_lies_furthest_away_in_tolerances_says_how_far():
    assert distance_from_golden(RIGHT | {"out": leaf("float32", 1.0, 3.0), "grad": leaf("float32", 4.0)}, GOLDEN) == 6.0
    assert distance_from_golden(RIGHT | {"out": leaf("float32", 1.0, 4.0)}, GOLDEN) == 8.0


def test_another_shape_is_infinitely_far():
    assert distance_from_golden(RIGHT | {"out": leaf("float32", 1.0)}, GOLDEN) == math.inf


def test_it_is_infinite_where_no_precise_float_tells():
    for other in ({"low": leaf("bfloat16", 9.0)}, {"sample": leaf("float32", 9.0)}, {"n": 4}, {"out": leaf("float32", 1.0, 2.2)}):
        assert distance_from_golden(RIGHT | other, GOLDEN) == math.inf
