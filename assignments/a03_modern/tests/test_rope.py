"""Checks of rope.py."""

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    at_most,
    fits_in_memory,
    matches_reference,
    needs,
    parameter_table,
    part,
    refusal,
    same,
    satisfies,
)
from autograder.observation.leaf import numbers

LATER = 60_000  # how far sequences are moved on where only distances should count
BFLOAT16 = 4 << 16  # four units in the last place of bfloat16, in those of float32


def drawn_rotation(draw, *shape):
    """Cosines and sines of drawn angles."""
    angles = draw.uniform(-3.2, 3.2, *shape)
    return angles.cos(), angles.sin()


def falls(leaf, lengths):
    """The mean over each segment of this leaf is less than that over the one before. lengths: of the segments."""

    def holds(seen):
        values, _ = numbers(seen[leaf])
        means = [part.mean() for part in np.split(values, np.cumsum(lengths)[:-1])]
        rising = [i for i in range(1, len(means)) if not means[i] < means[i - 1]]
        return (
            None if not rising else f"the mean of {leaf} should fall from segment to segment; it is {np.round(means, 3).tolist()}"
        )

    return holds


def drawn_base(draw):
    """A base between 50 and 1000, so far below the usual 10,000."""
    return float(draw.uniform(50, 1000))


@part("rope.frequencies")
@weight(1)
@matches_reference
def test_rates_fall_from_one_to_nearly_one_over_base(solution, draw):
    """Pair i rotates at base^(−2i / head_dim) radians a position, in float64."""
    rates = solution.rope.frequencies
    return {
        "usual": rates(10),
        "another base": rates(8, drawn_base(draw)),
        "slow ones": rates(64)[-4:],
        "long sequences": rates(16, 500_000.0)[-2:],
    }


@part("rope.frequencies")
@weight(1)
@matches_reference
def test_odd_width_is_refused(solution, draw):
    """Channels are rotated in pairs: an odd head_dim, or none at all, is a ValueError; one pair is enough."""
    rates = solution.rope.frequencies
    return {
        "odd": refusal(lambda: rates(7)),
        "none": refusal(lambda: rates(0)),
        "one pair": rates(2),
        "two pairs": rates(4, drawn_base(draw)),
    }


@part("rope.rotate")
@weight(1)
@matches_reference
def test_neighbours_turn_as_a_pair(solution, draw):
    """Channels 2i and 2i + 1 are rotated by the angle of pair i, counter-clockwise, and gradients are rotated back."""
    x, rotation = draw.normal(2, 3, 5, 8).requires_grad_(), drawn_rotation(draw, 5, 4)
    out = solution.rope.rotate(x, rotation)
    return {"out": out, "grad": draw.backward(out)}


@part("rope.rotate")
@weight(1)
@matches_reference
def test_halves_turn_as_pairs(solution, draw):
    """In the other layout channels i and i + head_dim / 2 are pair i, and the result is in that layout too."""
    x, rotation = draw.normal(2, 5, 6).requires_grad_(), drawn_rotation(draw, 5, 3)
    out = solution.rope.rotate(x, rotation, "half")
    return {"out": out, "grad": draw.backward(out), "by name": solution.rope.rotate(x, rotation, layout="half")}


@part("rope.rotate")
@weight(1)
@satisfies(all_of(same("norms", "norms before"), same("half norms", "half norms before")))
def test_norms_stay_what_they_are(solution, draw):
    """A rotation keeps the norm of every pair, and so of every vector, in either layout."""
    x, rotation = draw.normal(3, 4, 10, scale=5), drawn_rotation(draw, 4, 5)
    out, half = solution.rope.rotate(x, rotation), solution.rope.rotate(x, rotation, "half")
    return {
        "norms": out.unflatten(-1, (5, 2)).norm(dim=-1),
        "norms before": x.unflatten(-1, (5, 2)).norm(dim=-1),
        "half norms": half.unflatten(-1, (2, 5)).norm(dim=-2),
        "half norms before": x.unflatten(-1, (2, 5)).norm(dim=-2),
        "out": out,
    }


