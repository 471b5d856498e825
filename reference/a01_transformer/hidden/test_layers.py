"""Checks of layers.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_wide_tokens_in_bfloat16(solution, draw):
    """Wide bfloat16 tokens far from 0 come out normalised, as bfloat16."""
    norm, x = draw.fill_(solution.layers.LayerNorm(48)), draw.normal(1, 2, 48, scale=20, dtype=torch.bfloat16)
    return {"out": norm(x), "constant": norm(torch.full_like(x, 77))}


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(1)
@matches_reference
def test_mlp_of_another_size(solution, draw):
    """The exact GELU in a narrow MLP without bias gives the reference's output and gradients."""
    mlp, x = (
        draw.fill_(solution.layers.MLP(7, expansion=3, approximate="none", bias=False)),
        draw.normal(2, 1, 3, 7).requires_grad_(),
    )
    out = mlp(x)
    return {"out": out, "grad": draw.backward(out)}
