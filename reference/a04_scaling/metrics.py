"""What a run writes down while it trains (lines of JSON, TensorBoard, Weights & Biases, the console), and how fast it is.

TensorBoard and Weights & Biases are used where they are installed. Left out: histograms, pictures, and the profiler of a00.
Source: JSON Lines, https://jsonlines.org; operations per token: PaLM, arXiv:2204.02311, appendix B.
"""

import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from given.a00_foundations.profiling import share_of_peak
from torch import nn

Values = Mapping[str, float]


class Writer(Protocol):
    """Something that notes the values of a step, and is closed at the end."""

    def write(self, step: int, values: Values) -> None: ...

    def close(self) -> None: ...


def json_line(step: int, values: Values) -> str:
    """{"step": 3, "loss": 2.5} and a line end.

    Numbers that JSON does not have become the texts "nan", "inf" and "-inf", which `float` reads.
    """
    # TODO: one line (handout: metrics, step 1).
    # Watch: json.dumps writes NaN, which other readers refuse; the line that tells of a NaN is the one that you will look for.
    # BEGIN SOLUTION
    readable = {name: value if math.isfinite(value) else str(float(value)) for name, value in values.items()}
    return json.dumps({"step": step, **readable}, allow_nan=False) + "\n"
    # END SOLUTION


def read_json_lines(path: Path | str, up_to: int | None = None) -> list[dict[str, Any]]:
    """The lines of a file, as dicts. A killed run may leave half a line at the end, which is left out.

    up_to: lines of later steps are left out. None: all lines are read.
    ValueError: there is half a line anywhere else (JSONDecodeError).
    """
    # TODO: a dict for each line (handout: metrics, step 2).
    # Watch: what ends a finished line.
    # BEGIN SOLUTION
    lines = Path(path).read_text(encoding="utf-8").split("\n")[:-1]  # behind the last line end stands nothing, or half a line
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if up_to is None or row["step"] <= up_to]
    # END SOLUTION


class JsonLines:
    """A file with a line of JSON for each step. Each line is there as soon as it is written.

    resume_at: the step after which a run goes on. Lines of later steps are dropped. None: the file starts anew.
    ValueError: the file of a run that goes on has half a line that is not the last one.
    """

    def __init__(self, path: Path | str, resume_at: int | None = None):
        path = Path(path)
        kept = read_json_lines(path, resume_at) if resume_at is not None and path.exists() else []
        part = path.with_name(path.name + ".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        part.replace(path)  # in one stroke, as a checkpoint
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, values: Values) -> None:
        self._file.write(json_line(step, values))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoard:
    """Curves for `tensorboard --logdir FOLDER`.

    resume_at: what an earlier run wrote of later steps is hidden.
    ModuleNotFoundError: TensorBoard is not installed. The message says what to do.
    """

    def __init__(self, folder: Path | str, resume_at: int | None = None):
        _require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=None if resume_at is None else resume_at + 1)

    def write(self, step: int, values: Values) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """Curves on wandb.ai, or in a local folder with mode="offline".

    ModuleNotFoundError: wandb is not installed. The message says what to do.
    """

    def __init__(self, project: str, **settings: Any):
        _require("wandb")
        import wandb

        self._run = wandb.init(project=project, **settings)

    def write(self, step: int, values: Values) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class Console:
    """A line for each `every`-th step, on the standard error stream."""

    def __init__(self, every: int = 1):
        self.every = every

    def write(self, step: int, values: Values) -> None:
        if step % self.every == 0:
            print(
                f"step {step}  " + "  ".join(f"{name} {value:.4g}" for name, value in values.items()), file=sys.stderr, flush=True
            )

    def close(self) -> None:
        pass


class MultiWriter:
    """A writer that hands everything to several writers."""

    def __init__(self, writers: Sequence[Writer]):
        self.writers = list(writers)

    def write(self, step: int, values: Values) -> None:
        for writer in self.writers:
            writer.write(step, values)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def grad_norm(parameters: Iterable[nn.Parameter]) -> float:
    """The 2-norm of all entries of all gradients together, in at least float32. A parameter without a gradient counts as 0."""
    # TODO: one number (handout: metrics, step 3).
    # Watch: the norm of all is not the sum of the norms; float16 squares overflow; nothing is changed.
    # BEGIN SOLUTION
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(one, dtype=torch.promote_types(one.dtype, torch.float32)).item() for one in gradients]
    return math.hypot(*norms)
    # END SOLUTION


def flops_per_token(n_weights: int, n_layers: int, d_model: int, seq_len: int) -> int:
    """Floating-point operations of one training step per token: 6 · n_weights + 12 · n_layers · d_model · seq_len.

    Attention is counted over the full square, as in a00.

    n_weights: numbers in the matrices that tokens are multiplied with. The head is one of them, and an embedding is none.
    seq_len: tokens of context.
    """
    # TODO: one number (handout: metrics, step 4).
    # BEGIN SOLUTION
    return 6 * n_weights + 12 * n_layers * d_model * seq_len
    # END SOLUTION


class Throughput:
    """How fast training is: tokens per second, and the share of the machine's peak.

    flops_per_token: see the function of this name.
    peak: operations per second that the machine can do. None: there is no "mfu".
    clock: gives the time in seconds.
    """

    def __init__(self, flops_per_token: int, peak: float | None = None, clock: Callable[[], float] = time.perf_counter):
        self.flops_per_token, self.peak, self.clock = flops_per_token, peak, clock
        self.tokens, self.since = 0, clock()

    def count(self, tokens: int) -> None:
        """Note that so many tokens were trained on."""
        self.tokens += tokens

    def compute(self) -> dict[str, float]:
        """{"tokens_per_second": …, "mfu": share of peak, 0 to 1} since the last call, or since the start. Counting begins anew.

        ValueError: the share is above 1, or no token was counted (from `share_of_peak`).
        """
        # TODO: tokens over seconds, operations over possible ones (handout: metrics, step 5).
        # Watch: each call is about its own stretch of time.
        # BEGIN SOLUTION
        now = self.clock()
        tokens, seconds = self.tokens, now - self.since
        self.tokens, self.since = 0, now
        throughput = {"tokens_per_second": tokens / seconds}
        if self.peak is not None:
            throughput["mfu"] = share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
        return throughput
        # END SOLUTION


def _require(module: str) -> None:
    """ModuleNotFoundError that says what to do, if it is not installed."""
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(
            f"{module} is not installed here: `pip install {module}`, or write to JsonLines and Console alone"
        )
