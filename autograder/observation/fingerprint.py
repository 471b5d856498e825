"""What a known mistake looks like in one check: a few numbers that two runs of the same mistake share."""

import hashlib

import numpy as np

from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Array, Leaf, Observation, is_float, numbers
from autograder.observation.random_projection import random_projection

# A random leaf is described by four numbers: the share of its zeros, its mean, its standard deviation, and its mean distance
# from the mean in deviations. The last is its shape: 0.80 for a bell, and 0.87 for an even spread.
_ZEROS_OFF = 0.05
_MEAN_OFF = 0.05  # in standard deviations
_DEVIATION_OFF = 0.05  # in standard deviations
_SHAPE_OFF = 0.03


def fingerprint(observation: Observation, golden: Golden) -> dict[str, list | str]:
    """A short description of each leaf of an observation. Two runs of the same mistake share it."""
    return {path: _describe(leaf, path in golden.leaves and golden.leaves[path].random) for path, leaf in observation.items()}


def matches_fingerprint(actual: dict[str, list | str], stored: dict[str, list | str], golden: Golden) -> bool:
    """Whether a fingerprint looks like a stored one.

    Values count as alike within four tolerances, or in four digits where the numbers are large. The numbers of a random
    leaf count as alike within bounds of their own.
    """
    return actual.keys() == stored.keys() and all(_alike(actual[p], stored[p], golden.leaves.get(p)) for p in actual)


def _alike(actual: list | str, stored: list | str, expected: Expected | None) -> bool:
    if isinstance(actual, str) or isinstance(stored, str):
        return actual == stored
    if actual[:2] != stored[:2] or len(actual[2]) != len(stored[2]):
        return False
    a, b = np.array(actual[2]), np.array(stored[2])
    if expected is not None and expected.random:
        deviation = b[2]
        bounds = np.array([_ZEROS_OFF, _MEAN_OFF * deviation, _DEVIATION_OFF * deviation, _SHAPE_OFF])
        return bool(np.all(np.abs(a - b) <= bounds + 1e-6))
    tolerance = expected.tolerance if expected else 0.0
    return bool(np.all(np.abs(a - b) <= 4 * tolerance + 1e-4 * np.abs(b).max(initial=0.0)))


def _describe(leaf: Leaf, random: bool) -> list | str:
    """For a float leaf: dtype and shape, counts of NaN, inf and −inf, and four numbers. For another leaf: a text."""
    if not is_float(leaf):
        if isinstance(leaf, Array):
            digest = hashlib.sha256(np.ascontiguousarray(leaf.values).tobytes()).hexdigest()[:12]
            return f"{leaf.dtype} {leaf.shape} {digest}"
        return repr(leaf)[:200]
    values, dtype = numbers(leaf)
    nonfinite = [int(np.isnan(values).sum()), int(np.isposinf(values).sum()), int(np.isneginf(values).sum())]
    finite = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), -1e30, 1e30)
    four = _moments(finite) if random and finite.size else random_projection(finite)
    return [f"{dtype} {tuple(values.shape)}", nonfinite, [float(f"{x:.7g}") for x in four]]


def _moments(values: np.ndarray) -> list[float]:
    """Share of zeros, mean, standard deviation, and mean distance from the mean in deviations."""
    mean, deviation = values.mean(), values.std()
    return [(values == 0).mean(), mean, deviation, np.abs(values - mean).mean() / max(deviation, 1e-30)]
