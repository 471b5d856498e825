"""The training loop: schedule, clipping, validation, early stop, checkpoints that resume bit for bit, and a record of it all.

Left out: several devices, mixed precision, gradient accumulation and saving that survives a kill, all of a later assignment.
Source: none for the loop; early stopping: Prechelt 1998, Early Stopping – But When?, §2.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from .data import IGNORE, Batch
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .schedule import learning_rate


@dataclass(frozen=True)
class TrainConfig:
    """How to train. steps: updates. peak_lr, warmup: see `learning_rate`. betas, weight_decay: see `AdamW`. clip: largest gradient norm.

    evaluate_every: steps from one validation to the next; there is one after the last step, too. patience: see `overfits`; None never
    stops early. checkpoint: a file, written every checkpoint_every steps and at the end. metrics: a file that gets a line of JSON per
    step. progress: show how it goes, on the standard error stream.
    """

    steps: int
    peak_lr: float = 6e-3
    warmup: int | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    clip: float = 1.0
    evaluate_every: int = 100
    patience: int | None = None
    checkpoint: Path | str | None = None
    checkpoint_every: int = 100
    metrics: Path | str | None = None
    progress: bool = False


@dataclass(frozen=True)
class Record:
    """One step. step: from 1. loss: of its batch, before the update. gradient_norm: before clipping. validation: loss, where measured."""

    step: int
    loss: float
    lr: float
    gradient_norm: float
    validation: float | None = None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside the `with` the model is in evaluation mode; afterwards every submodule is in the mode in which it was before.

    Also when the body of the `with` raises.
    """
    # TODO: there and back (handout: train, step 1).
    # Watch: a part of the model may have been in evaluation mode on purpose.
    raise NotImplementedError("a02_training/train.py: evaluating() is yours to write (handout: train, step 1)")


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> float:
    """Mean loss in nats per token over all targets of all batches that are not IGNORE; without dropout or gradients.

    ValueError if there is no batch.
    """
    # TODO: the mean (handout: train, step 2).
    # Watch: batches differ in how many targets count; the mode of the model; its device.
    raise NotImplementedError("a02_training/train.py: evaluate() is yours to write (handout: train, step 2)")


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, lr: float, clip: float
) -> tuple[float, float]:
    """One update with this learning rate in all groups; returns (loss before the update, gradient norm before clipping).

    If the loss or the norm is not finite there is no update.
    """
    # TODO: forward, backward, clip, update (handout: train, step 3).
    # Watch: gradients add up until somebody clears them; the rate of this step, not of the one before; the model's device.
    raise NotImplementedError("a02_training/train.py: training_step() is yours to write (handout: train, step 3)")


def overfits(validation: Sequence[float], patience: int) -> bool:
    """Whether each of the last `patience` validation losses is no better than the best one before them.

    validation: losses in the order in which they were measured. False as long as there are no more than `patience` of them.
    """
    if patience < 1:
        raise ValueError(f"patience must be at least 1 validation; got {patience}")
    # TODO: yes or no (handout: train, step 4).
    # Watch: one bad validation may be noise; the best one may be long ago.
    raise NotImplementedError("a02_training/train.py: overfits() is yours to write (handout: train, step 4)")


def save_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, history: Sequence[Record]
) -> None:
    """Write all that the next step depends on, and the history, into one file that `load_checkpoint` reads."""
    # TODO: save (handout: train, step 5).
    # Watch: what else decides about the next step? Batches come from the generator, dropout from PyTorch's own.
    raise NotImplementedError("a02_training/train.py: save_checkpoint() is yours to write (handout: train, step 5)")


def load_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> list[Record]:
    """Put everything back as it was when the file was written; returns the history."""
    # TODO: load (handout: train, step 6).
    # Watch: a file from elsewhere must not run code (weights_only=True); states of generators belong on the CPU.
    raise NotImplementedError("a02_training/train.py: load_checkpoint() is yours to write (handout: train, step 6)")


def train(
    model: nn.Module,
    next_batch: Callable[[torch.Generator], Batch],
    config: TrainConfig,
    validation: Sequence[Batch] | None = None,
    generator: torch.Generator | None = None,
    resume: bool = False,
) -> list[Record]:
    """Train the model in place; returns a record for each step.

    next_batch: draws a batch with the generator it is given (default: one of seed 0), once a step. validation: batches to measure
    on, or None. resume: go on from `config.checkpoint` if that file is there; the result is, bit for bit, that of a run that was
    never interrupted. Ends early when the model overfits, or after a step whose loss or gradient norm is not finite: the last
    record says which. Metrics: {"step", "loss", "lr", "gradient_norm", "validation"}, a line for each step once.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    # TODO: the loop (handout: train, step 7).
    # Watch: steps count from 1; train mode; what a resumed run does with the lines that are in the metrics file already.
    raise NotImplementedError("a02_training/train.py: train() is yours to write (handout: train, step 7)")


def _ends_early(history: Sequence[Record], patience: int | None) -> bool:
    """Whether the last step went wrong, or the validation losses say that the model overfits."""
    if history and not (math.isfinite(history[-1].loss) and math.isfinite(history[-1].gradient_norm)):
        return True
    measured = [record.validation for record in history if record.validation is not None]
    return patience is not None and overfits(measured, patience)


def _write_metrics(path: Path | str | None, records: Sequence[Record], mode: str) -> None:
    """A line of JSON for each record; mode "w" starts the file anew, "a" adds to it. No path: nothing is written."""
    if path is not None:
        with Path(path).open(mode, encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record)) + "\n" for record in records)


def show_progress(record: Record, steps: int) -> None:
    """One line that keeps changing on a terminal; elsewhere a line for each validation."""
    terminal = sys.stderr.isatty()
    if not terminal and record.validation is None:
        return
    measured = "" if record.validation is None else f"  validation {record.validation:.3f}"
    line = f"step {record.step}/{steps}  loss {record.loss:.3f}  lr {record.lr:.1e}  gradient norm {record.gradient_norm:.2f}{measured}"
    keep = not terminal or record.validation is not None
    print(f"\r{line:<90}" if terminal else line, end="\n" if keep else "", file=sys.stderr, flush=True)
