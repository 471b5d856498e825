"""Numbers of 16 bits: what they can hold, how they round, a training step that uses them, and the bytes of training.

Left out: formats without infinities (8-bit e4m3) and stochastic rounding. The optimiser's own arithmetic stays float32.
Source: Micikevicius et al., Mixed Precision Training, arXiv:1710.03740; IEEE 754-2019, §3.3, §3.4 and §4.3.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class FloatFormat:
    """A binary format laid out as IEEE 754 does it: a sign, an exponent, a mantissa. ValueError if float64 cannot hold it.

    exponent_bits: e of them store the exponent plus the bias 2^(e−1) − 1; all 0 and all 1 have meanings of their own
    (zero and subnormal numbers; infinity and NaN). mantissa_bits: digits after the leading 1, which is not stored.
    """

    exponent_bits: int
    mantissa_bits: int

    def __post_init__(self):
        if not (2 <= self.exponent_bits <= 10 and 1 <= self.mantissa_bits <= 50):
            raise ValueError(f"a format has 2 to 10 exponent bits and 1 to 50 mantissa bits; got {self}")


FLOAT32, FLOAT16, BFLOAT16 = FloatFormat(8, 23), FloatFormat(5, 10), FloatFormat(8, 7)


@dataclass(frozen=True)
class Limits:
    """What a format can hold, as in `torch.finfo`: its `max`, `tiny`, `smallest_subnormal` and `eps`.

    largest: the largest finite number. smallest_normal: the smallest with all its digits. smallest_subnormal: the
    smallest above 0. epsilon: from 1 to the next number.
    """

    largest: float
    smallest_normal: float
    smallest_subnormal: float
    epsilon: float


def limits(layout: FloatFormat) -> Limits:
    """The limits of a format from its bits alone.  Source: IEEE 754-2019, §3.3."""
    # TODO: four powers of two and their products (handout: precision, step 1).
    # Watch: the all-ones exponent is taken; the exponent of the smallest normal number is 1 − bias, not −bias.
    # BEGIN SOLUTION
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon = 2.0**-layout.mantissa_bits
    smallest_normal = 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0**bias, smallest_normal, smallest_normal * epsilon, epsilon)
    # END SOLUTION


def round_to(x: Float[Tensor, "*shape"], layout: FloatFormat) -> Float[Tensor, "*shape"]:
    """Each number of x rounded to the nearest one that the format holds, halves to the even mantissa; as float64.

    Subnormal numbers are kept; what rounds beyond the largest number becomes ±inf; ±0, ±inf and NaN stay what they are.
    `torch.Tensor.to` is no way to do it: any format is asked for.  Source: IEEE 754-2019, §4.3.1.
    """
    # TODO: round to whole multiples of the right step (handout: precision, step 2).
    # Watch: the step grows with each power of two, and stops shrinking at the subnormals; halves; log2 is not exact.
    # BEGIN SOLUTION
    wide = x.detach().to(torch.float64)
    exponent_alone = 0x7FF0000000000000  # of float64: clear sign and mantissa, and what is left is 2^⌊log2 |x|⌋
    power = (wide.contiguous().view(torch.int64) & exponent_alone).view(torch.float64)
    bound = limits(layout)
    step = power.clamp(min=bound.smallest_normal) * bound.epsilon
    rounded = (wide / step).round() * step  # divisions and products by powers of two are exact; round: halves to even
    rounded = torch.where(rounded.abs() > bound.largest, torch.copysign(torch.full_like(wide, math.inf), wide), rounded)
    return torch.where(wide.isfinite(), rounded, wide)
    # END SOLUTION


class LossScaler:
    """The factor that lifts small gradients into the range of float16: it halves on overflow and tries its luck again.

    scale: the factor now. growth, backoff: what it is multiplied by after `interval` good steps in a row, and after a
    step with a gradient that is inf or NaN.  Source: arXiv:1710.03740, §3.2; the defaults are those of PyTorch's GradScaler.
    """

    def __init__(self, scale: float = 2.0**16, growth: float = 2.0, backoff: float = 0.5, interval: int = 2000):
        if not (scale > 0 and growth > 1 > backoff > 0 and interval >= 1):
            raise ValueError(
                "needed: scale > 0, growth > 1, backoff between 0 and 1, interval ≥ 1; got "
                f"scale {scale}, growth {growth}, backoff {backoff}, interval {interval}"
            )
        self.scale, self.growth, self.backoff, self.interval = scale, growth, backoff, interval
        self.good_steps = 0

    def update(self, finite: bool) -> None:
        """Take note of one step: were all its gradients finite?"""
        # TODO: the new scale and count of good steps (handout: precision, step 3).
        # Watch: in a row; the count starts again whenever the scale has changed.
        # BEGIN SOLUTION
        if not finite:
            self.scale *= self.backoff
            self.good_steps = 0
            return
        self.good_steps += 1
        if self.good_steps == self.interval:
            self.scale *= self.growth
            self.good_steps = 0
        # END SOLUTION


@dataclass(frozen=True)
class Step:
    """What a training step did. loss: without the scale. gradient_norm: unscaled, before clipping. skipped: no update."""

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
    """One step of training in mixed precision: parameters and optimiser in float32, most of the arithmetic in `dtype`.

    loss_of: runs the model and returns its loss; it is called once, under `torch.autocast` for `dtype` on the device of
    the model (float32 means without autocast). max_norm: the gradients, taken together, are clipped to this 2-norm as
    `nn.utils.clip_grad_norm_` does it, which is yours to use. If any gradient is inf or NaN the step is skipped:
    parameters and the optimiser's state stay as they are, and the scaler hears of it. Gradients from earlier steps do
    not count.  Source: arXiv:1710.03740, §3; PyTorch's automatic mixed precision examples.
    """
    # TODO: forward, backward, unscale, clip, update or skip (handout: precision, step 4).
    # Watch: the order; what stands under autocast and what does not; what a skipped step must not touch.
    # BEGIN SOLUTION
    device = next(model.parameters()).device.type
    optimizer.zero_grad()
    with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    (loss * scaler.scale).backward()
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= scaler.scale
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)
    # END SOLUTION


def state_bytes(
    n_parameters: int, weights: torch.dtype = torch.float32, gradients: torch.dtype = torch.float32, moments: int = 2
) -> dict[str, int]:
    """Bytes that training keeps from step to step: {"weights": …, "gradients": …, "optimiser": …}.

    weights, gradients: the dtype in which the model computes and in which gradients arrive. moments: float32 numbers
    that the optimiser keeps for each parameter (AdamW 2, momentum 1, plain SGD 0). With weights of less than 4 bytes the
    optimiser also keeps a float32 master copy of them, because small updates round to nothing in 16 bits.
    Source: ZeRO, arXiv:1910.02054, §3.1.
    """
    # TODO: bytes of the three kinds (handout: precision, step 5).
    # Watch: a dtype knows its size; when there is a master copy.
    # BEGIN SOLUTION
    copies = moments + (weights.itemsize < torch.float32.itemsize)
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * copies * torch.float32.itemsize,
    }
    # END SOLUTION


def activation_bytes(function: Callable[[], object], known: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass when `function` runs, beyond the tensors in `known`.

    known: what is there anyway, as parameters and inputs are. Tensors that share memory (views, a tied head) count once,
    and with all the memory that they keep alive.  Source: PyTorch's `saved_tensors_hooks`.
    """
    # TODO: the memory behind all that is saved (handout: precision, step 6).
    # Watch: a transposed weight is a view of a weight; an address is used again once its tensor is gone.
    # BEGIN SOLUTION
    storages = {}  # by address; the storage itself is kept, so that no address is used twice

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    return sum(storage.nbytes() for address, storage in storages.items() if address not in there)
    # END SOLUTION
