"""Checks of accumulate.py that never ship: another model and other padding."""

from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part


@part("accumulate.accumulate_gradients")
@needs("accumulate.split_batch", "accumulate.count_targets", "accumulate.summed_loss")
@weight(1)
@matches_reference
def test_another_batch(solution, draw):
    """Eleven sequences in four micro-batches, one of them all padding, a scale, a total, and gradients that were there."""
    model = draw.fill_(nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 5), nn.SiLU(), nn.Linear(5, 9)))
    inputs, targets = draw.integers(0, 9, 11, 7), draw.integers(0, 9, 11, 7)
    targets = targets.masked_fill(draw.bernoulli(0.6, 11, 7), -100)
    targets[3:6] = -100
    model[3].bias.grad = draw.normal(9).clone()
    micro_batches = solution.accumulate.split_batch((inputs, targets), 4)
    share = solution.accumulate.accumulate_gradients(model, micro_batches, 77, 32.0)
    return {
        "share": share,
        "gradients": {name: p.grad for name, p in model.named_parameters()},
        "sizes": [len(one[0]) for one in micro_batches],
    }
