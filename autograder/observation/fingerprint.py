"""What a known mistake looks like in one check: a few numbers that two runs of the same mistake share."""

import hashlib

import numpy as np

from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Array, Leaf, Observation, is_float, numbers
from autograder.observation.random_projection import random_projection


def fingerprint(observation: Observation, golden: Golden) -> dict[str, list | str]:
    """A short description of an observation that two runs of the same mistake share."""
    return {path: _describe(leaf, path in golden.leaves and golden.leaves[path].random) for path, leaf in observation.items()}


def matches_fingerprint(actual: dict[str, list | str], stored: dict[str, list | str], golden: Golden) -> bool:
    """Whether a fingerprint looks like a stored one: as near as tolerance, or four digits where the numbers are large.

    A random leaf is compared by the share of its zeros, its mean and its deviation, to a twentieth of the deviation, and by
    its shape: mean distance from the mean in deviations, 0.80 for a bell and 0.87 for an even spread.
    """
    return actual.keys() == stored.keys() and all(_alike(actual[p], stored[p], golden.leaves.get(p)) for p in actual)


def _alike(actual: list | str, stored: list | str, expected: Expected | None) -> bool:
    if isinstance(actual, str) or isinstance(stored, str):
        return actual == stored
    if actual[:2] != stored[:2] or len(actual[2]) != len(stored[2]):
        return False
    a, b = np.array(actual[2]), np.array(stored[2])
    if expected is not None and expected.random:
        return bool(np.all(np.abs(a - b) <= np.array([0.05, 0.05 * b[2], 0.05 * b[2], 0.03]) + 1e-6))
    return bool(np.all(np.abs(a - b) <= 4 * (expected.tolerance if expected else 0.0) + 1e-4 * np.abs(b).max(initial=0.0)))


def _describe(leaf: Leaf, random: bool) -> list | str:
    if not is_float(leaf):
        if isinstance(leaf, Array):
            return f"{leaf.dtype} {leaf.shape} {hashlib.sha256(np.ascontiguousarray(leaf.values).tobytes()).hexdigest()[:12]}"
        return repr(leaf)[:200]
    values, dtype = numbers(leaf)
    odd = [int(np.isnan(values).sum()), int(np.isposinf(values).sum()), int(np.isneginf(values).sum())]
    clean = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), -1e30, 1e30)
    few = _moments(clean) if random and clean.size else random_projection(clean)
    return [f"{dtype} {tuple(values.shape)}", odd, [float(f"{x:.7g}") for x in few]]


def _moments(values: np.ndarray) -> list[float]:
    mean, deviation = values.mean(), values.std()
    return [(values == 0).mean(), mean, deviation, np.abs(values - mean).mean() / max(deviation, 1e-30)]
