"""These are other right versions of parts of precision.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .precision import Limits, Step, limits


@alternate("precision.limits")
def limits_by_ldexp(layout):
    """Whole numbers shifted by math.ldexp."""
    e, m = layout.exponent_bits, layout.mantissa_bits
    top = (1 << (e - 1)) - 1
    return Limits(math.ldexp((1 << (m + 1)) - 1, top - m), math.ldexp(1, 1 - top), math.ldexp(1, 1 - top - m), math.ldexp(1, -m))


@alternate("precision.round_to")
def rounded_by_frexp(x, layout):
    """Mantissa and exponent by frexp, rounded as whole numbers, and put together by ldexp."""
    wide, bound = x.detach().double(), limits(layout)
    exponent = torch.frexp(wide)[1] - 1
    lowest = round(math.log2(bound.smallest_normal))
    shift = layout.mantissa_bits - exponent.clamp(min=lowest)
    out = torch.round(wide * torch.exp2(shift.double())) / torch.exp2(shift.double())
    out = torch.where(out.abs() > bound.largest, torch.sign(wide) * math.inf, out)
    return torch.where(torch.isfinite(wide), out, wide)


@alternate("precision.round_to")
def rounded_by_adding_a_large_number(x, layout):
    """A number so large that float64 itself rounds to the step is added and taken off again."""
    wide, bound = x.detach().double(), limits(layout)
    power = torch.ldexp(torch.ones_like(wide), torch.frexp(wide)[1] - 1).clamp(bound.smallest_normal, 2.0**900)
    power = torch.where(wide.isfinite(), power, torch.ones_like(power))
    huge = power * bound.epsilon * 1.5 * 2.0**52
    rounded = torch.copysign((wide + huge) - huge, wide)
    rounded = torch.where(rounded.abs() > bound.largest, torch.copysign(torch.full_like(wide, math.inf), wide), rounded)
    return torch.where(wide.isfinite(), rounded, wide)


@alternate("precision.LossScaler.update")
def count_by_remainder(self, finite):
    """Good steps are counted on, and the remainder says when."""
    self.good_steps = (self.good_steps + 1) % self.interval if finite else 0
    if not finite:
        self.scale = self.scale * self.backoff
    elif self.good_steps == 0:
        self.scale = self.scale * self.growth


@alternate("precision.mixed_precision_step")
def clipped_by_hand(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The parameters of the optimiser, gradients by their own inverse scale, and the norm and the clipping written out."""
    model.zero_grad()
    with torch.autocast(next(iter(model.parameters())).device.type, dtype, enabled=dtype is not torch.float32):
        loss = loss_of()
    torch.mul(loss, scaler.scale).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    for gradient in gradients:
        gradient.mul_(1 / scaler.scale)
    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
    skipped = not all(bool(g.isfinite().all()) for g in gradients)
    if not skipped:
        for gradient in gradients:
            gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        optimizer.step()
    scaler.update(not skipped)
    return Step(float(loss.detach()), float(norm), skipped)


@alternate("precision.state_bytes")
def bytes_by_finfo(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """Bits by torch.finfo, and the master copy as one more moment."""
    size = lambda dtype: torch.finfo(dtype).bits // 8
    if size(weights) < 4:
        moments = moments + 1
    return {
        "weights": size(weights) * n_parameters,
        "gradients": size(gradients) * n_parameters,
        "optimiser": 4 * moments * n_parameters,
    }


@alternate("precision.activation_bytes")
def list_of_storages(function, known):
    """All saved tensors are kept in a list, and their storages are told apart afterwards."""
    saved, there = [], {t.untyped_storage().data_ptr() for t in known}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        result = function()
    sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in saved}
    del result
    return sum(size for address, size in sizes.items() if address not in there)
