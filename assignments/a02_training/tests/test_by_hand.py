"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(1)
@answers_by_hand("loss", digits=3)
def test_loss(solution, draw):
    """The first problem: the mean over the targets that are there."""
    return {"answer": solution.by_hand["loss"]}


@part("by_hand")
@weight(1)
@answers_by_hand("adamw", digits=3)
def test_adamw(solution, draw):
    """The second problem: a parameter after two updates."""
    return {"answer": solution.by_hand["adamw"]}


@part("by_hand")
@weight(1)
@answers_by_hand("learning_rate", digits=3)
def test_learning_rate(solution, draw):
    """The third problem: the rate of one update."""
    return {"answer": solution.by_hand["learning_rate"]}


@part("by_hand")
@weight(1)
@answers_by_hand("nucleus", digits=3)
def test_nucleus(solution, draw):
    """The fourth problem: the probability of a token after temperature and top-p."""
    return {"answer": solution.by_hand["nucleus"]}
