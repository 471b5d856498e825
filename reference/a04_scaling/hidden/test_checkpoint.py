"""Checks of checkpoint.py that never ship: another tree and another optimiser."""

import math
from pathlib import Path

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part


@part("checkpoint.write")
@needs(
    "checkpoint.read", "checkpoint.snapshot", "checkpoint.restore", "checkpoint.random_state", "checkpoint.restore_random_state"
)
@weight(1)
@matches_reference
def test_another_run_goes_on(solution, draw):
    """SGD with momentum, dropout and a tied layer: saved, read and resumed it goes on as if nothing had happened."""
    np.random.seed(draw.seed)  # a state that cannot be written is shown, and should be the same in each recording

    def build():
        model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4))
        draw.fill_(model)
        model[2].weight = model[0].weight
        return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)

    def steps(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            kept = torch.rand(6, 4, dtype=torch.float32).to(torch.get_default_dtype())
            model[2](model[0](kept) * (torch.randint(2, (6, 4)) * 2)).square().mean().backward()
            optimizer.step()
        return model[0].weight.detach().clone()

    first = build()
    steps(*first)
    Path("run").mkdir()
    for number in range(2):
        state = solution.checkpoint.snapshot(dict(zip(("model", "optimizer"), first, strict=True)))
        solution.checkpoint.write("run/last", {**state, "number": number, "best": math.inf})
    whole = steps(*first)
    state, second = solution.checkpoint.read("run/last"), build()
    solution.checkpoint.restore(state, dict(zip(("model", "optimizer"), second, strict=True)))
    torch.randint(5, ())
    solution.checkpoint.restore_random_state(state["random"])
    resumed = steps(*second)
    return {
        "resumed": resumed,
        "same": torch.equal(whole, resumed),
        "plain": [state["number"], state["best"]],
        "files": len(list(Path("run").iterdir())),
    }
