"""Predicates for `satisfies`: each takes an observation and returns None, or a sentence that says what does not hold.

A statistical predicate states its false-alarm rate and derives its bound from it.
"""

import math
from collections.abc import Callable

import numpy as np

from autograder.golden import numbers
from autograder.observation import Observation

Predicate = Callable[[Observation], str | None]


def same(first: str, second: str, ulps: int = 4096) -> Predicate:
    """Two leaves are equal up to `ulps` units in the last place of their largest value."""

    def holds(seen: Observation) -> str | None:
        (a, dtype), (b, _) = numbers(seen[first]), numbers(seen[second])
        bound = ulps * np.finfo(np.float64 if dtype == "float64" else np.float32).eps * max(np.abs(a).max(), np.abs(b).max())
        gap = np.abs(a - b).max()
        return None if gap <= bound else f"{first} and {second} should be equal; they differ by up to {gap:.3g}"

    return holds


def exactly_zero(*leaves: str) -> Predicate:
    """Every value of these leaves is zero, to the last bit."""

    def holds(seen: Observation) -> str | None:
        for leaf in leaves:
            values, _ = numbers(seen[leaf])
            if (values != 0).any():
                where = tuple(int(i) for i in np.argwhere(values != 0)[0])
                return f"{leaf}{list(where)} should be exactly 0, got {values[where]:.4g}"
        return None

    return holds


def gaussian(leaf: str, std: float, false_alarms: float = 1e-6) -> Predicate:
    """Independent N(0, std²) values: sample mean and sample variance lie within the two-sided bounds of that rate.

    Half of the false alarms go to each. The mean is normal with std/√n; the variance is a scaled χ², taken as normal
    with relative deviation √(2/n), which holds to three digits from n = 10,000 on.
    """

    def holds(seen: Observation) -> str | None:
        values, _ = numbers(seen[leaf])
        n, z = values.size, _two_sided(false_alarms / 2)
        mean, variance = float(values.mean()), float(values.var())
        if abs(mean) > z * std / math.sqrt(n):
            return f"the mean of {leaf} is {mean:.3g}; it should be 0 ± {z * std / math.sqrt(n):.2g}"
        if abs(variance / std**2 - 1) > z * math.sqrt(2 / n):
            return f"the standard deviation of {leaf} is {math.sqrt(variance):.4g}; it should be {std:.4g} ± {100 * z * math.sqrt(0.5 / n):.2g} %"
        return None

    return holds


def kept_share(leaf: str, p: float, false_alarms: float = 1e-6) -> Predicate:
    """A dropped-out tensor of ones: a share 1 − p of the values survives, scaled by 1/(1 − p); the others are zero."""

    def holds(seen: Observation) -> str | None:
        values, _ = numbers(seen[leaf])
        scale = 1 / (1 - p)
        if (np.abs(values - scale) > 1e-4).sum() + (values == 0).sum() > values.size or not (
            (values == 0) | (np.abs(values - scale) < 1e-4)
        ).all():
            return f"every value of {leaf} should be 0 or {scale:.3g}"
        share, z = float((values != 0).mean()), _two_sided(false_alarms)
        spread = z * math.sqrt(p * (1 - p) / values.size)
        return (
            None
            if abs(share - (1 - p)) <= spread
            else (f"{share:.3f} of {leaf} survives; with dropout {p} it should be {1 - p:.3f} ± {spread:.3f}")
        )

    return holds


def all_of(*predicates: Predicate) -> Predicate:
    """All hold; the first that does not speaks."""
    return lambda seen: next((sentence for p in predicates if (sentence := p(seen))), None)


def _two_sided(rate: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - rate / 2)
