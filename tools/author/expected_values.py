"""The golden value of a leaf: the reference in float64, in the dtype of its float32 run, and how much noise there is.

The noise is the largest distance of a float32 run of the reference or of an alternate from that value.
"""

from collections.abc import Sequence

import numpy as np

from autograder.errors import GraderFault
from autograder.observation.golden import Expected
from autograder.observation.leaf import Array, Leaf, Observation, is_float
from autograder.observation.tolerance import gap, tolerance


def expected_value(
    name: str, path: str, in_float64: Leaf, in_float32: Sequence[Observation], is_random: bool = False
) -> Expected:
    """What a leaf should be.

    name: check and leaf, for the messages.
    path: of the leaf in an observation.
    in_float64: the leaf of the reference in float64.
    in_float32: the observations of the reference, which comes first, and of the alternates.
    is_random: whether the leaf differs from run to run by nature. Only its shape and dtype count then.
    GraderFault: a leaf that is no float differs between float32 and float64, or right versions differ in shape or by an
        infinite amount.
    """
    reference = in_float32[0][path]
    if is_random:
        return Expected(reference, random=True)
    if not is_float(reference):
        if _identity(reference) != _identity(in_float64):
            raise GraderFault(f"{name} differs between float32 and float64, though it is not a float")
        return Expected(reference)
    value = _cast(in_float64, reference)
    noise = max(gap(other[path], value) if path in other else float("inf") for other in in_float32)
    if not np.isfinite(noise):
        raise GraderFault(f"{name} of the reference and its alternates differ in shape or by an infinite amount")
    return Expected(value, noise, tolerance(noise, value))


def _cast(in_float64: Leaf, in_float32: Leaf) -> Leaf:
    """The values of the first in the dtype of the second."""
    if not isinstance(in_float32, Array) or not isinstance(in_float64, Array):
        return in_float64
    if in_float32.dtype == "bfloat16":  # NumPy has none, so they stay wide; the tolerance is that of bfloat16
        return Array("bfloat16", np.asarray(in_float64.values, np.float32))
    return Array(in_float32.dtype, in_float64.values.astype(in_float32.dtype))


def _identity(leaf: Leaf) -> object:
    """A value that is equal for equal leaves, NaN and the sign of zero included."""
    return (leaf.dtype, leaf.shape, leaf.values.tobytes()) if isinstance(leaf, Array) else leaf
