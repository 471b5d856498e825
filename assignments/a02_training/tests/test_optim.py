"""Checks of optim.py."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import exactly_zero, matches_reference, part, refusal, same, satisfies


def small() -> nn.Module:
    """A shared matrix, a frozen one, vectors, and a parameter of three axes."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.linear, self.norm = nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(4)
            self.head, self.frozen = nn.Linear(4, 5, bias=False), nn.Linear(2, 2)
            self.head.weight = self.table.weight
            self.frozen.weight.requires_grad_(False)
            self.kernel = nn.Parameter(torch.zeros(2, 3, 2))

    return Small()


def parameters(draw, *shapes):
    """Known parameters, none of them an input that must stay as it is."""
    module = nn.ParameterDict({f"p{i}": nn.Parameter(torch.zeros(shape)) for i, shape in enumerate(shapes)})
    return list(draw.fill_(module).values())


def updates(optimizer, chosen, gradients):
    """The parameters after each of several updates. gradients: for each update, one for each parameter."""
    course = []
    for row in gradients:
        for parameter, gradient in zip(chosen, row, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        optimizer.step()
        course.append([parameter.detach().clone() for parameter in chosen])
    return course


@part("optim.parameter_groups")
@weight(3)
@matches_reference
def test_matrices_decay_and_vectors_do_not(solution, draw):
    """Parameters of two axes or more are in the group that decays, the others in one that does not; frozen ones in none."""
    model = small()
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = solution.optim.parameter_groups(model, 0.3)
    axes = draw.integers(0, 4, 12).tolist()
    drawn = nn.ParameterDict({f"p{i}": nn.Parameter(torch.zeros((1,) * n), requires_grad=n > 0) for i, n in enumerate(axes)})
    others = {parameter: name for name, parameter in drawn.named_parameters()}
    return {
        "decay": [group["weight_decay"] for group in groups],
        "names": [", ".join(names[parameter] for parameter in group["params"]) for group in groups],
        "of drawn axes": [", ".join(others[p] for p in group["params"]) for group in solution.optim.parameter_groups(drawn, 0.3)],
    }


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_first_update_corrects_the_bias(solution, draw):
    """After one update the corrected means are the gradient itself and its square, so each entry moves by about lr."""
    chosen = parameters(draw, (3, 4), (5,))
    optimizer = solution.optim.AdamW(chosen, lr=0.02, weight_decay=0.0)
    return {"after": updates(optimizer, chosen, [[draw.normal(3, 4), draw.normal(5)]])}


@part("optim.AdamW")
@weight(2)
@matches_reference
def test_updates_follow_the_algorithm(solution, draw):
    """Five updates with changing gradients give the parameters and the two running means of the paper."""
    chosen = parameters(draw, (4, 3), (6,))
    optimizer = solution.optim.AdamW(chosen, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2)
    after = updates(optimizer, chosen, [[draw.normal(4, 3), draw.normal(6)] for _ in range(5)])
    states = [optimizer.state[parameter] for parameter in chosen]
    means = [{name: state[name] for name in ("exp_avg", "exp_avg_sq")} for state in states]
    return {"after": after, "means": means, "steps": [int(state["step"]) for state in states]}


@part("optim.AdamW")
@weight(1)
@satisfies(same("shrunk", "expected"))
def test_decay_does_not_pass_through_the_gradient(solution, draw):
    """With gradients of 0, decay shrinks each parameter by the factor 1 − lr · weight_decay, whatever its running means."""
    (p,) = parameters(draw, (3, 5))
    expected = p.detach() * (1 - 0.1 * 0.5) ** 3
    updates(solution.optim.AdamW([p], lr=0.1, weight_decay=0.5), [p], [[torch.zeros(3, 5)]] * 3)
    return {"shrunk": p, "expected": expected}


@part("optim.AdamW")
@weight(1)
@satisfies(same("actual", "torch"))
def test_updates_agree_with_torch(solution, draw):
    """torch.optim.AdamW with the same settings takes the same path."""
    actual = parameters(draw, (4, 4), (3,))
    expected = [nn.Parameter(p.detach().clone()) for p in actual]
    settings = {"lr": 0.03, "betas": (0.9, 0.99), "eps": 1e-3, "weight_decay": 0.4}
    gradients = [[draw.normal(4, 4), draw.normal(3)] for _ in range(6)]
    last = [
        updates(solution.optim.AdamW(actual, **settings), actual, gradients)[-1],
        updates(torch.optim.AdamW(expected, **settings), expected, gradients)[-1],
    ]
    flat = [torch.cat([p.flatten() for p in chosen]) for chosen in last]
    return {"actual": flat[0], "torch": flat[1]}


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_groups_have_their_own_settings(solution, draw):
    """Each group goes by its own lr, betas, eps and weight_decay, also by an lr that is changed between updates."""
    chosen = parameters(draw, (3, 2), (3, 2), (4,))
    groups = [
        {"params": [chosen[0]], "weight_decay": 0.5},
        {"params": [chosen[1]], "lr": 0.3, "eps": 0.1},
        {"params": [chosen[2]], "betas": (0.5, 0.6)},
    ]
    optimizer = solution.optim.AdamW(groups, lr=0.01, weight_decay=0.0)
    gradients = [[draw.normal(3, 2), draw.normal(3, 2), draw.normal(4)] for _ in range(4)]
    before = updates(optimizer, chosen, gradients[:2])
    optimizer.param_groups[0]["lr"] = 0.2
    return {"before": before, "after": updates(optimizer, chosen, gradients[2:])}


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_parameters_without_gradient_wait(solution, draw):
    """A parameter without a gradient stays as it is, decay included, and its steps count when it is updated."""
    chosen = parameters(draw, (2, 3), (4,))
    optimizer = solution.optim.AdamW(chosen, lr=0.1, weight_decay=0.3)
    some = [[draw.normal(2, 3), None], [draw.normal(2, 3), None], [draw.normal(2, 3), draw.normal(4)]]
    return {"after": updates(optimizer, chosen, some), "steps": [int(optimizer.state[p]["step"]) for p in chosen]}


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_tiny_gradients_meet_eps_outside_the_root(solution, draw):
    """eps is added to the root of the corrected mean square: with gradients near eps that makes all the difference."""
    chosen = parameters(draw, (3, 3))
    optimizer = solution.optim.AdamW(chosen, lr=0.5, betas=(0.9, 0.99), eps=1e-4, weight_decay=0.0)
    return {"after": updates(optimizer, chosen, [[draw.normal(3, 3, scale=1e-4)] for _ in range(2)])}


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_updates_happen_in_place(solution, draw):
    """The tensors stay the same ones, gradients are left alone, and settings out of range are a ValueError."""
    chosen, gradient, build = parameters(draw, (2, 4)), draw.normal(2, 4), solution.optim.AdamW
    optimizer, where, p = build(chosen, lr=0.1, eps=1e-3, weight_decay=0.2), chosen[0].data_ptr(), chosen[0]
    p.grad = gradient.clone()
    optimizer.step()
    return {
        "same tensor": p.data_ptr() == where,
        "same gradient": torch.equal(p.grad, gradient),
        "after": p,
        "needs gradients": p.requires_grad,
        "refused": [refusal(lambda o=o: build(chosen, **o)) for o in ({"lr": -1.0}, {"betas": (0.9, 1.0)}, {"eps": -1e-8})],
    }


@part("optim.AdamW")
@weight(1)
@matches_reference
def test_state_goes_on_after_a_pause(solution, draw):
    """With the state of an optimiser, another one goes on where it stopped, to the last bit."""
    whole = parameters(draw, (3, 4))
    halves = [nn.Parameter(p.detach().clone()) for p in whole]
    gradients = [[draw.normal(3, 4)] for _ in range(6)]
    build = lambda chosen: solution.optim.AdamW(chosen, lr=0.1, betas=(0.7, 0.9))
    first = build(halves)
    updates(first, halves, gradients[:3])
    second = build(halves)
    second.load_state_dict(first.state_dict())
    updates(second, halves, gradients[3:])
    through = updates(build(whole), whole, gradients)[-1]
    return {"after": through, "equal": torch.equal(through[0], halves[0].detach())}


def with_gradients(*gradients):
    """Parameters that have these gradients."""
    found = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(found, gradients, strict=True):
        parameter.grad = gradient.clone()
    return found


@part("optim.clip_gradients")
@weight(1)
@matches_reference
def test_long_gradients_are_scaled_together(solution, draw):
    """Beyond max_norm all gradients shrink by one factor to that global norm; the norm from before is returned."""
    found = with_gradients(draw.normal(3, 4, scale=5), draw.normal(6), draw.normal(1, scale=0.1), draw.normal(2, 2, 2))
    norm = solution.optim.clip_gradients((p for p in found), 2.0)
    return {"norm": norm, "clipped": [p.grad for p in found]}


@part("optim.clip_gradients")
@weight(1)
@satisfies(exactly_zero("change"))
def test_short_gradients_are_left_alone(solution, draw):
    """Gradients whose global norm is at most max_norm stay as they are, to the last bit."""
    gradients = [draw.normal(3, 4, scale=0.1), draw.normal(5, scale=0.1)]
    found, exact = with_gradients(*gradients), with_gradients(draw.tensor([3.0, 0.0]), draw.tensor([4.0]))
    norm = solution.optim.clip_gradients(found, 1.5)
    change = [p.grad - gradient for p, gradient in zip(found, gradients, strict=True)]
    five = solution.optim.clip_gradients(exact, 5.0)
    return {
        "norm": norm,
        "change": torch.cat([c.flatten() for c in change]),
        "five": five,
        "at the bound": [p.grad for p in exact],
    }


@part("optim.clip_gradients")
@weight(1)
@matches_reference
def test_norm_survives_float16(solution, draw):
    """Gradients whose squares float16 cannot hold have a finite norm, and stay float16."""
    found = with_gradients(draw.tensor([300.0, -400.0], torch.float16), draw.uniform(900.0, 1500.0, 1, 1, dtype=torch.float16))
    norm = solution.optim.clip_gradients(found, 130.0)
    return {"norm": norm, "clipped": [p.grad for p in found]}


@part("optim.clip_gradients")
@weight(1)
@matches_reference
def test_gradients_that_are_not_finite_are_left_alone(solution, draw):
    """An infinite or NaN norm is returned and nothing is changed; no gradient at all, or a max_norm of 0, is a ValueError."""
    infinite = with_gradients(draw.tensor([1.0, math.inf]), draw.tensor([2.0]))
    undefined = with_gradients(draw.tensor([math.nan]), draw.tensor([2.0, 3.0]))
    without = [nn.Parameter(torch.zeros(2))]
    clip = solution.optim.clip_gradients
    return {
        "norms": f"{float(clip(infinite, 1.0))}, {float(clip(undefined, 1.0))}",
        "infinite": [p.grad for p in infinite],
        "beside NaN": undefined[1].grad,
        "with one without": clip(with_gradients(draw.uniform(5.0, 9.0, 2)) + without, 20.0),
        "no gradient": refusal(lambda: clip(without, 1.0)),
        "no norm": refusal(lambda: clip(infinite, 0.0)),
    }
