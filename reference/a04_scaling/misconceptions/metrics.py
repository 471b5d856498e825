"""These are wrong versions of parts of metrics.py, one mistake each. A docstring is the hint that a student reads."""

import json
import math
from pathlib import Path

import torch
from given.a00_foundations.profiling import share_of_peak

from tools.author.cases import misconception


@misconception("metrics.json_line", pitfall=1, ask="What does JSON know of NaN?")
def nan_stands_in_the_line(step, values):
    """NaN and Infinity are written as Python writes them, which is no JSON."""
    return json.dumps({"step": step, **values}) + "\n"


@misconception("metrics.json_line", pitfall=1, ask="What does `float` make of null?")
def nan_becomes_null(step, values):
    """Numbers that JSON does not have become null, so that nobody can tell NaN from infinity."""
    return json.dumps({"step": step, **{name: value if math.isfinite(value) else None for name, value in values.items()}}) + "\n"


@misconception("metrics.json_line", pitfall=2, ask="Where does the next line begin?")
def line_has_no_end(step, values):
    """There is no line end, so that the next step stands in the same line."""
    return json.dumps(
        {"step": step, **{name: value if math.isfinite(value) else str(float(value)) for name, value in values.items()}}
    )


@misconception("metrics.json_line", ask="Who needs all digits?")
def numbers_are_rounded(step, values):
    """Numbers are rounded to four decimals, so that small ones become 0."""
    readable = {name: round(value, 4) if math.isfinite(value) else str(float(value)) for name, value in values.items()}
    return json.dumps({"step": step, **readable}) + "\n"


@misconception("metrics.read_json_lines", ask="How does the file of a killed run end?")
def half_a_line_is_an_error(path, up_to=None):
    """A last line that was never finished is an error, so that a killed run cannot go on."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if up_to is None or row["step"] <= up_to]


@misconception("metrics.read_json_lines", ask="Which of these lines did a kill cut short?")
def all_broken_lines_are_left_out(path, up_to=None):
    """Every line that cannot be read is left out, so that damage in the middle of a file goes unseen."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [row for row in rows if up_to is None or row["step"] <= up_to]


@misconception("metrics.read_json_lines", pitfall=3, ask="Will step `up_to` happen again?")
def last_step_is_dropped(path, up_to=None):
    """The step `up_to` itself is left out, though it is done."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]]
    return [row for row in rows if up_to is None or row["step"] < up_to]


@misconception("metrics.read_json_lines", pitfall=3, ask="Which steps will happen again?")
def steps_to_come_are_kept(path, up_to=None):
    """Lines of steps after `up_to` are kept, and stand there twice in the end."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]]


def gradients_of(parameters):
    """The gradients that are there."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@misconception("metrics.grad_norm", pitfall=5, ask="How long is (3, 4), and how long are 3 and 4?")
def sum_of_norms(parameters):
    """The norms of all gradients are added."""
    return float(
        sum(
            torch.linalg.vector_norm(gradient.to(torch.promote_types(gradient.dtype, torch.float32)))
            for gradient in gradients_of(parameters)
        )
    )


@misconception("metrics.grad_norm", pitfall=5, ask="What is 300 squared in float16?")
def squares_in_low_precision(parameters):
    """Squares are summed in the dtype of the gradients, and in float16 they overflow."""
    return math.sqrt(sum(gradient.square().sum().item() for gradient in gradients_of(parameters)))


@misconception("metrics.grad_norm", pitfall=5, ask="Root of the sum of squares, or the sum itself?")
def root_of_the_squares_is_forgotten(parameters):
    """The sum of the squares comes back, without its root."""
    return float(
        sum(
            gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum().item()
            for gradient in gradients_of(parameters)
        )
    )


@misconception("metrics.flops_per_token", ask="What does a key cost each token?")
def attention_is_free(n_weights, n_layers, d_model, seq_len):
    """Attention is left out."""
    return 6 * n_weights


@misconception("metrics.flops_per_token", ask="How many passes has a training step?")
def forward_pass_alone(n_weights, n_layers, d_model, seq_len):
    """Only the forward pass is counted."""
    return 2 * n_weights + 4 * n_layers * d_model * seq_len


@misconception("metrics.flops_per_token", ask="How many tokens does a token of the context look at?")
def attention_of_all_tokens(n_weights, n_layers, d_model, seq_len):
    """Attention is counted for all tokens of the context together, and not for one."""
    return 6 * n_weights + 12 * n_layers * d_model * seq_len * seq_len


@misconception("metrics.Throughput.compute", pitfall=4, ask="How long does a slow first step show?")
def speed_since_the_beginning(self):
    """Tokens and seconds are those since the start, so that warm-up and every pause stay in them for ever."""
    tokens, seconds = self.tokens, self.clock() - self.since
    throughput = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        throughput["mfu"] = share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return throughput


@misconception("metrics.Throughput.compute", pitfall=4, ask="Which two things begin anew?")
def clock_is_not_set_back(self):
    """Tokens are counted anew after a call, and seconds are not."""
    tokens, seconds = self.tokens, self.clock() - self.since
    self.tokens = 0
    throughput = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        throughput["mfu"] = share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return throughput


@misconception("metrics.Throughput.compute", ask="In which unit is the share of peak?")
def share_in_percent(self):
    """The share of peak is told in percent."""
    now = self.clock()
    tokens, seconds = self.tokens, now - self.since
    self.tokens, self.since = 0, now
    throughput = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        throughput["mfu"] = 100 * share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return throughput
