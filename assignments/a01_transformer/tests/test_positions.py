"""Checks of positions.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, parameter_table, part, refusal, same, satisfies


def drawn_base(draw):
    """A base between 50 and 1000, so far below the usual 10,000."""
    return float(draw.uniform(50, 1000))


@part("positions.sinusoidal_positions")
@weight(2)
@matches_reference
def test_sine_and_cosine_of_one_angle_stand_side_by_side(solution, draw):
    """Channels 2i and 2i + 1 of row p hold the sine and the cosine of the same angle, p · base^(−2i / d_model)."""
    n_positions, pairs = int(draw.integers(40, 100)), int(draw.integers(5, 25))
    return {"table": solution.positions.sinusoidal_positions(n_positions, 2 * pairs)}


@part("positions.sinusoidal_positions")
@weight(1)
@matches_reference
def test_base_sets_the_longest_wavelength(solution, draw):
    """Another base gives other wavelengths."""
    return {"table": solution.positions.sinusoidal_positions(9, 6, base=drawn_base(draw))}


@part("positions.sinusoidal_positions")
@weight(1)
@satisfies(same("here", "later"))
def test_product_of_two_positions_depends_on_their_distance(solution, draw):
    """Rows that are three positions apart have the same dot product wherever they stand."""
    table = solution.positions.sinusoidal_positions(30, 16, base=drawn_base(draw))
    return {"here": table[0] @ table[3], "later": table[20] @ table[23]}


@part("positions.sinusoidal_positions")
@weight(1)
@matches_reference
def test_low_precision_table_still_counts_every_position(solution, draw):
    """A bfloat16 table is computed in float32 and rounded at the end, so that position 599 is not taken for 600."""
    return {
        "last rows": solution.positions.sinusoidal_positions(600, 4, dtype=torch.bfloat16)[-40:],
        "double": solution.positions.sinusoidal_positions(3, 4, drawn_base(draw), torch.float64),
    }


@part("positions.sinusoidal_positions")
@weight(1)
@matches_reference
def test_odd_width_is_refused_and_the_smallest_tables_are_right(solution, draw):
    """An odd d_model is a ValueError; one position or two channels are no special case."""
    table, n_positions, pairs = solution.positions.sinusoidal_positions, int(draw.integers(2, 50)), int(draw.integers(2, 50))
    return {
        "odd": refusal(lambda: table(n_positions, 2 * pairs + 1)),
        "one position": table(1, 2 * pairs),
        "two channels": table(n_positions, 2),
    }


@part("positions.LearnedPositions")
@weight(1)
@matches_reference
def test_learned_positions_have_one_table(solution, draw):
    """The table is the parameter `weight`, and its first rows are added to the tokens."""
    module = draw.fill_(solution.positions.LearnedPositions(6, 4))
    return {"parameters": parameter_table(module), "out": module(draw.normal(1, 3, 4))}


@part("positions.LearnedPositions")
@weight(1)
@matches_reference
def test_every_entry_of_every_leading_axis_gets_its_position(solution, draw):
    """Row t of the table is added to token t of every sequence, and all of them pass their gradient back to it."""
    module = draw.fill_(solution.positions.LearnedPositions(7, 4))
    batch, sequence, strided = draw.normal(2, 3, 5, 4).requires_grad_(), draw.normal(5, 4), draw.normal(2, 4, 6).mT
    outs = {"batch": module(batch), "sequence": module(sequence), "strided": module(strided)}
    return outs | {"grad": draw.backward(*outs.values())}


@part("positions.LearnedPositions")
@weight(1)
@matches_reference
def test_offset_says_where_the_first_token_stands(solution, draw):
    """With an offset, counting starts there, up to and including the last row of the table."""
    module = draw.fill_(solution.positions.LearnedPositions(7, 4))
    middle, last = module(draw.normal(2, 3, 4), offset=4), module(draw.normal(2, 1, 4), offset=6)
    return {"middle": middle, "last": last, "grad": draw.backward(middle, last)}


@part("positions.LearnedPositions")
@weight(1)
@matches_reference
def test_positions_beyond_the_table_are_refused(solution, draw):
    """A sequence that runs past the table, or an offset below 0, is a ValueError. A sequence that just fits is not."""
    module, x = draw.fill_(solution.positions.LearnedPositions(4, 6)), draw.normal(1, 4, 6)
    return {
        "fits": module(x),
        "too long": refusal(lambda: module(x, offset=1)),
        "negative": refusal(lambda: module(x, offset=-1)),
    }
