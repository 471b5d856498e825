"""A working training loop over the given parts."""

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
    """How to train; the fields are explained in the assignment."""

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
    """One step."""

    step: int
    loss: float
    lr: float
    gradient_norm: float
    validation: float | None = None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and back."""
    were = {m for m in model.modules() if m.training}
    try:
        yield model.eval() and None
    finally:
        for m in model.modules():
            m.training = m in were


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> float:
    """Mean over all targets that count."""
    device = next(model.parameters()).device
    with evaluating(model), torch.inference_mode():
        pairs = [(next_token_loss(model(x.to(device)), y.to(device)).item(), (y != IGNORE).sum().item()) for x, y in batches]
    if not pairs:
        raise ValueError("there is nothing to evaluate on: no batch came")
    return float(np.average([p[0] for p in pairs], weights=[p[1] for p in pairs]))


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, lr: float, clip: float
) -> tuple[float, float]:
    """One update; loss and gradient norm."""
    device = next(model.parameters()).device
    model.zero_grad()
    loss = next_token_loss(model(batch[0].to(device)), batch[1].to(device))
    loss.backward()
    seen = loss.item(), clip_gradients(model.parameters(), clip).item()
    if np.isfinite(seen).all():
        for group in optimizer.param_groups:
            group.update(lr=lr)
        optimizer.step()
    return seen


def overfits(validation: Sequence[float], patience: int) -> bool:
    """Whether the best is `patience` validations old."""
    if patience < 1:
        raise ValueError(f"patience must be at least 1 validation; got {patience}")
    return bool(validation) and len(validation) - 1 - int(np.argmin(validation)) >= patience


def save_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, history: Sequence[Record]
) -> None:
    """All of it, by torch.save."""
    rng = [generator.get_state(), torch.random.get_rng_state(), *torch.cuda.get_rng_state_all()]
    torch.save([model.state_dict(), optimizer.state_dict(), rng, [asdict(r) for r in history]], path)


def load_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> list[Record]:
    """All of it, by torch.load."""
    weights, moments, (own, torchs, *cuda), rows = torch.load(path, "cpu", weights_only=True)
    model.load_state_dict(weights), optimizer.load_state_dict(moments)
    generator.set_state(own), torch.random.set_rng_state(torchs)
    torch.cuda.set_rng_state_all(cuda) if cuda else None
    return [Record(**row) for row in rows]


def train(
    model: nn.Module,
    next_batch: Callable[[torch.Generator], Batch],
    config: TrainConfig,
    validation: Sequence[Batch] | None = None,
    generator: torch.Generator | None = None,
    resume: bool = False,
) -> list[Record]:
    """A record for each step."""
    c, generator = config, generator or torch.Generator().manual_seed(0)
    optimizer = AdamW(parameter_groups(model, c.weight_decay), c.peak_lr, c.betas)
    saved = resume and c.checkpoint and Path(c.checkpoint).exists()
    rows = load_checkpoint(c.checkpoint, model, optimizer, generator) if saved else []
    model.train()
    rates = [learning_rate(number, c.steps, c.peak_lr, c.warmup) for number in range(1, c.steps + 1)]
    for number, rate in list(enumerate(rates, 1))[len(rows) :]:
        if _over(rows, c):
            break
        end, batch = number == c.steps, next_batch(generator)
        row = dict(zip(("loss", "gradient_norm"), training_step(model, optimizer, batch, rate, c.clip), strict=True))
        if validation is not None and (end or not number % c.evaluate_every):
            row["validation"] = evaluate(model, validation)
        rows.append(Record(step=number, lr=rate, **row))
        if c.progress and "validation" in row:
            print(rows[-1], flush=True)
        if c.checkpoint and (end or not number % c.checkpoint_every or _over(rows, c)):
            save_checkpoint(c.checkpoint, model, optimizer, generator, rows)
    if c.metrics:
        Path(c.metrics).write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    return rows


def _over(rows: list[Record], c: TrainConfig) -> bool:
    if rows and not np.isfinite([rows[-1].loss, rows[-1].gradient_norm]).all():
        return True
    return bool(c.patience) and overfits([r.validation for r in rows if r.validation is not None], c.patience)
