"""Working mixed precision, built from torch.finfo and torch.amp. Names and errors are those of the assignment. `round_to` is not here."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class FloatFormat:
    """A binary format by its bits.

    ValueError: there are not 2 to 10 exponent bits and 1 to 50 mantissa bits.
    """

    exponent_bits: int
    mantissa_bits: int

    def __post_init__(self):
        if not (2 <= self.exponent_bits <= 10 and 1 <= self.mantissa_bits <= 50):
            raise ValueError(f"a format has 2 to 10 exponent bits and 1 to 50 mantissa bits; got {self}")


FLOAT32, FLOAT16, BFLOAT16 = FloatFormat(8, 23), FloatFormat(5, 10), FloatFormat(8, 7)


@dataclass(frozen=True)
class Limits:
    """What a format can hold, as in torch.finfo."""

    largest: float
    smallest_normal: float
    smallest_subnormal: float
    epsilon: float


def limits(layout: FloatFormat) -> Limits:
    """The limits of a format: by torch.finfo where PyTorch has a dtype with these bits, computed for all others."""
    dtypes = {(8, 23): torch.float32, (5, 10): torch.float16, (8, 7): torch.bfloat16, (5, 2): torch.float8_e5m2}
    dtype = dtypes.get((layout.exponent_bits, layout.mantissa_bits))
    if dtype is None:
        scale = math.ldexp(1, 2 ** (layout.exponent_bits - 1))  # the first power of two that is too large
        step = math.ldexp(1, -layout.mantissa_bits)
        return Limits(scale - scale * step / 2, 4 / scale, 4 * step / scale, step)
    info = torch.finfo(dtype)
    return Limits(info.max, info.tiny, info.tiny * info.eps, info.eps)


class LossScaler:
    """The factor that lifts small gradients into the range of float16. It has the state of torch.amp.GradScaler.

    ValueError: scale, growth, backoff or interval is out of range.
    """

    def __init__(self, scale: float = 2.0**16, growth: float = 2.0, backoff: float = 0.5, interval: int = 2000):
        if not (scale > 0 and growth > 1 > backoff > 0 and interval >= 1):
            raise ValueError(f"needed: scale > 0, growth > 1 > backoff > 0; got {scale}, {growth}, {backoff}, {interval}")
        self.scale, self.growth, self.backoff, self.interval = scale, growth, backoff, interval
        self.good_steps = 0

    def update(self, finite: bool) -> None:
        """Take note of one step, as GradScaler.update does: were all its gradients finite?"""
        scale, steps = torch.tensor(self.scale, dtype=torch.float32), torch.tensor(self.good_steps, dtype=torch.int32)
        found_inf = torch.tensor(float(not finite), dtype=torch.float32)
        torch._amp_update_scale_(scale, steps, found_inf, self.growth, self.backoff, self.interval)
        self.scale, self.good_steps = scale.item(), int(steps)


@dataclass(frozen=True)
class Step:
    """What a training step did. The gradient norm is unscaled, and from before clipping."""

    loss: float
    gradient_norm: float
    skipped: bool


def mixed_precision_step(
    model: nn.Module,
    loss_of: Callable[[], Float[Tensor, ""]],
    optimizer: torch.optim.Optimizer,
    scaler: LossScaler,
    dtype: torch.dtype = torch.bfloat16,
    max_norm: float = 1.0,
) -> Step:
    """One training step with torch.autocast and torch.amp.GradScaler. Gradients are clipped to max_norm.

    loss_of: runs the model and returns its loss. It is called once, under autocast.
    The step is skipped when a gradient is not finite.
    """
    device = next(model.parameters()).device.type
    amp = torch.amp.GradScaler(device, init_scale=scaler.scale)
    with torch.autocast(device, dtype, enabled=dtype is not torch.float32):
        loss = loss_of()
    model.zero_grad()
    amp.scale(loss).backward()
    amp.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    amp.step(optimizer)
    scaler.update(norm.isfinite().item())
    return Step(loss.item(), norm.item(), not norm.isfinite().item())


def state_bytes(
    n_parameters: int, weights: torch.dtype = torch.float32, gradients: torch.dtype = torch.float32, moments: int = 2
) -> dict[str, int]:
    """Bytes that training keeps from step to step: of weights, gradients and optimiser. Tensors without memory are counted."""
    size = lambda dtype: torch.empty(n_parameters, dtype=dtype, device="meta").nbytes
    kept = moments * [torch.float32] + ([torch.float32] if torch.finfo(weights).bits < 32 else [])
    return {"weights": size(weights), "gradients": size(gradients), "optimiser": sum(map(size, kept))}
