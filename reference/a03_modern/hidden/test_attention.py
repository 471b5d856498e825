"""Checks of attention.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("attention.grouped_attention")
@weight(1)
@matches_reference
def test_blind_rows_beside_seeing_ones(solution, draw):
    """A mask that blinds some queries leaves the others as they are, gradients included, with three in a group."""
    q, k, v = draw.normal(3, 6, 5, 7).requires_grad_(), draw.normal(3, 2, 9, 7).requires_grad_(), draw.normal(3, 2, 9, 4)
    out = solution.attention.grouped_attention(q, k, v.requires_grad_(), draw.bernoulli(0.15, 3, 5, 9))
    return {"out": out, "grad": draw.backward(out)}


@part("attention.GroupedQueryAttention")
@needs("rope.rotate", "attention.window_mask", "attention.grouped_attention")
@weight(1)
@matches_reference
def test_another_layer(solution, draw):
    """Nine heads for three, a window, sinks, biases, halves, and sequences at positions of their own."""
    build, x = solution.attention.GroupedQueryAttention, draw.normal(2, 7, 36).requires_grad_()
    layer = draw.fill_(build(36, 9, 3, window=3, sinks=1, bias=True, layout="half"))
    angles = draw.uniform(-3, 3, 2, 7, 2)
    positions = torch.tensor([[-1, -1, 0, 1, 2, 3, 4], [40, 41, 42, 43, 44, 45, 46]])
    out = layer(x, positions, (angles.cos(), angles.sin()))
    return {"out": out, "grad": draw.backward(out)}