@part("rope.rotate")
@weight(1)
@matches_reference
def test_one_rotation_serves_many_heads(solution, draw):
    """Leading axes are broadcast: one rotation for all sequences and heads, or one each; one token, one pair, strided tokens."""
    rotate, each = solution.rope.rotate, drawn_rotation(draw, 2, 1, 4, 3)
    return {
        "one for all": rotate(draw.normal(2, 3, 4, 6), drawn_rotation(draw, 4, 3)),
        "one for each sequence": rotate(draw.normal(2, 3, 4, 6), each),
        "the same, half": rotate(draw.normal(2, 3, 4, 6), each, "half"),
        "no batch": rotate(draw.normal(4, 2), drawn_rotation(draw, 4, 1)),
        "one token": rotate(draw.normal(3, 1, 4), drawn_rotation(draw, 1, 2)),
        "strided": rotate(draw.normal(2, 6, 4).mT, drawn_rotation(draw, 4, 3), "half"),
        "double": rotate(draw.normal(4, 6, dtype=torch.float64), [t.double() for t in drawn_rotation(draw, 4, 3)]),
    }


@part("rope.rotate")
@weight(1)
@matches_reference
def test_low_precision_is_raised_before_it_turns(solution, draw):
    """float16 tokens are rotated in float32 and come back as float16: where two large products nearly cancel, the rest is right."""
    angles = draw.tensor([[0.7861, 0.7843, 0.7867]])  # near π/4, so that of (a, a) nothing is left in the first channel
    x = draw.tensor([[1000.0, 1000.0, -700.0, -700.0, 300.0, 300.0]], dtype=torch.float16)
    rotate, rotation = solution.rope.rotate, (angles.cos(), angles.sin())
    out, half = rotate(x, rotation), rotate(x[:, [0, 2, 4, 1, 3, 5]], rotation, "half")
    return {
        "what is left": out[:, ::2],
        "half": half[:, :3],
        "large": out[:, 1::2],
        "bfloat16": rotate(draw.normal(2, 6, dtype=torch.bfloat16), rotation),
    }


@part("rope.rotate")
@weight(1)
@matches_reference
def test_there_are_two_layouts(solution, draw):
    """Another layout than the two is a ValueError."""
    x, rotation = draw.normal(2, 4), drawn_rotation(draw, 2, 2)
    refused = [refusal(lambda name=name: solution.rope.rotate(x, rotation, name)) for name in ("halves", "", None)]
    return {"refused": refused, "out": solution.rope.rotate(x, rotation, "interleaved")}


@part("rope.half_order")
@weight(1)
@matches_reference
def test_first_channels_stand_before_second_ones(solution, draw):
    """The half-split layout has the first channel of every pair, then the second of every pair; an odd width is a ValueError."""
    order, pairs = solution.rope.half_order, draw.integers(2, 60, 2).tolist()
    return {
        "ten": order(10),
        "six": order(6),
        "two": order(2),
        "odd": refusal(lambda: order(5)),
        "any": [order(2 * n) for n in pairs],
    }


@part("rope.half_order")
@needs("rope.rotate")
@weight(1)
@satisfies(same("rotated, then reordered", "reordered, then rotated"))
def test_layouts_agree_through_the_permutation(solution, draw):
    """Rotating in one layout and reordering gives what reordering and rotating in the other gives, and the inverse leads back."""
    x, rotation, order = draw.normal(2, 4, 12), drawn_rotation(draw, 4, 6), solution.rope.half_order(12)
    reordered = solution.rope.rotate(x[..., order], rotation, "half")
    return {
        "rotated, then reordered": solution.rope.rotate(x, rotation)[..., order],
        "reordered, then rotated": reordered,
        "back": reordered[..., order.argsort()],
    }


@part("rope.reorder_projection")
@needs("rope.half_order")
@weight(1)
@matches_reference
def test_rows_of_each_head_are_reordered(solution, draw):
    """Each head's rows change their order on their own, in a weight or a bias; heads that do not divide the rows are refused."""
    reorder, w, b = solution.rope.reorder_projection, draw.normal(24, 3), draw.normal(16)
    return {
        "weight": reorder(w, 3, "half"),
        "weight, back": reorder(w, 3, "interleaved"),
        "bias": reorder(b, 2, "half"),
        "bias, back": reorder(b, 1, "interleaved"),
        "heads": refusal(lambda: reorder(w, 7, "half")),
        "layout": refusal(lambda: reorder(w, 3, "halves")),
    }


@part("rope.reorder_projection")
@needs("rope.half_order")
@weight(1)
@satisfies(all_of(same("there and back", "weight"), same("back and there", "weight")))
def test_the_two_directions_undo_each_other(solution, draw):
    """To the one layout and back to the other is where one came from, whichever comes first."""
    reorder, w = solution.rope.reorder_projection, draw.normal(32, 2)
    there, back = reorder(w, 2, "half"), reorder(w, 2, "interleaved")
    return {
        "there and back": reorder(there, 2, "interleaved"),
        "back and there": reorder(back, 2, "half"),
        "weight": 1 * w,
        "there": there,
    }


