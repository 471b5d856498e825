"""Checks of ffn.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import exactly_zero, matches_reference, needs, parameter_table, part, refusal, satisfies


@part("ffn.silu")
@weight(0.5)
@matches_reference
def test_silu_bends_below_zero(solution, draw):
    """x · σ(x), a little below 0 on the left and x itself far on the right, with its gradient."""
    x = draw.uniform(-6, 6, 40).requires_grad_()
    out = solution.ffn.silu(x)
    return {"out": out, "grad": draw.backward(out)}


@part("ffn.silu")
@weight(0.5)
@matches_reference
def test_silu_is_finite_far_out(solution, draw):
    """Far to the left value and gradient are 0, not NaN; low precision comes back in its own dtype, computed in float32."""
    x = draw.tensor([-1000.0, -300.0, -100.0, 0.0, 100.0, 1000.0]).requires_grad_()
    out = solution.ffn.silu(x)
    half = draw.tensor([-400.0, -11.0, -2.5, 3.0, 400.0], dtype=torch.float16)
    return {
        "out": out,
        "grad": draw.backward(out),
        "float16": solution.ffn.silu(half),
        "far left in float16": solution.ffn.silu(half)[1:2],
        "double": solution.ffn.silu(draw.normal(2, 1, 3, dtype=torch.float64)),
    }


@part("ffn.hidden_size")
@weight(1)
@matches_reference
def test_hidden_size_is_rounded_up_to_a_multiple(solution, draw):
    """8/3 · d_model, rounded up to a multiple of 8, or of the number asked for."""
    size = solution.ffn.hidden_size
    return {
        "multiples of 8": [size(d) for d in (1, 2, 5, 64, 100, 384, 4095)],
        "multiples of 1": [size(d, 1) for d in (1, 2, 4, 5, 64)],
        "multiples of 256": [size(d, 256) for d in (64, 768, 4096)],
        "any": [size(d, 8) for d in draw.integers(1, 5000, 3).tolist()],
    }


@part("ffn.hidden_size")
@weight(1)
@matches_reference
def test_hidden_size_that_fits_stays(solution, draw):
    """What is a multiple already is not rounded; numbers below 1 are a ValueError."""
    size = solution.ffn.hidden_size
    return {
        "fits": [size(3), size(48), size(96), size(3, 1), size(768, 2048)],
        "any that fit": [size(3 * d) for d in draw.integers(1, 2000, 3).tolist()],
        "nothing": refusal(lambda: size(0)),
        "no multiple": refusal(lambda: size(8, 0)),
    }


@part("ffn.SwiGLU")
@needs("ffn.silu", "ffn.hidden_size")
@weight(1)
@matches_reference
def test_swiglu_has_three_matrices(solution, draw):
    """gate and up lead to the hidden layer, down leads back; no biases; hidden is `hidden_size(d_model)` unless it is said."""
    usual, narrow = draw.fill_(solution.ffn.SwiGLU(6)), draw.fill_(solution.ffn.SwiGLU(6, hidden=5))
    return {"parameters": parameter_table(usual), "narrow": parameter_table(narrow), "out": narrow(draw.normal(2, 6))}


@part("ffn.SwiGLU")
@needs("ffn.silu", "ffn.hidden_size")
@weight(2)
@matches_reference
def test_gate_says_how_much_passes(solution, draw):
    """Out comes down(silu(gate(x)) · up(x)), and every matrix learns."""
    mlp, x = draw.fill_(solution.ffn.SwiGLU(5, hidden=7)), draw.normal(2, 3, 5, scale=2).requires_grad_()
    out = mlp(x)
    return {"out": out, "grad": draw.backward(out)}


@part("ffn.SwiGLU")
@needs("ffn.silu", "ffn.hidden_size")
@weight(1)
@satisfies(exactly_zero("closed"))
def test_closed_gate_lets_nothing_through(solution, draw):
    """With the gate's weights at 0 the result is exactly 0; with those of `up` doubled it doubles."""
    mlp, x = draw.fill_(solution.ffn.SwiGLU(4)), draw.normal(3, 4)
    with torch.no_grad():
        before, _ = mlp(x), mlp.up.weight.mul_(2)
        doubled, _ = mlp(x), mlp.gate.weight.zero_()
        return {"before": before, "doubled": doubled, "closed": mlp(x)}


@part("ffn.SwiGLU")
@needs("ffn.silu", "ffn.hidden_size")
@weight(1)
@matches_reference
def test_swiglu_takes_any_shape(solution, draw):
    """No leading axis, two of them, one channel, or strided tokens: all the same; float64 stays float64."""
    mlp = draw.fill_(solution.ffn.SwiGLU(4))
    return {
        "none": mlp(draw.normal(4)),
        "two": mlp(draw.normal(2, 1, 4)),
        "strided": mlp(draw.normal(2, 4, 3).mT),
        "one channel": draw.fill_(solution.ffn.SwiGLU(1, hidden=1))(draw.normal(3, 1)),
        "double": mlp.double()(draw.normal(2, 4, dtype=torch.float64)),
    }
