"""Inputs are the same everywhere, and the exact run gets the same values in float64."""

import torch

from autograder.check.draw import Draw, stream_digest
from autograder.check.draw_digest import STREAM


def test_the_streams_are_the_recorded_ones():
    assert stream_digest() == STREAM


def test_a_seed_gives_the_same_inputs_and_the_exact_run_the_same_values():
    for draw in (lambda d: d.normal(3, 4), lambda d: d.uniform(-1, 2, 5), lambda d: d.normal(4, scale=300, dtype=torch.float16),
                 lambda d: d.tensor([0.1, 0.2])):  # fmt: skip
        one, two, exact = draw(Draw(7)), draw(Draw(7)), draw(Draw(7, exact=True))
        assert torch.equal(one, two) and exact.dtype is torch.float64 and torch.equal(one.double(), exact)
    assert torch.equal(Draw(7).integers(0, 9, 20), Draw(7, exact=True).integers(0, 9, 20))
    assert not torch.equal(Draw(7).normal(5), Draw(8).normal(5))


def test_parameters_are_filled_by_key_whatever_their_order():
    one = Draw(1).fill_(torch.nn.ModuleDict({"a": torch.nn.Linear(3, 4), "b": torch.nn.Linear(3, 4)}))
    two = Draw(1).fill_(torch.nn.ModuleDict({"b": torch.nn.Linear(3, 4), "a": torch.nn.Linear(3, 4)}))
    assert all(torch.equal(p, two.state_dict()[k]) for k, p in one.state_dict().items())
    assert not torch.equal(one["a"].weight, one["b"].weight)


def test_backward_names_every_input_and_parameter_and_misses_none():
    draw = Draw(3)
    x, _unused = draw.normal(2, 3).requires_grad_(), draw.normal(2, 3).requires_grad_()
    layer = draw.fill_(torch.nn.Linear(3, 4))
    gradients = draw.backward(layer(x))
    assert list(gradients) == ["input 0", "input 1", "weight", "bias"]
    assert gradients["input 1"] is None and gradients["input 0"].shape == x.shape
    assert draw.backward(layer(x).detach())["weight"] is None


def test_backward_is_the_vector_jacobian_product():
    draw = Draw(4, exact=True)
    x = draw.normal(5).requires_grad_()
    gradient = draw.backward(x.sin())["input 0"]
    cotangent = gradient / x.cos()
    assert torch.allclose(torch.autograd.grad(x.sin(), x, cotangent.detach())[0], gradient)


def test_an_overwritten_input_changes_its_digest_and_the_exact_run_has_the_same():
    plain, exact = Draw(5), Draw(5, exact=True)
    x = plain.normal(4)
    exact.normal(4)
    before = plain.input_digests()
    assert before == exact.input_digests()
    x.add_(1)
    assert plain.input_digests() != before
