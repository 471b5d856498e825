"""Checks of numerics.py that never ship: other shapes and edges."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_columns_some_of_them_empty(solution, draw):
    """Along another axis, with empty columns beside full and large ones, values and gradients are right."""
    x = draw.normal(2, 5, 3, scale=4).masked_fill(draw.bernoulli(0.4, 2, 5, 3), -math.inf)
    x = (torch.cat([x, torch.full_like(x[..., :1], -math.inf), x[..., :1].mul(8).round() / 8 + 3e4], dim=-1)).requires_grad_()
    out = solution.numerics.softmax(x, 1)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return {"out": out, "grad": torch.autograd.grad((out * weights).sum(), x)[0]}


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_of_a_long_float16_column(solution, draw):
    """A float16 column of 80,000 has logarithms near −11.3, in float16; float64 is computed in float64."""
    log_softmax = solution.numerics.log_softmax
    return {
        "float16": log_softmax(draw.normal(80_000, 1, scale=0.01, dtype=torch.float16), 0)[:5],
        "float64": log_softmax(draw.normal(4, 3, scale=20, dtype=torch.float64), 0),
    }


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@matches_reference
def test_loss_of_another_batch(solution, draw):
    """A batch of sequences, in bfloat16 and float32, has the reference's loss and gradient."""
    logits, targets = draw.normal(3, 7, 13, scale=6).requires_grad_(), draw.integers(0, 13, 3, 7)
    loss = solution.numerics.cross_entropy(logits, targets)
    half = solution.numerics.cross_entropy(draw.normal(5, 9, scale=2, dtype=torch.bfloat16), draw.integers(0, 9, 5))
    return {"loss": loss, "bfloat16": half, "grad": draw.backward(loss)}
