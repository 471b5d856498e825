"""Lines of JSON, TensorBoard, Weights & Biases, the console; and speed."""

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
    """Something that notes the values of a step."""

    def write(self, step: int, values: Values) -> None: ...

    def close(self) -> None: ...


def json_line(step: int, values: Values) -> str:
    """One line."""
    odd = {name: repr(float(value)) for name, value in values.items() if not np.isfinite(value)}
    return json.dumps({"step": step} | dict(values) | odd) + "\n"


def read_json_lines(path: Path | str, up_to: int | None = None) -> list[dict[str, Any]]:
    """All finished lines, up to a step."""
    with Path(path).open(encoding="utf-8") as file:
        rows = (json.loads(line) for line in file if line.endswith("\n"))
        return list(rows) if up_to is None else [row for row in rows if not row["step"] > up_to]


class JsonLines:
    """A file of them."""

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
    """torch.utils.tensorboard."""

    def __init__(self, folder: Path | str, resume_at: int | None = None):
        _library("tensorboard")
        purge = {} if resume_at is None else {"purge_step": resume_at + 1}
        self._board = import_module("torch.utils.tensorboard").SummaryWriter(str(folder), **purge)

    def write(self, step: int, values: Values) -> None:
        any(self._board.add_scalar(name, values[name], step) for name in values)

    def close(self) -> None:
        self._board.close()


class WeightsAndBiases:
    """wandb."""

    def __init__(self, project: str, **settings: Any):
        self._run = _library("wandb").init(project=project, **settings)

    def write(self, step: int, values: Values) -> None:
        self._run.log({**values}, step)

    def close(self) -> None:
        self._run.finish()


class Console:
    """A line now and then."""

    def __init__(self, every: int = 1):
        self.every = every

    def write(self, step: int, values: Values) -> None:
        if not step % self.every:
            print("step", step, *(f" {name} {value:.4g}" for name, value in values.items()), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to close."""


class Several:
    """Many at once."""

    def __init__(self, writers: Sequence[Writer]):
        self.writers = writers

    def write(self, step: int, values: Values) -> None:
        for one in self.writers:
            one.write(step, values)

    def close(self) -> None:
        for one in self.writers:
            one.close()


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """torch.nn.utils.get_total_norm."""
    wide = [p.grad.to(torch.promote_types(p.grad.dtype, torch.float32)) for p in parameters if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(wide))


def flops_per_token(n_weights: int, n_layers: int, d_model: int, time: int) -> int:
    """PaLM's count."""
    return 6 * (n_weights + 2 * n_layers * d_model * time)


class Speed:
    """Tokens per second, share of peak."""

    def __init__(self, flops_per_token: int, peak: float | None = None, clock: Callable[[], float] = time.perf_counter):
        self.flops_per_token, self.peak, self.clock = flops_per_token, peak, clock
        self.begin()

    def begin(self) -> None:
        """A new stretch of time."""
        self.tokens, self.since = 0, self.clock()

    def count(self, tokens: int) -> None:
        """Tokens trained on."""
        self.tokens = self.tokens + tokens

    def look(self) -> dict[str, float]:
        """Since the last look."""
        done, start = self.tokens, self.since
        self.begin()
        found = dict(tokens_per_second=done / (self.since - start))
        if self.peak:
            found.update(mfu=share_of_peak(self.flops_per_token * done, self.since - start, self.peak))
        return found
