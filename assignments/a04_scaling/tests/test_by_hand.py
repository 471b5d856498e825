"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(1)
@answers_by_hand("bytes_per_token", digits=3)
def test_bytes_per_token(solution, draw):
    """The first problem: bytes per token after three merges."""
    return {"answer": solution.by_hand["bytes_per_token"]}


@part("by_hand")
@weight(1)
@answers_by_hand("loss", digits=3)
def test_loss(solution, draw):
    """The second problem: the loss of a batch in three micro-batches."""
    return {"answer": solution.by_hand["loss"]}


@part("by_hand")
@weight(1)
@answers_by_hand("learning_rate", digits=3)
def test_learning_rate(solution, draw):
    """The third problem: a learning rate in the decay."""
    return {"answer": solution.by_hand["learning_rate"]}


@part("by_hand")
@weight(1)
@answers_by_hand("interval", digits=3)
def test_interval(solution, draw):
    """The fourth problem: how often to save."""
    return {"answer": solution.by_hand["interval"]}
