"""Checks of metrics.py."""

import json
import math
from pathlib import Path

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, part, refusal


def strictly(line):
    """What another program reads in a line: JSON without NaN and Infinity."""

    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(line, parse_constant=refuse)


@part("metrics.json_line")
@weight(1)
@matches_reference
def test_line_is_json_for_everyone(solution, draw):
    """One line with step and values; NaN and infinities are texts that `float` reads; digits are kept."""
    values = {"loss": 2.5, "norm": 1 / 3, "small": 1e-30, "count": 7, "nan": math.nan, "up": math.inf, "down": -math.inf}
    line = solution.metrics.json_line(3, values := values | {"drawn": draw.normal().item()})
    return {
        "row": strictly(line),
        "ends": line[-1] == "\n",
        "lines": line.count("\n"),
        "step alone": strictly(solution.metrics.json_line(0, {})),
        "values": len(values),
    }


@part("metrics.read_json_lines")
@weight(1)
@matches_reference
def test_half_a_line_at_the_end_is_left_out(solution, draw):
    """A killed run leaves half a line, which is left out, as are steps after `up_to`; half a line elsewhere is a ValueError."""
    read, path = solution.metrics.read_json_lines, Path("log")
    rows = [{"step": step, "loss": draw.normal().item(), "note": "é"} for step in (1, 2, 3, 5)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text + '{"step": 6, "lo', encoding="utf-8")
    seen = {"killed": read(path), "up to 3": read(str(path), 3), "up to 4": read(path, up_to=4), "up to 0": len(read(path, 0))}
    path.write_text(text, encoding="utf-8")
    whole = read(path)
    path.write_text(text + '{"step": 6}', encoding="utf-8")  # whole or not, what ends a line is its line end
    unfinished = len(read(path))
    Path("empty").write_text("")
    path.write_text('{"step": 1, "lo\n' + text)
    return seen | {
        "whole": whole,
        "unfinished": unfinished,
        "empty": len(read("empty")),
        "in the middle": refusal(lambda: read(path)),
    }


@part("metrics.grad_norm")
@weight(1)
@matches_reference
def test_norm_of_all_gradients_together(solution, draw):
    """The root of the sum of all squares, in at least float32; parameters without a gradient count as 0; nothing is changed."""
    norm = solution.metrics.grad_norm
    module = nn.ParameterList([nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(4))])
    module[0].grad, module[1].grad = draw.normal(3), draw.normal(2, 2)
    half = nn.Parameter(draw.normal(5, dtype=torch.float16))
    half.grad = torch.full_like(half, 300.0)
    total = norm(iter(module.parameters()))
    return {
        "all": total,
        "kind": type(total).__name__,
        "float16": norm([half]),
        "both": norm([module[0], half]),
        "none": norm([module[2]]),
        "nothing": norm([]),
        "gradients": [module[0].grad, module[1].grad],
    }


@part("metrics.flops_per_token")
@weight(1)
@matches_reference
def test_operations_of_a_token(solution, draw):
    """Six for each weight, and attention over the whole context in each layer; the example of the handout."""
    flops, drawn = solution.metrics.flops_per_token, draw.integers(2, 5000, 4).tolist()
    return {
        "drawn": flops(*drawn),
        "handout": flops(124_000_000, 12, 768, 1024),
        "weights alone": flops(1000, 0, 64, 128),
        "attention": flops(0, 3, 16, 10),
        "one": flops(1, 1, 1, 1),
    }


class Clock:
    """A clock that a check sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@part("metrics.Throughput")
@weight(2)
@matches_reference
def test_speed_is_that_since_the_last_look(solution, draw):
    """Tokens and seconds count from the last call on, or from the start; with a peak there is the share of it, and none above 1."""
    clock = Clock()
    throughput, plain = solution.metrics.Throughput(2000, peak=1e6, clock=clock), solution.metrics.Throughput(10, clock=clock)
    readings = []
    drawn = zip(draw.integers(100, 500, 3).tolist(), (draw.integers(16, 64, 3) / 8).tolist(), strict=True)
    for tokens, seconds in ((300, 2.0), (500, 4.0), (10, 8.0), *drawn):
        throughput.count(tokens)
        throughput.count(7)
        plain.count(tokens)
        clock.now += seconds
        readings.append(throughput.compute())
    clock.now += 2.0
    throughput.count(10_000)
    return {"readings": readings, "without a peak": plain.compute(), "above the peak": refusal(throughput.compute)}
