"""The judge of speed: CPU time as a ratio to a baseline in the same run."""

import statistics
from collections.abc import Callable

from autograder.judge.evidence import Evidence
from autograder.judge.judge import StepJudge
from autograder.judge.mismatch import Mismatch
from autograder.judge.reason import Reason
from autograder.observation.golden import Golden

UNTIMED = 2  # the first steps of a timed check: its set-up and its warm-up
WATCHED = 2  # steps that are watched for forbidden calls; that takes time, so they do not count


class KeepsPace(StepJudge):
    """CPU time of each step as a ratio to the same steps of a baseline that holds no student code.

    The check is a generator. Its first yield ends the set-up, its second is a warm-up, each further one is a repetition.
    The baseline runs the same check on `given`, or it runs `probe(draw)`, a generator too. Outputs are compared as well.

    full: ratio up to which there are all points.
    none: ratio from which on there are none. Between the two, points fall linearly.
    repeats: steps after the warm-up. The median counts.
    """

    baseline = True

    def __init__(self, full: float, none: float, repeats: int = 9, probe: Callable | None = None):
        if not 0 < full < none:
            raise ValueError(f"keeps_pace needs 0 < full < none; got full={full}, none={none}")
        self.full, self.none, self.repeats, self.probe = full, none, repeats, probe
        self.steps = UNTIMED + repeats

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """Parity of every output, then the ratio. Golden values are recorded without a clock."""
        if (mismatch := super().compare(evidence, golden)) or evidence.times is None:
            return mismatch
        if (ratio := self.ratio(evidence)) <= self.full:
            return None
        text = (
            f"{ratio:.2f} times the baseline's CPU time; full points up to {self.full:.2f}, "
            f"none from {self.none:.2f} (median of {self.repeats - WATCHED})"
        )
        return Mismatch("time", Reason.PACE, text, share=self.share(ratio))

    def share(self, ratio: float) -> float:
        """Share of the points: 1 up to `full`, 0 from `none` on, linear between."""
        return min(1.0, max(0.0, (self.none - ratio) / (self.none - self.full)))

    def ratio(self, evidence: Evidence) -> float:
        """Median of the ratios pair by pair, so that a machine that slows down slows both."""
        return statistics.median(actual / max(baseline, 1e-9) for actual, baseline in evidence.times or ())

    def remark(self, evidence: Evidence, golden: Golden) -> str:
        """The ratio, also where it is good enough."""
        return f"{self.ratio(evidence):.2f} times the baseline" if evidence.times else ""

    def number(self, name: str, evidence: Evidence) -> float | None:
        """The ratio under the name "pace"."""
        return self.ratio(evidence) if name == "pace" and evidence.times else None


keeps_pace = KeepsPace
