"""Checks of amp.py that never ship: a longer course with overflows."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part


@part("amp.apply_gradients")
@needs("amp.Scaler", "schedule.Scheduler", "schedule.warmup_stable_decay")
@weight(1)
@matches_reference
def test_another_course(solution, draw):
    """Twelve steps of which three overflow: parameters, scale, rate and what is told, step by step."""
    layer = draw.fill_(nn.Linear(4, 3))
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.5)
    rate = lambda number: solution.schedule.warmup_stable_decay(number, 10, 0.2, 3, 4)
    scheduler, scaler = solution.schedule.Scheduler(optimizer, rate), solution.amp.Scaler(scale=128.0, interval=3)
    course = []
    for number in range(12):
        wrong = {2: math.inf, 7: math.nan, 8: -math.inf}.get(number, 0.0)
        layer.weight.grad, layer.bias.grad = draw.normal(3, 4) * scaler.scale, draw.normal(3) * scaler.scale + wrong
        norm, skipped = solution.amp.apply_gradients(layer, optimizer, scaler, 1.5, scheduler)
        course.append(
            [0.0 if skipped else norm, skipped, float(scaler.scale), scheduler.done, float(optimizer.param_groups[0]["lr"])]
        )
    return {"course": course, "weight": layer.weight.detach().clone(), "bias": layer.bias.detach().clone()}
