"""The judge of speed, as a ratio to a baseline."""

import statistics
from collections.abc import Callable

from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch


class KeepsPace(Judge):
    """CPU time of each step as a ratio to the same steps of a baseline that holds no student code.

    full, none: ratios for all points and for none, linear between. repeats: steps after
    the warm-up; the median counts, without two that are watched for forbidden calls.
    The check is a generator: its first yield ends the set-up, its second is a warm-up, each further one is a repetition.
    The baseline runs the same check on `given`, or `probe(draw)`, a generator too. Outputs are compared as well.
    """

    mode = "pace"

    def __init__(self, full: float, none: float, repeats: int = 9, probe: Callable | None = None):
        if not 0 < full < none:
            raise ValueError(f"keeps_pace needs 0 < full < none; got full={full}, none={none}")
        self.full, self.none, self.repeats, self.probe = full, none, repeats, probe

    def score(self, ratio: float) -> float:
        """Share of the points: 1 up to `full`, 0 from `none` on, linear between."""
        return min(1.0, max(0.0, (self.none - ratio) / (self.none - self.full)))

    def ratio(self, actual: list[float], baseline: list[float]) -> float:
        """Median of the ratios pair by pair, so that a machine that slows down slows both."""
        return statistics.median(a / max(b, 1e-9) for a, b in zip(actual, baseline, strict=True))

    def judge_ratio(self, ratio: float) -> Mismatch | None:
        if ratio <= self.full:
            return None
        return Mismatch(
            "time",
            "pace",
            f"{ratio:.2f} times the baseline's CPU time; full points up to {self.full:.2f}, "
            f"none from {self.none:.2f} (median of {self.repeats - 2})",
        )


keeps_pace = KeepsPace
