"""These are other right versions of parts of metrics.py. The tolerances allow for all of these routes."""

import json
import math
from pathlib import Path

import torch

from tools.author.cases import alternate


@alternate("metrics.grad_norm")
def sum_of_squares_in_float64(parameters):
    """Squares are summed in float64."""
    return float(sum(float(p.grad.to(torch.float64).pow(2).sum()) for p in parameters if p.grad is not None)) ** 0.5


@alternate("metrics.json_line")
def line_by_line(step, values):
    """A dict that is filled value by value, without spaces."""
    row = {"step": step}
    for name in values:
        number = values[name]
        row[name] = "nan" if number != number else ("-inf" if number < 0 else "inf") if abs(number) == math.inf else number
    return json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


@alternate("metrics.read_json_lines")
def until_the_last_line_end(path, up_to=None):
    """The text up to the last line end."""
    text = Path(path).read_bytes().decode("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = map(json.loads, whole.splitlines())
    return [row for row in rows if up_to is None or not row["step"] > up_to]
