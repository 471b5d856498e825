"""These are wrong versions of parts of scaling.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch

from tools.author.cases import misconception

from .scaling import linear


@misconception("scaling.linear", pitfall=1, ask="Should position 4000 look like position 1000, or like 16 000?")
def faster_instead_of_slower(theta, factor):
    """Rates are multiplied by the factor, so that angles go even further beyond those of training."""
    return theta * factor


@misconception("scaling.ntk", pitfall=4, ask="By how much is the slowest pair slowed down?")
def base_exponent_is_one(theta, factor):
    """The base is multiplied by the factor itself, so that the slowest pair is not slowed down in full."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-pairs / len(theta))


@misconception("scaling.ntk", pitfall=1, ask="Which pair has seen all its angles in training?")
def ntk_slows_the_fast_pairs(theta, factor):
    """The fastest pair is slowed down in full and the slowest one stays."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-(len(theta) - 1 - pairs) / max(1, len(theta) - 1))


@misconception("scaling.ntk", pitfall=1, ask="Is a larger base slower or faster?")
def ntk_speeds_up(theta, factor):
    """The rates are those of a smaller base, and faster."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (pairs / max(1, len(theta) - 1))


@misconception("scaling.ntk", ask="What is d − 2, when there is one pair?")
def single_pair_divides_by_zero(theta, factor):
    """With a single pair the exponent is 0/0."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-pairs / (len(theta) - 1))


@misconception("scaling.yarn", pitfall=3, ask="Which pairs have gone round many times in training?")
def ramp_is_reversed(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The ramp is the wrong way round: the fast pairs are slowed down and the slow ones stay."""
    keep = 1 - ((trained_length * theta / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=2, ask="How many radians has a full rotation?")
def radians_for_rotations(theta, factor, trained_length, slow=1.0, fast=32.0):
    """Rotations are counted in radians: the 2π is missing."""
    keep = ((trained_length * theta - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=2, ask="Does a long wavelength mean many rotations or few?")
def wavelengths_for_rotations(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The ramp runs over wavelengths instead of rotations."""
    keep = ((2 * math.pi / theta - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=5, ask="What is γ of a pair that rotates 320 times?")
def ramp_is_not_cut_off(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The share γ is not cut to 0 … 1."""
    keep = (trained_length * theta / (2 * math.pi) - slow) / (fast - slow)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", ask="What are the arguments slow and fast for?")
def limits_are_fixed(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The limits are 1 and 32 rotations, whatever is asked for."""
    keep = ((trained_length * theta / (2 * math.pi) - 1) / 31).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)
