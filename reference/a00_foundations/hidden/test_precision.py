"""Checks of precision.py that never ship: other numbers and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_rounding_over_the_whole_range(solution, draw):
    """From below the smallest subnormal to beyond the largest, numbers of every size are rounded right."""
    sizes = 2.0 ** torch.arange(-28.0, 19.0, dtype=torch.float64)
    relative = lambda rounded: torch.where(rounded.isfinite(), rounded / sizes[:, None], rounded)
    x = draw.uniform(-2, 2, 47, 6, dtype=torch.float64) * sizes[:, None]
    formats = solution.precision
    return {
        "float16": relative(formats.round_to(x, formats.FLOAT16)),
        "e5m2": relative(formats.round_to(x, formats.FloatFormat(5, 2))),
        "bfloat16": relative(formats.round_to(x, formats.BFLOAT16)),
    }


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@matches_reference
def test_five_steps_one_of_them_bad(solution, draw):
    """Over several steps with clipping, decay and a skipped one, parameters and scale are the reference's."""
    model, x, y = draw.fill_(nn.Linear(3, 4)), draw.normal(7, 3), draw.normal(7, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.5, weight_decay=0.1)
    scaler, factors = solution.precision.LossScaler(512.0, interval=2), iter([1.0, 1e-3, float("inf"), 20.0, 1.0])
    loss_of = lambda: (model(x) - y).square().mean() * next(factors)
    steps = [
        solution.precision.mixed_precision_step(model, loss_of, optimizer, scaler, torch.float32, max_norm=0.8) for _ in range(5)
    ]
    return {
        "norms": [s.gradient_norm for s in steps if not s.skipped],
        "skipped": [s.skipped for s in steps],
        "parameters": dict(model.named_parameters()),
        "scale": scaler.scale,
    }
