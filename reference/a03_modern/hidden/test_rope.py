"""Checks of rope.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("rope.RotaryEmbedding")
@needs("rope.frequencies", "rope.rotate")
@weight(0.5)
@matches_reference
def test_other_widths_and_positions(solution, draw):
    """Another width and base, rows of positions in no order, and both layouts give the reference's result and gradient."""
    x, positions = draw.normal(2, 3, 4, 10).requires_grad_(), torch.tensor([[3, 90_001, 12, 0], [7, 7, 8_192, 100]])
    cos, sin = solution.rope.RotaryEmbedding(10, 700.0)(positions, x.dtype)
    outs = [solution.rope.rotate(x, (cos[:, None], sin[:, None]), layout) for layout in ("interleaved", "half")]
    return {"outs": outs, "grad": draw.backward(*outs)}


@part("rope.reorder_projection")
@needs("rope.half_order")
@weight(0.5)
@matches_reference
def test_another_projection(solution, draw):
    """Heads of ten channels, and a single head."""
    reorder = solution.rope.reorder_projection
    return {"ten": reorder(draw.normal(40, 2), 4, "half"), "single": reorder(draw.normal(14), 1, "interleaved")}
