"""The judge of memory that grows."""

from autograder.judge.evidence import Evidence
from autograder.judge.judge import StepJudge
from autograder.judge.mismatch import Mismatch
from autograder.judge.reason import Reason
from autograder.observation.golden import Golden


class FitsInMemory(StepJudge):
    """Growth of the worker's peak memory between two sizes of the same work.

    The check is a generator. Its first yield ends the set-up, the second ends the small size, the third the large one.

    growth: bytes that the larger size may take beyond the smaller.
    """

    steps = 3

    def __init__(self, growth: int):
        self.growth = growth

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """Parity of every output, then the growth. Golden values are recorded without measuring memory."""
        if (mismatch := super().compare(evidence, golden)) or evidence.peaks is None:
            return mismatch
        _, small, large = evidence.peaks
        if (grown := large - small) <= self.growth:
            return None
        text = (
            f"memory grew by {grown / 2**20:.1f} MiB from the small size to the large one; "
            f"{self.growth / 2**20:.1f} MiB are enough"
        )
        return Mismatch("memory", Reason.GROWTH, text)


fits_in_memory = FitsInMemory
