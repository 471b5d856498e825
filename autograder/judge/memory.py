"""The judge of memory that grows."""

from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch


class FitsInMemory(Judge):
    """Growth of the worker's peak memory between two sizes of the same work.

    growth: bytes that the larger size may take beyond the smaller. The check is a generator: its first yield ends the
    set-up, the second the small size, the third the large one.
    """

    mode = "memory"

    def __init__(self, growth: int):
        self.growth = growth

    def judge_growth(self, small: int, large: int) -> Mismatch | None:
        grown = large - small
        if grown <= self.growth:
            return None
        return Mismatch(
            "memory",
            "growth",
            f"memory grew by {grown / 2**20:.1f} MiB from the small size to the large one; "
            f"{self.growth / 2**20:.1f} MiB are enough",
        )


fits_in_memory = FitsInMemory
