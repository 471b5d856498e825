"""What a run writes down (lines of JSON, TensorBoard, Weights & Biases, the console), and how fast it is."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from given.a00_foundations.profiling import share_of_peak

Values = Mapping[str, float]


class Writer(Protocol):
    """Something that notes the values of a step, and is closed at the end."""

    def write(self, step: int, values: Values) -> None: ...

    def close(self) -> None: ...


def json_line(step: int, values: Values) -> str:
    """A line of JSON with step and values. NaN and infinities become texts that `float` reads."""
    odd = {name: repr(float(value)) for name, value in values.items() if not np.isfinite(value)}
    return json.dumps({"step": step} | dict(values) | odd) + "\n"


def read_json_lines(path: Path | str, up_to: int | None = None) -> list[dict[str, Any]]:
    """The finished lines of a file, as dicts.

    up_to: lines of later steps are left out. None: all lines are read.
    ValueError: a line that is not the last one is no JSON (JSONDecodeError).
    """
    with Path(path).open(encoding="utf-8") as file:
        rows = (json.loads(line) for line in file if line.endswith("\n"))
        return list(rows) if up_to is None else [row for row in rows if not row["step"] > up_to]


class JsonLines:
    """A file with a line of JSON for each step.

    resume_at: the step after which a run goes on. Lines of later steps are dropped. None: the file starts anew.
    ValueError: a line of the old file is no JSON (JSONDecodeError).
    """

    def __init__(self, path: Path | str, resume_at: int | None = None):
        old = read_json_lines(path, resume_at) if resume_at is not None and Path(path).exists() else []
        self._file = Path(path).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115
        self._file.writelines(json.dumps(row) + "\n" for row in old)

    def write(self, step: int, values: Values) -> None:
        self._file.write(json_line(step, values))

    def close(self) -> None:
        self._file.close()


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{name} is not installed here: `pip install {name}`, or write to JsonLines alone") from error


class TensorBoard:
    """Curves by torch.utils.tensorboard.

    resume_at: what an earlier run wrote of later steps is hidden.
    ModuleNotFoundError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | str, resume_at: int | None = None):
        _library("tensorboard")
        purge = {} if resume_at is None else {"purge_step": resume_at + 1}
        self._board = import_module("torch.utils.tensorboard").SummaryWriter(str(folder), **purge)

    def write(self, step: int, values: Values) -> None:
        any(self._board.add_scalar(name, values[name], step) for name in values)

    def close(self) -> None:
        self._board.close()


class WeightsAndBiases:
    """Curves by wandb. ModuleNotFoundError: wandb is not installed."""

    def __init__(self, project: str, **settings: Any):
        self._run = _library("wandb").init(project=project, **settings)

    def write(self, step: int, values: Values) -> None:
        self._run.log({**values}, step)

    def close(self) -> None:
        self._run.finish()


class Console:
    """A line for each `every`-th step, on the standard error stream."""

    def __init__(self, every: int = 1):
        self.every = every

    def write(self, step: int, values: Values) -> None:
        if not step % self.every:
            print("step", step, *(f" {name} {value:.4g}" for name, value in values.items()), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class MultiWriter:
    """A writer that hands everything to several writers."""

    def __init__(self, writers: Sequence[Writer]):
        self.writers = writers

    def write(self, step: int, values: Values) -> None:
        for writer in self.writers:
            writer.write(step, values)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def grad_norm(parameters: Iterable[nn.Parameter]) -> float:
    """The 2-norm of all gradients together, in at least float32, by torch.nn.utils.get_total_norm."""
    wide = [p.grad.to(torch.promote_types(p.grad.dtype, torch.float32)) for p in parameters if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(wide))


def flops_per_token(n_weights: int, n_layers: int, d_model: int, seq_len: int) -> int:
    """Floating-point operations of one training step per token, as PaLM counts them."""
    return 6 * (n_weights + 2 * n_layers * d_model * seq_len)


class Throughput:
    """How fast training is: tokens per second, and the share of the machine's peak.

    peak: operations per second that the machine can do. None: there is no "mfu".
    clock: gives the time in seconds.
    """

    def __init__(self, flops_per_token: int, peak: float | None = None, clock: Callable[[], float] = time.perf_counter):
        self.flops_per_token, self.peak, self.clock = flops_per_token, peak, clock
        self.begin()

    def begin(self) -> None:
        """Begin to count anew."""
        self.tokens, self.since = 0, self.clock()

    def count(self, tokens: int) -> None:
        """Note that so many tokens were trained on."""
        self.tokens = self.tokens + tokens

    def compute(self) -> dict[str, float]:
        """{"tokens_per_second": …, "mfu": share of peak, 0 to 1} since the last call, or since the start.

        ValueError: the share is above 1, or no token was counted (from `share_of_peak`).
        """
        tokens, start = self.tokens, self.since
        self.begin()
        throughput = dict(tokens_per_second=tokens / (self.since - start))
        if self.peak:
            throughput.update(mfu=share_of_peak(self.flops_per_token * tokens, self.since - start, self.peak))
        return throughput