@part("rope.reorder_projection")
@needs("rope.half_order", "rope.rotate")
@weight(1)
@satisfies(same("interleaved", "half"))
def test_scores_survive_a_change_of_layout(solution, draw):
    """With the rows of both projections reordered and the new layout in `rotate`, every score of every head stays what it was."""
    x, wq, wk, rotation = draw.normal(5, 6), draw.normal(24, 6), draw.normal(24, 6), drawn_rotation(draw, 5, 4)

    def scores(wq, wk, layout):
        heads = [(x @ w.T).unflatten(-1, (3, 8)).transpose(0, 1) for w in (wq, wk)]
        q, k = (solution.rope.rotate(h, rotation, layout) for h in heads)
        return q @ k.mT

    as_half = [solution.rope.reorder_projection(w, 3, "half") for w in (wq, wk)]
    return {"interleaved": scores(wq, wk, "interleaved"), "half": scores(*as_half, "half")}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(0.5)
@matches_reference
def test_nothing_is_trained_and_nothing_saved(solution, draw):
    """There are no parameters and no entry of a state dict, before use and after; an odd width is a ValueError."""
    rotary = solution.rope.RotaryEmbedding(6, drawn_base(draw))
    fresh = list(rotary.state_dict())
    cos, sin = rotary(torch.arange(9), torch.get_default_dtype())
    return {
        "parameters": parameter_table(rotary),
        "saved": [fresh, list(rotary.state_dict())],
        "odd": refusal(lambda: solution.rope.RotaryEmbedding(9)),
        "cos": cos,
        "sin": sin,
    }


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(1)
@matches_reference
def test_angle_is_absolute_position_times_rate(solution, draw):
    """Cosines and sines are those of position · rate for positions in any order, from anywhere, each row with its own."""
    real = torch.get_default_dtype()
    decoding = solution.rope.RotaryEmbedding(8)(draw.integers(100, 256, 1), real)
    rows = solution.rope.RotaryEmbedding(6, 100.0)(draw.integers(0, 50, 2, 3), real)
    return {"decoding": torch.stack(decoding), "rows": torch.stack(rows)}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(0.5)
@matches_reference
def test_table_grows_with_the_text(solution, draw):
    """Short sequences first, then longer ones, then what lies beyond any table, then short ones again: always the same angles."""
    rotary, real = solution.rope.RotaryEmbedding(4, drawn_base(draw)), torch.get_default_dtype()
    asked = {"short": [0, 1, 2], "next": [3], "long": [2, 40, 299], "beyond": [8190, 8192, 20_011], "short again": [1, 298]}
    return {name: torch.stack(rotary(torch.tensor(positions), real)) for name, positions in asked.items()}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies", "rope.rotate")
@weight(0.5)
@satisfies(same("here", "later", ulps=64))
def test_scores_depend_on_the_distance_alone(solution, draw):
    """Moving query and key on by the same number of positions, into the ten thousands, leaves their score as it is."""
    q, k, m, n = draw.normal(64, 32), draw.normal(64, 32), draw.integers(0, 512, 64), draw.integers(0, 512, 64)
    rotary = solution.rope.RotaryEmbedding(32)

    def score(step):
        rotated = [solution.rope.rotate(x, rotary(positions + step, x.dtype)) for x, positions in ((q, m), (k, n))]
        return (rotated[0] * rotated[1]).sum(-1)

    return {"here": score(0), "nearby": score(1000), "later": score(LATER)}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies", "rope.rotate")
