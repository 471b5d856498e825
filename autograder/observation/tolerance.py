"""How far a value may lie from the golden one: a multiple of measured noise, and never below a few units in the last place."""

import numpy as np

from autograder.observation.leaf import Leaf, numbers

FACTOR = 32  # tolerance in units of the measured noise; verify asks for at least ten
FLOOR_ULPS = 8  # below this many units in the last place of the largest value, two sound orders of summation differ
DEVICE_FACTOR = {"cpu": 1.0, "cuda": 16.0, "mps": 32.0}  # other summation orders and libraries, TF32 off

# The distance from 1 to the next number, by dtype. A plain Python float is taken for a float32.
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7, "float": 2.0**-23}


def tolerance(noise: float, value: Leaf) -> float:
    """FACTOR times the noise, and not less than a few ulps of the leaf's dtype at its scale.

    KeyError: the leaf is no float.
    """
    values, dtype = numbers(value)
    finite = np.abs(values[np.isfinite(values)])
    return max(FACTOR * noise, FLOOR_ULPS * _EPSILON[dtype] * float(finite.max(initial=0.0)))


def gap(actual: Leaf, expected: Leaf) -> float:
    """Largest absolute difference of two float leaves. Equal infinities and two NaN differ by 0, NaN and a number by inf.

    It is inf, too, where the shapes differ.
    """
    (a, _), (b, _) = numbers(actual), numbers(expected)
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
    return float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max(initial=0.0))
