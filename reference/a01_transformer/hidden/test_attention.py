"""Checks of attention.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_blind_rows_beside_seeing_ones(solution, draw):
    """A mask that hides every key from some queries of some heads leaves the others as they are, gradients included."""
    q, k, v = draw.normal(3, 2, 6, 5).requires_grad_(), draw.normal(3, 2, 9, 5).requires_grad_(), draw.normal(3, 2, 9, 4)
    mask = draw.bernoulli(0.2, 3, 1, 6, 9)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v.requires_grad_(), mask)
    return {"out": out, "weights": weights, "grad": draw.backward(out, weights)}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_seven_heads_of_three_channels(solution, draw):
    """Other sizes, two leading axes and a mask for each sequence give the reference's output, weights and gradients."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(21, 7, bias=False)), draw.normal(2, 3, 4, 21).requires_grad_()
    mask = draw.bernoulli(0.4, 2, 3, 4, 4) | torch.eye(4, dtype=torch.bool)
    out, weights = module(x, mask, return_weights=True)
    return {"out": out, "weights": weights, "grad": draw.backward(out)}
