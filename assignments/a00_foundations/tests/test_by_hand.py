"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(1)
@answers_by_hand("cross_entropy", digits=3)
def test_cross_entropy(solution, draw):
    """The first problem: the loss of three classes whose logits are large."""
    return {"answer": solution.by_hand["cross_entropy"]}


@part("by_hand")
@weight(1)
@answers_by_hand("rounded", digits=0)
def test_rounded(solution, draw):
    """The second problem: a product in bfloat16."""
    return {"answer": solution.by_hand["rounded"]}


@part("by_hand")
@weight(1)
@answers_by_hand("state_bytes", digits=0)
def test_state_bytes(solution, draw):
    """The third problem: the bytes of training from step to step."""
    return {"answer": solution.by_hand["state_bytes"]}


@part("by_hand")
@weight(1)
@answers_by_hand("share_of_peak", digits=3)
def test_share_of_peak(solution, draw):
    """The fourth problem: the share of a device's peak."""
    return {"answer": solution.by_hand["share_of_peak"]}
