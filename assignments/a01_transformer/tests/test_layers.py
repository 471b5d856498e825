"""Checks of layers.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import kept_share, matches_reference, needs, parameter_table, part, refusal, same, satisfies


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_norm_has_a_weight_and_perhaps_a_bias(solution, draw):
    """`weight` and `bias` have d_model numbers each, and bias=False leaves the second out."""
    biased, plain = (draw.fill_(solution.layers.LayerNorm(5, bias=b)) for b in (True, False))
    return {
        "parameters": parameter_table(biased),
        "without bias": parameter_table(plain),
        "out": plain(draw.normal(2, 3, 5, scale=9)),
    }


@part("layers.LayerNorm")
@weight(2)
@matches_reference
def test_norm_acts_on_each_token(solution, draw):
    """Each token gets mean 0 and variance 1 over its own channels, then weight and bias; gradients reach all three."""
    norm, x = draw.fill_(solution.layers.LayerNorm(5)), draw.normal(2, 3, 5, scale=9).requires_grad_()
    out = norm(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_eps_is_added_to_the_variance(solution, draw):
    """eps stands beside the variance, so a faint token stays faint and a constant one becomes the bias, without a NaN."""
    norm, faint = draw.fill_(solution.layers.LayerNorm(6, eps=0.3)), draw.normal(3, 6, scale=0.2).requires_grad_()
    outs = {"faint": norm(faint), "constant": norm(draw.tensor([[2.0] * 6, [-0.5] * 6]))}
    return outs | {"grad": draw.backward(outs["faint"])}


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_norm_survives_float16(solution, draw):
    """Numbers above 256, whose squares float16 cannot hold, are normalised all the same, and come out as float16."""
    norm, x = draw.fill_(solution.layers.LayerNorm(8)), draw.normal(3, 8, scale=400, dtype=torch.float16)
    return {"out": norm(x)}


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_small_differences_between_large_numbers_count(solution, draw):
    """Channels around 1,000 that differ by 1 are told apart: the variance is not the difference of two huge numbers."""
    norm = draw.fill_(solution.layers.LayerNorm(7))
    return {"out": norm(draw.uniform(999, 1_001, 3, 7))}


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_norm_takes_any_shape(solution, draw):
    """No leading axis, three of them, strided tokens or a single channel: all the same; float64 stays float64."""
    norm, single = draw.fill_(solution.layers.LayerNorm(4)), draw.fill_(solution.layers.LayerNorm(1))
    outs = {
        "none": norm(draw.normal(4)),
        "three": norm(draw.normal(2, 1, 3, 4)),
        "strided": norm(draw.normal(2, 4, 3).mT),
        "single": single(draw.normal(3, 1)),
    }
    return outs | {"double": norm.double()(draw.normal(2, 4, dtype=torch.float64))}


@part("layers.LayerNorm")
@weight(1)
@matches_reference
def test_tokens_of_another_width_are_refused(solution, draw):
    """A last axis that is not d_model is a ValueError, also where it could be broadcast."""
    norm = draw.fill_(solution.layers.LayerNorm(6))
    return {
        "narrow": refusal(lambda: norm(draw.normal(2, 5))),
        "one": refusal(lambda: norm(draw.normal(6, 1))),
        "good": norm(draw.normal(2, 6, scale=9)),
    }


@part("layers.gelu")
@weight(1)
@matches_reference
def test_gelu_is_exact(solution, draw):
    """Values and slopes are those of x · Φ(x); the tanh form is off by up to 0.0005."""
    x = draw.tensor([-3.0, -2.2, -1.5, -0.75, -0.1, 0.0, 0.4, 1.0, 1.9, 2.7]).requires_grad_()
    out = solution.layers.gelu(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.gelu")
@weight(1)
@matches_reference
def test_gelu_fades_and_grows(solution, draw):
    """Far below 0 it is 0, far above 0 it is x, and float16 comes back as float16."""
    far, half = draw.tensor([-60.0, -12.0, 12.0, 60.0]), draw.tensor([-400.0, -2.0, 0.5, 400.0], dtype=torch.float16)
    gelu, any_far = solution.layers.gelu, draw.uniform(12, 60, 4) * torch.tensor([-1, 1, 1, -1])
    return {"far": gelu(far), "float16": gelu(half), "any far": gelu(any_far)}


@part("layers.gelu")
@weight(1)
@matches_reference
def test_gelu_takes_any_shape(solution, draw):
    """One number or many, strided or not; float64 stays float64."""
    gelu = solution.layers.gelu
    return {
        "number": gelu(draw.normal()),
        "strided": gelu(draw.normal(3, 2, 4).mT),
        "double": gelu(draw.tensor([-1.25, 0.625, 1.5], dtype=torch.float64)),
    }


@part("layers.gelu_tanh")
@weight(1)
@matches_reference
def test_gelu_tanh_is_the_approximation(solution, draw):
    """Values and slopes are those of the tanh form, and not of the exact one, which is up to 0.0005 away."""
    x = draw.tensor([-3.0, -2.2, -1.5, -0.75, -0.1, 0.0, 0.4, 1.0, 1.9, 2.7]).requires_grad_()
    out = solution.layers.gelu_tanh(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.gelu_tanh")
@weight(1)
@matches_reference
def test_cube_does_not_overflow_float16(solution, draw):
    """Numbers whose cube float16 cannot hold have a value and a slope all the same, in float16."""
    x = draw.tensor([-500.0, -42.0, -1.0, 2.0, 42.0, 500.0], dtype=torch.float16).requires_grad_()
    out = solution.layers.gelu_tanh(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.gelu_tanh")
@weight(1)
@matches_reference
def test_gelu_tanh_takes_any_shape(solution, draw):
    """One number or many, strided or not; float64 stays float64."""
    gelu = solution.layers.gelu_tanh
    return {
        "number": gelu(draw.normal()),
        "strided": gelu(draw.normal(3, 2, 4).mT),
        "double": gelu(draw.tensor([-1.25, 0.625, 1.5], dtype=torch.float64)),
    }


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(1)
@matches_reference
def test_mlp_widens_and_comes_back(solution, draw):
    """`expand` is `expansion` times as wide as d_model, 4 times unless said otherwise; bias=False drops both biases."""
    usual, narrow = draw.fill_(solution.layers.MLP(6)), draw.fill_(solution.layers.MLP(6, expansion=2, bias=False))
    return {"parameters": parameter_table(usual), "without bias": parameter_table(narrow), "out": narrow(draw.normal(2, 6))}


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(2)
@matches_reference
def test_mlp_bends_between_its_layers(solution, draw):
    """Out comes contract(gelu_tanh(expand(x))), and every matrix and bias learns."""
    mlp, x = draw.fill_(solution.layers.MLP(5)), draw.normal(2, 3, 5).requires_grad_()
    out = mlp(x)
    return {"out": out, "grad": draw.backward(out)}


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(1)
@matches_reference
def test_mlp_takes_the_gelu_it_is_asked_for(solution, draw):
    """approximate="none" is the exact form and "tanh" the other; anything else is a ValueError."""
    build, x = solution.layers.MLP, draw.normal(4, 3, scale=2)
    return {name: draw.fill_(build(3, approximate=name))(x) for name in ("none", "tanh")} | {
        "relu": refusal(lambda: build(3, approximate="relu"))
    }


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(1)
@satisfies(kept_share("train", 0.3), random=("train",))
def test_mlp_drops_channels_of_its_result(solution, draw):
    """In training, dropout acts on what leaves the MLP; in evaluation not at all."""
    mlp = draw.fill_(solution.layers.MLP(16, dropout=0.3))
    evaluated = mlp.eval()(draw.normal(2, 16))
    mlp.load_state_dict(
        {key: torch.zeros_like(value) for key, value in mlp.state_dict().items()} | {"contract.bias": torch.ones(16)}
    )
    return {"train": mlp.train()(draw.normal(1000, 16)), "eval": evaluated}


@part("layers.MLP")
@needs("layers.gelu", "layers.gelu_tanh")
@weight(1)
@satisfies(same("alone", "in company"))
def test_mlp_looks_at_each_token_alone(solution, draw):
    """A token comes out the same whatever stands around it, with any number of leading axes."""
    mlp, x = draw.fill_(solution.layers.MLP(4)), draw.normal(2, 4, 3, 2).transpose(1, 3)
    return {"in company": mlp(x)[1, 0, 2], "alone": mlp(x[1, 0, 2]), "all": mlp(x)}
