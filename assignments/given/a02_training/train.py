"""A working training loop, built from the given parts."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .data import IGNORE, Batch
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .schedule import learning_rate


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The fields are explained in the assignment."""

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
    """One step. Loss and gradient norm are those before the update."""

    step: int
    loss: float
    lr: float
    gradient_norm: float
    validation: float | None = None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside the `with` the model is in evaluation mode. Afterwards every submodule has the mode it had before."""
    were = {m for m in model.modules() if m.training}
    try:
        yield model.eval() and None
    finally:
        for m in model.modules():
            m.training = m in were


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> float:
    """Mean loss in nats per token over all targets of all batches that are not IGNORE.

    ValueError: there is no batch.
    """
    device = next(model.parameters()).device
    with evaluating(model), torch.inference_mode():
        pairs = [(next_token_loss(model(x.to(device)), y.to(device)).item(), (y != IGNORE).sum().item()) for x, y in batches]
    if not pairs:
        raise ValueError("there is nothing to evaluate on: no batch came")
    return float(np.average([p[0] for p in pairs], weights=[p[1] for p in pairs]))


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, lr: float, clip: float
) -> tuple[float, float]:
    """One update with this learning rate. Returns the loss before the update and the gradient norm before clipping.

    If one of them is not finite there is no update.
    """
    device = next(model.parameters()).device
    model.zero_grad()
    loss = next_token_loss(model(batch[0].to(device)), batch[1].to(device))
    loss.backward()
    loss_and_norm = loss.item(), clip_gradients(model.parameters(), clip).item()
    if np.isfinite(loss_and_norm).all():
        for group in optimizer.param_groups:
            group.update(lr=lr)
        optimizer.step()
    return loss_and_norm


def overfits(validation: Sequence[float], patience: int) -> bool:
    """Whether each of the last `patience` validation losses is no better than the best one before them.

    ValueError: patience is below 1.
    """
    if patience < 1:
        raise ValueError(f"patience must be at least 1 validation; got {patience}")
    return bool(validation) and len(validation) - 1 - int(np.argmin(validation)) >= patience


def save_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, history: Sequence[Record]
) -> None:
    """Write all that the next step depends on, and the history, into one file."""
    rng = [generator.get_state(), torch.random.get_rng_state(), *torch.cuda.get_rng_state_all()]
    torch.save([model.state_dict(), optimizer.state_dict(), rng, [asdict(r) for r in history]], path)


def load_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> list[Record]:
    """Put everything back as it was when the file was written. Returns the history."""
    weights, optimizer_state, (batch_rng, torch_rng, *cuda_rng), history = torch.load(path, "cpu", weights_only=True)
    model.load_state_dict(weights), optimizer.load_state_dict(optimizer_state)
    generator.set_state(batch_rng), torch.random.set_rng_state(torch_rng)
    torch.cuda.set_rng_state_all(cuda_rng) if cuda_rng else None
    return [Record(**record) for record in history]


def train(
    model: nn.Module,
    next_batch: Callable[[torch.Generator], Batch],
    config: TrainConfig,
    validation: Sequence[Batch] | None = None,
    generator: torch.Generator | None = None,
    resume: bool = False,
) -> list[Record]:
    """Train the model in place. Returns a record for each step.

    next_batch: draws a batch with the generator it is given, once a step.
    validation: batches to measure on, or None.
    generator: default: one of seed 0.
    resume: go on from `config.checkpoint` if that file is there.
    """
    c, generator = config, generator or torch.Generator().manual_seed(0)
    optimizer = AdamW(parameter_groups(model, c.weight_decay), c.peak_lr, c.betas)
    saved = resume and c.checkpoint and Path(c.checkpoint).exists()
    history = load_checkpoint(c.checkpoint, model, optimizer, generator) if saved else []
    model.train()
    rates = [learning_rate(number, c.steps, c.peak_lr, c.warmup) for number in range(1, c.steps + 1)]
    for number, rate in list(enumerate(rates, 1))[len(history) :]:
        if _over(history, c):
            break
        end, batch = number == c.steps, next_batch(generator)
        record = dict(zip(("loss", "gradient_norm"), training_step(model, optimizer, batch, rate, c.clip), strict=True))
        if validation is not None and (end or not number % c.evaluate_every):
            record["validation"] = evaluate(model, validation)
        history.append(Record(step=number, lr=rate, **record))
        if c.progress and "validation" in record:
            print(history[-1], flush=True)
        if c.checkpoint and (end or not number % c.checkpoint_every or _over(history, c)):
            save_checkpoint(c.checkpoint, model, optimizer, generator, history)
    if c.metrics:
        Path(c.metrics).write_text("".join(json.dumps(asdict(record)) + "\n" for record in history), encoding="utf-8")
    return history


def _over(history: list[Record], c: TrainConfig) -> bool:
    if history and not np.isfinite([history[-1].loss, history[-1].gradient_norm]).all():
        return True
    return bool(c.patience) and overfits([r.validation for r in history if r.validation is not None], c.patience)
