"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(1)
@answers_by_hand("rms_norm", digits=3)
def test_rms_norm(solution, draw):
    """The first problem: the last channel of a token after RMSNorm."""
    return {"answer": solution.by_hand["rms_norm"]}


@part("by_hand")
@weight(1)
@answers_by_hand("rotated", digits=3)
def test_rotated(solution, draw):
    """The second problem: one channel of a query after its rotation."""
    return {"answer": solution.by_hand["rotated"]}


@part("by_hand")
@weight(1)
@answers_by_hand("cache_bytes", digits=0)
def test_cache_bytes(solution, draw):
    """The third problem: the bytes of a cache."""
    return {"answer": solution.by_hand["cache_bytes"]}


@part("by_hand")
@weight(1)
@answers_by_hand("slot", digits=0)
def test_slot(solution, draw):
    """The fourth problem: whose key stands in a slot of a rolling cache."""
    return {"answer": solution.by_hand["slot"]}
