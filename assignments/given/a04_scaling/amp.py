"""A step in mixed precision over the given parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from given.a00_foundations.precision import LossScaler
from given.a02_training.data import Batch
from given.a02_training.optim import clip_gradients

from .accumulate import accumulate_gradients
from .schedule import Scheduler


class Scaler(LossScaler):
    """The given LossScaler, with a state."""

    fixed = False

    @classmethod
    def off(cls) -> "Scaler":
        """Always 1."""
        one = cls(1.0)
        one.fixed = True
        return one

    def update(self, finite: bool) -> None:
        """Note a step."""
        return None if self.fixed else super().update(finite)

    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Gradients over the scale."""
        if grads := [p.grad for p in parameters if p.grad is not None]:
            torch._foreach_div_(grads, self.scale)

    def state_dict(self) -> dict[str, float | int]:
        """Scale and good steps."""
        return {name: getattr(self, name) for name in ("scale", "good_steps")}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """The same, back."""
        vars(self).update({name: state[name] for name in ("scale", "good_steps")})


@dataclass(frozen=True)
class Step:
    """What an update did."""

    loss: float
    gradient_norm: float
    skipped: bool


def apply_gradients(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Scaler,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> tuple[float, bool]:
    """Unscale, clip, update or skip."""
    weights = list(model.parameters())
    scaler.unscale(weights)
    length = float(clip_gradients(weights, max_norm))
    skipped = not np.isfinite(length)
    for one in () if skipped else filter(None, (optimizer, scheduler)):
        one.step()
    scaler.update(not skipped)
    return length, skipped


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Batch],
    scaler: Scaler,
    dtype: torch.dtype = torch.float32,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> Step:
    """One update from all parts."""
    model.zero_grad()
    mean = accumulate_gradients(model, parts, None, scaler.scale, dtype)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(mean, norm, skipped)
