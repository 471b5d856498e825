"""Predicates for `satisfies`. Each takes an observation and returns None, or a sentence that says what does not hold.

A statistical predicate states its false-alarm rate, which is the chance that it refuses right code. Its bounds follow from it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from autograder.observation.leaf import Observation, numbers

Predicate = Callable[[Observation], str | None]


def same(first: str, second: str, ulps: int = 4096) -> Predicate:
    """Two leaves are equal.

    ulps: how far they may differ, in units in the last place of their largest value.
    """

    def holds(observation: Observation) -> str | None:
        (a, dtype), (b, _) = numbers(observation[first]), numbers(observation[second])
        bound = ulps * np.finfo(np.float64 if dtype == "float64" else np.float32).eps * max(np.abs(a).max(), np.abs(b).max())
        gap = np.abs(a - b).max()
        return None if gap <= bound else f"{first} and {second} should be equal; they differ by up to {gap:.3g}"

    return holds


def exactly_zero(*leaves: str) -> Predicate:
    """Every value of these leaves is zero, to the last bit."""

    def holds(observation: Observation) -> str | None:
        for leaf in leaves:
            values, _ = numbers(observation[leaf])
            if (values != 0).any():
                first = tuple(int(i) for i in np.argwhere(values != 0)[0])
                return f"{leaf}{list(first)} should be exactly 0, got {values[first]:.4g}"
        return None

    return holds


def at_most(leaf: str, count: float) -> Predicate:
    """A number that is no larger than this."""

    def holds(observation: Observation) -> str | None:
        value, _ = numbers(observation[leaf])
        return None if value <= count else f"{leaf}: {observation[leaf]}; {count} are enough"

    return holds


def gaussian(leaf: str, std: float, false_alarms: float = 1e-6) -> Predicate:
    """Independent N(0, std²) values. Sample mean and sample variance lie within the two-sided bounds of that rate.

    Half of the false alarms go to each. The mean is normal with deviation std/√n. The variance is a scaled χ². It is taken as
    normal with relative deviation √(2/n), which holds to three digits from n = 10,000 on.
    """

    def holds(observation: Observation) -> str | None:
        values, _ = numbers(observation[leaf])
        n, z = values.size, _two_sided(false_alarms / 2)
        mean, variance = float(values.mean()), float(values.var())
        if abs(mean) > z * std / math.sqrt(n):
            return f"the mean of {leaf} is {mean:.3g}; it should be 0 ± {z * std / math.sqrt(n):.2g}"
        if abs(variance / std**2 - 1) > z * math.sqrt(2 / n):
            return f"the standard deviation of {leaf} is {math.sqrt(variance):.4g}; it should be {std:.4g} ± {100 * z * math.sqrt(0.5 / n):.2g} %"
        return None

    return holds


def truncated_gaussian(leaf: str, std: float, cut: float, false_alarms: float = 1e-6) -> Predicate:
    """Independent normal values of which none lies beyond `cut` deviations of the bell, scaled so that `std` is left of it.

    Each of three bounds gets a third of the false alarms, a. All hold for any number n of values, because x and x² are bounded:
    - mean of x and of x²: Bernstein's inequality for y with |y − E y| ≤ M and variance v,
      P(|mean − E y| ≥ t) ≤ 2 exp(−n t² / (2v + 2Mt/3)) = a, solved for t;
    - shape: Massart's form of the Dvoretzky–Kiefer–Wolfowitz inequality, P(sup |F_n − F| > ε) ≤ 2 exp(−2nε²) = a.
    """
    bell, rate = _CutBell.of(std, cut), math.log(2 * 3 / false_alarms)
    beyond = (1 + 1e-6) * bell.bound  # rounding

    def holds(observation: Observation) -> str | None:
        x = np.sort(numbers(observation[leaf])[0].ravel())
        n, largest = x.size, float(np.abs(x).max())
        off_mean = _bernstein(n, rate, std**2, bell.bound)
        off_square = _bernstein(n, rate, bell.square_variance, max(std**2, bell.bound**2 - std**2)) / std**2
        if largest > beyond:
            return (
                f"{leaf} holds {largest:.4g}; with deviation {std:.4g} after cutting at {cut:g}, nothing lies beyond {beyond:.4g}"
            )
        if abs(x.mean()) > off_mean:
            return f"the mean of {leaf} is {x.mean():.3g}; it should be 0 ± {off_mean:.2g}"
        deviation = math.sqrt(np.square(x).mean())
        if abs(deviation**2 / std**2 - 1) > off_square:
            return f"the standard deviation of {leaf} is {deviation:.4g}; it should be {std:.4g} ± {50 * off_square:.2g} %"
        gap, chance = bell.shape_gap(x), math.sqrt(rate / (2 * n))
        if gap > chance:
            return (
                f"{leaf} has the right mean and deviation, and not the shape of a cut-off bell: up to some number, the share of the "
                f"values is off by {gap:.3f}; at most {chance:.3f} is chance"
            )
        return None

    return holds


@dataclass(frozen=True)
class _CutBell:
    """A normal distribution of which nothing is left beyond some deviations.

    Let z be a standard normal number within ±c, I = 2Φ(c) − 1 its share and φ the density. Then E z² = 1 − 2cφ(c)/I and
    E z⁴ = 3 − 2cφ(c)(c² + 3)/I. A value is x = s·z with s = std/√(E z²), so |x| ≤ b = c·s.

    scale: s.
    inside: I.
    bound: b.
    square_variance: variance of x².
    """

    scale: float
    inside: float
    bound: float
    square_variance: float

    @classmethod
    def of(cls, std: float, cut: float) -> "_CutBell":
        """The distribution that is cut at `cut` deviations and has the standard deviation `std` afterwards."""
        bell = NormalDist()
        inside, edge = 2 * bell.cdf(cut) - 1, 2 * cut * bell.pdf(cut)
        second, fourth = 1 - edge / inside, 3 - edge * (cut**2 + 3) / inside
        scale = std / math.sqrt(second)
        return cls(scale, inside, cut * scale, scale**4 * fourth - std**4)

    def shape_gap(self, x: np.ndarray) -> float:
        """Largest difference of the distribution functions of the sorted sample x and of this distribution."""
        bell, n = NormalDist(), x.size
        share = (np.array([bell.cdf(value / self.scale) for value in x]) - 0.5 + self.inside / 2) / self.inside
        return float(np.maximum(np.arange(1, n + 1) / n - share, share - np.arange(n) / n).max())


def kept_share(leaf: str, p: float, false_alarms: float = 1e-6) -> Predicate:
    """A dropped-out tensor of ones: a share 1 − p of the values survives, scaled by 1/(1 − p). The others are zero."""

    def holds(observation: Observation) -> str | None:
        values, _ = numbers(observation[leaf])
        scale, expected = 1 / (1 - p), 1 - p
        if not ((values == 0) | (np.abs(values - scale) < 1e-4)).all():
            return f"every value of {leaf} should be 0 or {scale:.3g}"
        share = float((values != 0).mean())
        spread = _two_sided(false_alarms) * math.sqrt(p * (1 - p) / values.size)
        if abs(share - expected) <= spread:
            return None
        return f"{share:.3f} of {leaf} survives; with dropout {p} it should be {expected:.3f} ± {spread:.3f}"

    return holds


def frequencies(leaf: str, probs: ArrayLike, false_alarms: float = 1e-6) -> Predicate:
    """The leaf counts independent draws from this distribution. What has probability 0 never occurs.

    Each count is binomial. By Chernoff's bound, a share f of n draws with probability p is as far off, on its side, with
    probability at most exp(−n · KL(f ‖ p)). The rate is divided over both sides of every outcome. The bound holds at any n.

    probs: numbers of the leaf's shape that sum to 1.
    """
    p = np.asarray(probs, dtype=np.float64)

    def holds(observation: Observation) -> str | None:
        counts, _ = numbers(observation[leaf])
        n, bound = counts.sum(), math.log(2 * p.size / false_alarms)
        if n <= 0 or (counts < 0).any():
            return f"{leaf} counts nothing"
        shares = counts / n
        surprise = n * (_relative_entropy(shares, p) + _relative_entropy(1 - shares, 1 - p))
        if (surprise <= bound).all():
            return None
        worst = tuple(int(i) for i in np.argwhere(surprise == surprise.max())[0])
        return f"{leaf}{list(worst)} came in {100 * shares[worst]:.2f} % of {n:.0f} draws; its chance is {100 * p[worst]:.2f} %"

    return holds


def all_of(*predicates: Predicate) -> Predicate:
    """All of them hold. The sentence is that of the first that does not."""
    return lambda observation: next((sentence for holds in predicates if (sentence := holds(observation))), None)


def _relative_entropy(f: np.ndarray, p: np.ndarray) -> np.ndarray:
    """f · ln(f/p), value by value. It is 0 where f is 0, and inf where p alone is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(f > 0, f * np.log(f / p), 0.0)


def _bernstein(n: int, rate: float, variance: float, bound: float) -> float:
    """t with 2 exp(−n t² / (2·variance + 2·bound·t/3)) = 2 exp(−rate)."""
    linear = bound * rate / (3 * n)
    return linear + math.sqrt(linear**2 + 2 * variance * rate / n)


def _two_sided(rate: float) -> float:
    return NormalDist().inv_cdf(1 - rate / 2)
