"""Checks of optim.py and schedule.py that never ship: other settings, other shapes."""

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, part, same, satisfies


@part("optim.AdamW")
@weight(1)
@satisfies(same("actual", "torch"))
def test_path_of_torch_with_other_settings(solution, draw):
    """Twelve updates with gradients that shrink and grow, some missing, take the path of torch.optim.AdamW."""
    actual = list(draw.fill_(nn.ParameterList([torch.zeros(3, 4), torch.zeros(2, 2, 2), torch.zeros(7)])).parameters())
    expected = [nn.Parameter(parameter.detach().clone()) for parameter in actual]
    settings = {"lr": 0.2, "betas": (0.6, 0.9), "eps": 1e-4, "weight_decay": 0.3}
    optimizers = solution.optim.AdamW(actual, **settings), torch.optim.AdamW(expected, **settings)
    for step in range(12):
        gradients = [draw.normal(*parameter.shape) * 3.0 ** (step % 5 - 2) for parameter in actual]
        for chosen, optimizer in zip((actual, expected), optimizers, strict=True):
            for index, parameter in enumerate(chosen):
                parameter.grad = None if (step + index) % 4 == 0 else gradients[index].clone()
            optimizer.step()
    flat = [torch.cat([parameter.detach().flatten() for parameter in chosen]) for chosen in (actual, expected)]
    return {"actual": flat[0], "torch": flat[1]}


@part("optim.clip_gradients")
@weight(1)
@matches_reference
def test_clipping_at_other_norms(solution, draw):
    """Norms just below, at and above the limit, over parameters of any shape, one of them without a gradient."""
    found = {}
    for name, limit in {"far above": 0.3, "a little above": 4.0, "below": 1e3}.items():
        chosen = list(draw.fill_(nn.ParameterList([torch.zeros(5, 3), torch.zeros(()), torch.zeros(2, 2)])).parameters())
        for parameter in chosen[:2]:
            parameter.grad = draw.normal(*parameter.shape, scale=2.0).clone()  # what was drawn stays, as clipping works in place
        norm = solution.optim.clip_gradients(iter(chosen), limit)
        found[name] = {"norm": norm, "gradients": [parameter.grad for parameter in chosen[:2]]}
    return found


@part("schedule.learning_rate")
@weight(1)
@matches_reference
def test_other_schedules(solution, draw):
    """All rates of schedules with other lengths, warm-ups and ends, some steps beyond the last included."""
    rate = solution.schedule.learning_rate
    return {
        "default warm-up": torch.tensor([rate(step, 37, 3e-4) for step in range(1, 41)], dtype=torch.float64),
        "long warm-up": torch.tensor([rate(step, 12, 0.5, 9, 0.25) for step in range(1, 15)], dtype=torch.float64),
        "no warm-up": torch.tensor([rate(step, 6, 2.0, 0, 0.0) for step in range(1, 9)], dtype=torch.float64),
    }
