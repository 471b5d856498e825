"""A training step in mixed precision: 16-bit arithmetic, float32 parameters, and a loss that is scaled so that gradients do not vanish.

bfloat16 needs no scale (`Scaler.off()`), float16 does. Left out: 8-bit formats, and scales for each layer of its own.
Source: Micikevicius et al., arXiv:1710.03740, §3; the order of a step: PyTorch's automatic mixed precision examples.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from given.a00_foundations.precision import LossScaler
from given.a02_training.data import Batch
from given.a02_training.optim import clip_gradients
from torch import nn

from .accumulate import accumulate_gradients
from .schedule import Scheduler


class Scaler(LossScaler):
    """The loss scaler of a00 (`scale`, `good_steps`, `update`), with gradients to unscale and a state to save.

    scale: what the loss is multiplied by.
    growth, interval: the scale is multiplied by `growth` after `interval` good steps in a row.
    backoff: the scale is multiplied by it after each step whose gradients are not finite.
    """

    fixed = False

    @classmethod
    def off(cls) -> "Scaler":
        """A scaler that multiplies by 1, for ever: for bfloat16 and float32."""
        scaler = cls(scale=1.0)
        scaler.fixed = True
        return scaler

    def update(self, finite: bool) -> None:
        """Take note of one step. finite: whether all its gradients were finite."""
        if not self.fixed:
            super().update(finite)

    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Divide every gradient by the scale, in place. Parameters without a gradient are passed over."""
        # TODO: the true gradients (handout: amp, step 1).
        # BEGIN SOLUTION
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(self.scale)
        # END SOLUTION

    def state_dict(self) -> dict[str, float | int]:
        """{"scale": …, "good_steps": …}: what the next steps depend on."""
        # TODO: the state (handout: amp, step 2).
        # BEGIN SOLUTION
        return {"scale": self.scale, "good_steps": self.good_steps}
        # END SOLUTION

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Go on as the scaler whose state this was."""
        # TODO: the state (handout: amp, step 2).
        # BEGIN SOLUTION
        self.scale, self.good_steps = state["scale"], state["good_steps"]
        # END SOLUTION


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
    """The second half of an update, when all gradients are there and still scaled. Returns (grad_norm, skipped).

    Gradients are unscaled and then clipped to max_norm, all of them together (`clip_gradients` of a02). If their norm is not finite
    the update is skipped: parameters, the optimiser's state and the scheduler stay as they are. The scaler is updated either way.
    """
    # TODO: unscale, clip, update or skip (handout: amp, step 3).
    # Watch: the order; whose steps the scheduler counts.
    # BEGIN SOLUTION
    scaler.unscale(model.parameters())
    grad_norm = clip_gradients(model.parameters(), max_norm).item()
    finite = math.isfinite(grad_norm)
    if finite:
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    scaler.update(finite)
    return grad_norm, not finite
    # END SOLUTION


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    scaler: Scaler,
    dtype: torch.dtype = torch.float32,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> Step:
    """One update from a batch in micro-batches. Gradients of earlier steps do not count.

    The arguments are those of `accumulate_gradients` and `apply_gradients`.
    ValueError: there is no target to divide by.
    """
    # TODO: both halves (handout: amp, step 4).
    # Watch: gradients add up until somebody clears them; one update, however many micro-batches.
    # BEGIN SOLUTION
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, scale=scaler.scale, dtype=dtype)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))
    # END SOLUTION
