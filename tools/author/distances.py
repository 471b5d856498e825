"""How far a wrong answer lies from the right one, in units of the tolerance."""

from autograder.observation.golden import Golden
from autograder.observation.leaf import Array, Leaf, Observation, is_float
from autograder.observation.tolerance import gap


def distance_from_golden(observation: Observation, golden: Golden) -> float:
    """The largest distance of a float32 or float64 leaf, in units of its tolerance.

    It is infinite where every such leaf is within its tolerance, so that the answer differs in something else. Leaves of
    low precision do not count, because sound orders of rounding lie as far apart there as wrong ones.
    """
    distances = [
        gap(observation[path], expected.value) / expected.tolerance
        for path, expected in golden.leaves.items()
        if not expected.random
        and expected.tolerance
        and is_precise(expected.value)
        and path in observation
        and is_float(observation[path])
    ]
    largest = max(distances, default=0.0)
    return largest if largest > 1 else float("inf")


def is_precise(leaf: Leaf) -> bool:
    """Whether a leaf is a plain float, or an array of float32 or float64."""
    return is_float(leaf) and (not isinstance(leaf, Array) or leaf.dtype in ("float32", "float64"))