@weight(0.5)
@satisfies(same("here", "later", ulps=BFLOAT16))
def test_scores_of_bfloat16_depend_on_the_distance_alone(solution, draw):
    """The same for bfloat16 vectors: positions beyond 256 are still different, and only the vectors themselves are rounded."""
    m, n = draw.integers(0, 512, 64), draw.integers(0, 512, 64)
    q, k = (draw.normal(64, 32, dtype=torch.bfloat16) for _ in range(2))
    rotary = solution.rope.RotaryEmbedding(32).to(torch.bfloat16)

    def score(step):
        rotated = [solution.rope.rotate(x, rotary(positions + step, x.dtype)) for x, positions in ((q, m), (k, n))]
        return (rotated[0].float() * rotated[1].float()).sum(-1)

    cos, sin = rotary(m + LATER, torch.bfloat16)
    return {
        "here": score(0),
        "later": score(LATER),
        "cos": cos.to(torch.get_default_dtype()),
        "dtype": str(sin.dtype)[-2:] != "16",
    }


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(0.5)
@matches_reference
def test_angles_are_exact_where_texts_are_long(solution, draw):
    """At 40 000 an angle in float32 is 0.002 off; yours are right there too, also for a model that was cast to bfloat16."""
    positions, real = torch.tensor([39_999, 8_191, 65_535, 40_961]), torch.get_default_dtype()
    rotary = solution.rope.RotaryEmbedding(32, drawn_base(draw)).to(torch.bfloat16)
    return {
        "cos, sin": torch.stack(rotary(positions, real)),
        "table": torch.stack(rotary(torch.tensor([5000, 5001]), real)),
        "double": torch.stack(rotary(positions, torch.float64)),
        "on their device": [str(part.device) for part in rotary(torch.zeros(2, dtype=torch.int64, device=draw.device))],
    }


@part("rope.RotaryEmbedding")
@needs("rope.frequencies", "scaling.linear", "scaling.ntk", "scaling.yarn")
@weight(0.5)
@matches_reference
def test_scaled_rates_turn_the_pairs(solution, draw):
    """With a scaling its rates are used, and its magnitude multiplies cosines and sines, also where no table reaches."""
    scaling, positions = solution.scaling.Scaling, torch.tensor([0, 3, 130, 90_000])
    factor = float(draw.uniform(2, 8))
    kinds = scaling("linear", factor), scaling("ntk", factor), scaling("yarn", factor, 128)
    build = solution.rope.RotaryEmbedding
    return {kind.kind: torch.stack(build(8, 1000.0, kind)(positions, torch.get_default_dtype())) for kind in kinds}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(0.5)
@satisfies(all_of(at_most("tables computed", 20), at_most("longest table", 20_000)), random=("tables computed", "longest table"))
def test_tables_are_kept_for_the_next_token(solution, draw):
    """For 400 tokens one by one tables are computed a few times, not 400; a position in the millions builds no table up to it."""
    rotary, sizes, real = solution.rope.RotaryEmbedding(4, drawn_base(draw)), [], torch.get_default_dtype()
    compute = rotary.compute
    rotary.compute = lambda positions: (sizes.append(positions.numel()), compute(positions))[1]
    steps = [rotary(torch.tensor([[position]]), real)[0] for position in range(400)]
    computed = len(sizes)
    far = rotary(torch.tensor([1_000_000]), real)
    return {"tables computed": computed, "longest table": max(sizes), "cos": torch.cat(steps, dim=1)[:, ::7], "far": list(far)}


@part("rope.RotaryEmbedding")
@needs("rope.frequencies")
@weight(0.5)
@fits_in_memory(growth=4 << 20)
def test_endless_stream_needs_no_endless_table(solution, draw):
    """Positions in the millions take no more memory than small ones: no table is built up to them."""
    rotary, real = solution.rope.RotaryEmbedding(64), torch.get_default_dtype()
    yield
    for start in (100, 2_000_000):
        yield {"cos": rotary(torch.arange(start, start + 50), real)[0]}


@part("rope.decay_bound")
@weight(1)
@matches_reference
def test_bound_is_the_mean_length_of_partial_sums(solution, draw):
    """For each distance: rotated unit vectors are added up pair by pair, and the lengths of all partial sums averaged."""
    theta = draw.tensor([1.0, 0.3, 0.1, 0.03, 0.01])
    distances = torch.tensor([0, 1, 2, 5, 40, 3])
    return {
        "five pairs": solution.rope.decay_bound(distances, theta),
        "one pair": solution.rope.decay_bound(distances, theta[:1]),
        "double": solution.rope.decay_bound(distances, draw.uniform(0.1, 1, 2, dtype=torch.float64)),
    }


@part("rope.decay_bound")
@needs("rope.frequencies")
@weight(1)
@satisfies(falls("bound", [1, 15, 48, 192]))
def test_bound_falls_with_the_distance(solution, draw):
    """With the paper's rates the bound is largest at distance 0 and falls from segment to segment, though in waves."""
    theta = solution.rope.frequencies(128).to(torch.get_default_dtype())
    bound = solution.rope.decay_bound
    return {"bound": bound(torch.arange(256), theta), "far": bound(draw.integers(256, 2000, 4), theta)}
