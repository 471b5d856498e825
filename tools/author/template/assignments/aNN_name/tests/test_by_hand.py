"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(2)
@answers_by_hand("second_probability", digits=3)
def test_second_probability(solution, draw):
    """The first sum: a probability at a temperature of 1.5."""
    return {"answer": solution.by_hand["second_probability"]}


@part("by_hand")
@weight(2)
@answers_by_hand("soft_loss", digits=3)
def test_soft_loss(solution, draw):
    """The second sum: the loss of a student that cannot decide."""
    return {"answer": solution.by_hand["soft_loss"]}
