"""Checks of layers.py."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    gaussian,
    matches_reference,
    needs,
    parameter_table,
    part,
    refusal,
    satisfies,
    truncated_gaussian,
)

# Each statistical check draws at least 40,000 numbers and raises a false alarm in at most one of a million runs of right code:
# autograder/properties.py derives its bounds from that rate. Where a check looks at two tensors, each gets half of it. The
# bounds that follow for the deviation are ± 1.2 to 2.5 %.
HALF = 4.9e-7


def repeats(draw, fill) -> dict[str, bool | list[bool]]:
    """Whether `fill(weight, generator)` takes its numbers from the generator: the same again, and none of the global one's."""
    before = torch.get_rng_state()
    seeds = [1, 1, 2, *draw.integers(1, 3, 12).tolist()]
    first, again, other, *rest = (fill(torch.zeros(30, 20), torch.Generator().manual_seed(seed)) for seed in seeds)
    return {
        "again": torch.equal(first, again),
        "other seed": torch.equal(first, other),
        "drawn seeds": [torch.equal(first, one) for one in rest],
        "global generator untouched": torch.equal(before, torch.get_rng_state()),
    }


@part("layers.truncated_normal_")
@weight(2)
@satisfies(truncated_gaussian("weight", std=0.5, cut=2), random=("weight",))
def test_tails_are_cut_off(solution, draw):
    """Nothing lies beyond two deviations, and what is left has the deviation asked for, mean 0 and the shape of the bell."""
    weight = torch.zeros(250, 200)
    out = solution.layers.truncated_normal_(weight, 0.5)
    return {"weight": weight, "returned": out is weight}


@part("layers.truncated_normal_")
@weight(1)
@satisfies(
    all_of(truncated_gaussian("narrow", 2, 0.5, false_alarms=HALF), truncated_gaussian("wide", 10, 3, false_alarms=HALF)),
    random=("narrow", "wide"),
)
def test_tails_are_cut_where_asked_for(solution, draw):
    """Wherever the cut is, the numbers that are left have the deviation asked for; 0 and below are a ValueError."""
    fill, weight = solution.layers.truncated_normal_, torch.zeros(5)
    return {
        "narrow": fill(torch.zeros(250, 200), std=2, cut=0.5),
        "wide": fill(torch.zeros(250, 200), std=10, cut=3),
        "refused": [refusal(lambda: fill(weight, 0.0)), refusal(lambda: fill(weight, 1.0, cut=-1))],
    }


@part("layers.truncated_normal_")
@weight(1)
@matches_reference
def test_truncated_normal_fills_in_place(solution, draw):
    """A parameter is filled in place without a graph, strided or not, with the numbers of the generator that was given."""
    fill, parameter, strided = solution.layers.truncated_normal_, torch.nn.Parameter(torch.zeros(3, 5)), torch.zeros(6, 4)
    out = fill(parameter, 1.0)
    fill(strided[:, 1], 1.0)
    return repeats(draw, lambda weight, generator: fill(weight, 0.02, generator=generator)) | {
        "same tensor": out is parameter,
        "leaf that asks for gradients": parameter.is_leaf and parameter.requires_grad,
        "filled": bool((parameter != 0).all()),
        "filled columns": (strided != 0).any(0),
    }


@part("layers.kaiming_normal_")
@weight(1)
@satisfies(
    # Not cut at all: one of 80,000 normal numbers lies beyond 8 deviations in 1e-10 of all runs, which HALF leaves room for.
    all_of(
        truncated_gaussian("relu", math.sqrt(2 / 100), cut=8, false_alarms=HALF),
        truncated_gaussian("linear", 1 / 20, cut=8, false_alarms=HALF),
    ),
    random=("relu", "linear"),
)
def test_variance_goes_by_the_inputs(solution, draw):
    """The variance is gain² over the number of inputs, gain √2 unless said otherwise, and the numbers are normal."""
    return {
        "relu": solution.layers.kaiming_normal_(torch.zeros(400, 100)),
        "linear": solution.layers.kaiming_normal_(torch.zeros(100, 400), gain=1.0),
        "shape": list(solution.layers.kaiming_normal_(torch.zeros(3, 1)).shape),
    }


