"""Checks of layers.py that never ship: other shapes and edges. Each raises a false alarm in at most one of a million runs."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import needs, part, satisfies, truncated_gaussian


@part("layers.truncated_normal_")
@weight(1)
@satisfies(truncated_gaussian("weight", std=3e-3, cut=1.25), random=("weight",))
def test_another_cut(solution, draw):
    """Another deviation and another cut, of a tensor with three axes, have the distribution that was asked for."""
    weight = torch.zeros(40, 50, 30)
    return {"weight": solution.layers.truncated_normal_(weight, 3e-3, 1.25), "axes": weight.ndim}


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(1)
@satisfies(truncated_gaussian("wide", 1 / math.sqrt(30), cut=2), random=("wide",))
def test_wide_layer(solution, draw):
    """A layer of other sizes starts with the right deviation and gives the reference's outputs and gradients."""
    wide = solution.layers.Linear(30, 2000).weight
    linear, x = draw.fill_(solution.layers.Linear(5, 1, bias=True, init="kaiming")), draw.normal(2, 2, 3, 5).requires_grad_()
    out = linear(x)
    return {"wide": wide, "out": out, "grad": draw.backward(out)}
