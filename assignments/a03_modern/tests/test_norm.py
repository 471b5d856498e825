"""Checks of norm.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, parameter_table, part, refusal, same, satisfies


@part("norm.RMSNorm")
@weight(1)
@matches_reference
def test_norm_has_one_vector_and_fits_its_tokens(solution, draw):
    """`weight` is all there is, and it starts at 1; tokens of another width are a ValueError."""
    norm, x = solution.norm.RMSNorm(5), draw.normal(2, 5)
    start = norm.weight.detach().clone()
    return {
        "parameters": parameter_table(norm),
        "start": start,
        "out": draw.fill_(norm)(x),
        "too narrow": refusal(lambda: norm(x[:, :4])),
        "one channel": refusal(lambda: norm(x[:, :1])),
    }


@part("norm.RMSNorm")
@weight(1)
@matches_reference
def test_tokens_come_out_with_root_mean_square_one(solution, draw):
    """Each token is divided by the root of the mean of its squares, no mean is taken off, and x and weight get their gradients."""
    norm, x = draw.fill_(solution.norm.RMSNorm(6)), (draw.normal(2, 3, 6, scale=2) + 3).requires_grad_()
    out = norm(x)
    return {"out": out, "grad": draw.backward(out), "grad of x": torch.autograd.grad((norm(x) * x.detach() ** 2).sum(), x)[0]}


@part("norm.RMSNorm")
@weight(1)
@matches_reference
def test_eps_stands_under_the_root(solution, draw):
    """eps is added to the mean of the squares: small tokens show it, and a token of zeros has a finite gradient."""
    norm = draw.fill_(solution.norm.RMSNorm(4, eps=0.04))
    small, nothing = draw.normal(3, 4, scale=0.2).requires_grad_(), draw.tensor([[0.0, 0.0, 0.0, 0.0]]).requires_grad_()
    outs = norm(small), norm(nothing)
    usual = draw.fill_(solution.norm.RMSNorm(4))(draw.normal(2, 4, scale=0.001))
    return {"small": outs[0], "zeros": outs[1], "grad": draw.backward(*outs), "usual eps": usual}


@part("norm.RMSNorm")
@weight(1)
@matches_reference
def test_low_precision_is_raised_and_rounded_once(solution, draw):
    """In float16 squares beyond 65504 do no harm, and what is tiny before the weight is not lost; the result is float16 again."""
    norm = draw.fill_(solution.norm.RMSNorm(8))
    large = norm(draw.normal(2, 8, scale=3000, dtype=torch.float16))
    with torch.no_grad():
        norm.weight[1] = 20_000.0
    tiny = norm(draw.tensor([[30_000.0, 0.0004, 0, 0, 0, 0, 0, 0]], dtype=torch.float16))
    return {"large": large, "tiny times its weight": tiny[:, 1], "bfloat16": norm(draw.normal(2, 8, dtype=torch.bfloat16))[:, 2:]}


@part("norm.RMSNorm")
@weight(1)
@satisfies(same("alone", "in company"))
def test_each_token_is_normalised_alone(solution, draw):
    """A token comes out the same whatever stands around it: any leading axes, one channel, strided; float64 stays float64."""
    norm, x = draw.fill_(solution.norm.RMSNorm(4)), draw.normal(2, 4, 3, 2).transpose(1, 3)
    return {
        "in company": norm(x)[1, 0, 2],
        "alone": norm(x[1, 0, 2]),
        "all": norm(x),
        "one channel": draw.fill_(solution.norm.RMSNorm(1))(draw.normal(3, 1)),
        "double": norm.double()(draw.normal(2, 4, dtype=torch.float64)),
    }