@part("layers.kaiming_normal_")
@weight(1)
@matches_reference
def test_kaiming_normal_fills_in_place(solution, draw):
    """A parameter is filled in place without a graph, with the numbers of the generator that was given."""
    fill, parameter = solution.layers.kaiming_normal_, torch.nn.Parameter(torch.zeros(3, 5))
    out = fill(parameter)
    return repeats(draw, lambda weight, generator: fill(weight, generator=generator)) | {
        "same tensor": out is parameter,
        "leaf that asks for gradients": parameter.is_leaf and parameter.requires_grad,
        "filled": bool((parameter != 0).all()),
    }


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(1)
@matches_reference
def test_linear_has_a_weight_and_perhaps_a_bias(solution, draw):
    """`weight` is (d_out, d_in); there is no bias unless asked for, and the attribute is None then."""
    plain, biased = (draw.fill_(solution.layers.Linear(3, 5, **bias)) for bias in ({}, {"bias": True}))
    return {
        "parameters": parameter_table(plain),
        "with bias": parameter_table(biased),
        "no bias": plain.bias is None,
        "out": biased(draw.normal(2, 3)),
    }


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(2)
@matches_reference
def test_linear_mixes_and_passes_gradients(solution, draw):
    """Each output is a weighted sum of all inputs of its row; input, weight and bias all get their gradient."""
    linear, x = draw.fill_(solution.layers.Linear(4, 7, bias=True)), draw.normal(2, 3, 4).requires_grad_()
    out = linear(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(1)
@matches_reference
def test_linear_takes_any_shape(solution, draw):
    """No leading axis or three, strided, one input or one output: all the same; float64 stays float64. Other widths are refused."""
    linear, narrow = draw.fill_(solution.layers.Linear(3, 2)), draw.fill_(solution.layers.Linear(1, 1, bias=True))
    outs = {
        "none": linear(draw.normal(3)),
        "three": linear(draw.normal(2, 1, 2, 3)),
        "strided": linear(draw.normal(2, 3, 4).mT),
        "one": narrow(draw.normal(4, 1)),
        "no row": linear(draw.normal(0, 3)),
        "wide": refusal(lambda: linear(draw.normal(2, 4))),
        "one channel": refusal(lambda: linear(draw.normal(2, 1))),
    }
    return outs | {"double": linear.double()(draw.normal(2, 3, dtype=torch.float64))}


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(1)
@satisfies(truncated_gaussian("weight", std=1 / math.sqrt(160), cut=2), random=("weight",))
def test_linear_starts_truncated(solution, draw):
    """The weight starts from the truncated normal with deviation 1/√d_in, and the bias at 0."""
    linear = solution.layers.Linear(160, 320, bias=True)
    return {"weight": linear.weight, "bias": linear.bias}


@part("layers.Linear")
@needs("layers.truncated_normal_", "layers.kaiming_normal_")
@weight(1)
@satisfies(gaussian("weight", math.sqrt(2 / 160)), random=("weight",))
def test_linear_starts_as_it_is_told(solution, draw):
    """init="kaiming" starts it for a ReLU, with the numbers of the generator that was given; any other word is a ValueError."""
    build = solution.layers.Linear
    fill = lambda init: lambda _, generator: build(3, 4, init=init, generator=generator).weight
    return {
        "weight": build(160, 320, init="kaiming").weight,
        "other word": refusal(lambda: build(2, 2, init="xavier")),
        "truncated": repeats(draw, fill("truncated")),
        "kaiming": repeats(draw, fill("kaiming")),
    }


@part("layers.Embedding")
@needs("layers.truncated_normal_")
@weight(1)
@satisfies(
    all_of(truncated_gaussian("usual", 1.0, 2, false_alarms=HALF), truncated_gaussian("small", 0.02, 2, false_alarms=HALF)),
    random=("usual", "small"),
)
def test_embedding_is_a_table_of_truncated_normals(solution, draw):
    """The one parameter is `weight`, (vocab_size, d_model). It starts truncated with the deviation asked for, 1 unless said."""
    build = solution.layers.Embedding
    return {
        "parameters": parameter_table(build(5, 3)),
        "usual": build(500, 100).weight,
        "small": build(500, 100, std=0.02).weight,
        "seeded": repeats(draw, lambda _, generator: build(4, 3, generator=generator).weight),
        "row": draw.fill_(build(5, 3))(draw.integers(0, 5, 1)),
    }


@part("layers.Embedding")
@needs("layers.truncated_normal_")
@weight(1)
@matches_reference
def test_embedding_looks_up_rows(solution, draw):
    """Each token is replaced by its row, and a token that occurs three times passes three gradients back to it."""
    embedding, tokens = draw.fill_(solution.layers.Embedding(6, 4)), draw.tensor([[1, 5, 1], [0, 1, 3]], dtype=torch.int64)
    out = embedding(tokens)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.Embedding")
@needs("layers.truncated_normal_")
@weight(1)
@matches_reference
def test_embedding_takes_tokens_of_any_shape(solution, draw):
    """One token, three axes, strided or none at all, in int32 or uint8; a float64 table gives float64."""
    embedding, tokens = draw.fill_(solution.layers.Embedding(9, 3)), draw.integers(0, 9, 2, 4, 3)
    outs = {
        "one": embedding(tokens[0, 0, 0]),
        "three": embedding(tokens),
        "strided": embedding(tokens[:, :, 0].mT),
        "int32": embedding(tokens[0].int()),
        "uint8": embedding(tokens[1, :2].to(torch.uint8)),
        "none": embedding(tokens[:, :0]),
    }
    return outs | {"double": embedding.double()(tokens[0, 0])}


@part("layers.Embedding")
@needs("layers.truncated_normal_")
@weight(1)
@matches_reference
def test_embedding_refuses_what_is_no_token(solution, draw):
    """Fractions, booleans, numbers below 0 and numbers from vocab_size on are a ValueError; 0 and vocab_size − 1 are tokens."""
    embedding = draw.fill_(solution.layers.Embedding(4, 2))
    bad = {"negative": [-1, 2], "too large": [0, 4], "fractions": [1.0, 2.0], "booleans": [True, False]}
    return {name: refusal(lambda value=value: embedding(torch.tensor(value))) for name, value in bad.items()} | {
        "edges": embedding(torch.tensor([0, 3])),
    }
