"""Checks of scaling.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part, same, satisfies


def rates(draw, head_dim, base=10_000.0):
    """Frequencies as rope.py hands them out, in the precision of this run."""
    return draw.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)])


def drawn_factor(draw):
    """How many times longer sequences become."""
    return float(draw.uniform(2, 10))


@part("scaling.linear")
@weight(1)
@matches_reference
def test_linear_slows_every_pair_alike(solution, draw):
    """Every rate is divided by the factor, as if positions were; a factor of 1 changes nothing."""
    theta = rates(draw, 8)
    linear = solution.scaling.linear
    return {"by 4": linear(theta, 4.0), "by 1": linear(theta, 1.0), "by any factor": linear(theta, drawn_factor(draw))}


@part("scaling.ntk")
@weight(1)
@matches_reference
def test_ntk_takes_a_larger_base(solution, draw):
    """The fastest pair stays, the slowest is slowed in full, those between as a larger base has them; a single pair stays."""
    ntk = solution.scaling.ntk
    return {
        "five pairs": ntk(rates(draw, 10), drawn_factor(draw)),
        "two pairs": ntk(rates(draw, 4, 100.0), 8.0),
        "one pair": ntk(rates(draw, 2), 8.0),
    }


@part("scaling.ntk")
@weight(1)
@satisfies(same("scaled", "of a larger base"))
def test_ntk_is_the_table_of_another_base(solution, draw):
    """The scaled rates are those of the base times factor^(d / (d − 2))."""
    factor = drawn_factor(draw)
    scaled = solution.scaling.ntk(rates(draw, 64), factor)
    return {"scaled": scaled, "of a larger base": rates(draw, 64, 10_000.0 * factor ** (64 / 62))}


@part("scaling.yarn")
@needs("scaling.linear")
@weight(1)
@matches_reference
def test_yarn_slows_pairs_by_how_seldom_they_turn(solution, draw):
    """Between the two limits a pair keeps a share of its rate that grows linearly with its rotations in the trained length."""
    yarn = solution.scaling.yarn
    return {
        "512 positions": yarn(rates(draw, 32), drawn_factor(draw), 512),
        "100 positions": yarn(rates(draw, 16, 500.0), 10.0, 100),
        "one pair": yarn(rates(draw, 2), 4.0, 100),
    }


@part("scaling.yarn")
@needs("scaling.linear")
@weight(1)
@satisfies(same("fast", "fast before"))
def test_yarn_leaves_fast_pairs_alone(solution, draw):
    """What rotates 32 times or more in the trained length keeps its rate; what does not come round once is slowed in full."""
    theta, factor = rates(draw, 64), drawn_factor(draw)
    scaled = solution.scaling.yarn(theta, factor, 2048)
    return {"fast": scaled[:8], "fast before": theta[:8] * 1, "slow": scaled[-12:] * factor, "between": scaled[8:-12]}


@part("scaling.yarn")
@needs("scaling.linear")
@weight(1)
@matches_reference
def test_yarn_takes_other_limits(solution, draw):
    """slow and fast, in full rotations, say where the ramp begins and ends."""
    theta, factor = rates(draw, 24), drawn_factor(draw)
    return {
        "narrow": solution.scaling.yarn(theta, factor, 1000, slow=2.0, fast=3.0),
        "wide": solution.scaling.yarn(theta, factor, 1000, slow=0.125, fast=100.0),
    }


@part("scaling.yarn")
@needs("scaling.linear")
@weight(1)
@satisfies(same("by 1", "before"))
def test_yarn_by_one_changes_nothing(solution, draw):
    """A factor of 1 changes no rate, float64 stays float64, and the caller's own rates stay as they are."""
    theta = rates(draw, 20)
    double = draw.tensor([1.0, 0.125, 0.0625, 0.001], dtype=torch.float64)
    return {
        "by 1": solution.scaling.yarn(theta, 1.0, 300),
        "before": theta * 1,
        "by any factor": solution.scaling.yarn(theta, drawn_factor(draw), 300),
        "double": solution.scaling.yarn(double, 2.0, 400),
    }
