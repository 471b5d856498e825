"""These are other right versions of parts of scaling.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .scaling import linear


@alternate("scaling.linear")
def times_the_inverse(theta, factor):
    """Multiplied by the inverse."""
    return theta * (1.0 / factor)


@alternate("scaling.ntk")
def rates_of_the_larger_base(theta, factor):
    """The exponent as it stands in the source, 2i / (d − 2), by exponential and logarithm."""
    d = 2 * theta.shape[0]
    if d == 2:
        return theta.clone()
    i = torch.arange(0, d, 2, dtype=theta.dtype) / (d - 2)
    return torch.exp(torch.log(theta) - i * math.log(factor))


@alternate("scaling.yarn")
def ramp_over_wavelengths(theta, factor, trained_length, slow=1.0, fast=32.0):
    """Turns as the trained length over the wavelength, and an interpolation."""
    rotations = trained_length / (2 * math.pi / theta)
    share = torch.clamp((rotations - slow) / (fast - slow), min=0.0, max=1.0)
    return torch.lerp(linear(theta, factor), theta, share)
