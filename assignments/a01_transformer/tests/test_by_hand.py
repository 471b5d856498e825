"""Checks of by_hand.toml."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, part


@part("by_hand")
@weight(1)
@answers_by_hand("attention_weight", digits=3)
def test_attention_weight(solution, draw):
    """The first problem: the share of attention that the second token gives to the first."""
    return {"answer": solution.by_hand["attention_weight"]}


@part("by_hand")
@weight(1)
@answers_by_hand("sinusoid", digits=3)
def test_sinusoid(solution, draw):
    """The second problem: one number of the table of sines and cosines."""
    return {"answer": solution.by_hand["sinusoid"]}


@part("by_hand")
@weight(1)
@answers_by_hand("layer_norm", digits=3)
def test_layer_norm(solution, draw):
    """The third problem: the last channel of a token after the norm."""
    return {"answer": solution.by_hand["layer_norm"]}


@part("by_hand")
@weight(1)
@answers_by_hand("parameters", digits=0)
def test_parameters(solution, draw):
    """The fourth problem: the parameters of a small GPT."""
    return {"answer": solution.by_hand["parameters"]}
