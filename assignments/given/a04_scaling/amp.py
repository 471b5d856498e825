"""A training step in mixed precision."""

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
    """The given LossScaler, with gradients to unscale and a state to save.

    ValueError: a setting is out of its range (from LossScaler).
    """

    fixed = False

    @classmethod
    def off(cls) -> "Scaler":
        """A scaler whose scale is always 1."""
        scaler = cls(1.0)
        scaler.fixed = True
        return scaler

    def update(self, finite: bool) -> None:
        """Take note of one step. finite: whether all its gradients were finite."""
        return None if self.fixed else super().update(finite)

    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Divide every gradient by the scale, in place."""
        if grads := [p.grad for p in parameters if p.grad is not None]:
            torch._foreach_div_(grads, self.scale)

    def state_dict(self) -> dict[str, float | int]:
        """The scale and the number of good steps."""
        return {name: getattr(self, name) for name in ("scale", "good_steps")}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Go on as the scaler whose state this was. KeyError: the state is not that of a scaler."""
        vars(self).update({name: state[name] for name in ("scale", "good_steps")})


@dataclass(frozen=True)
class Step:
    """What an update did.

    loss: mean in nats per token, without the scale.
    grad_norm: norm of the unscaled gradients, before clipping.
    skipped: whether the gradients were not finite, so that there was no update.
    """

    loss: float
    grad_norm: float
    skipped: bool


def apply_gradients(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Scaler,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> tuple[float, bool]:
    """Unscale and clip gradients, and update unless they are not finite. Returns (grad_norm, skipped)."""
    weights = list(model.parameters())
    scaler.unscale(weights)
    grad_norm = float(clip_gradients(weights, max_norm))
    skipped = not np.isfinite(grad_norm)
    for stepper in () if skipped else filter(None, (optimizer, scheduler)):
        stepper.step()
    scaler.update(not skipped)
    return grad_norm, skipped


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    scaler: Scaler,
    dtype: torch.dtype = torch.float32,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> Step:
    """One update from all micro-batches. Gradients of earlier steps do not count.

    ValueError: there is no target to divide by.
    """
    model.zero_grad()
    mean = accumulate_gradients(model, micro_batches, None, scaler.scale, dtype)
    grad_norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(mean, grad_norm, skipped)
