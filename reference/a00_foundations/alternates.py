"""Other right versions of parts of this assignment, each by another route, so that tolerances allow for all of them.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import json
import math
import os
import random
import statistics
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from torch import nn

from tools.author.cases import alternate

from .device import device_counts
from .layers import kaiming_normal_, truncated_normal_
from .numerics import central_difference, logsumexp, row_shift
from .precision import Limits, Step, limits
from .profiling import Timing, memory_changes


@alternate("device.pick_device")
def list_of_all_names(wish=None, counts=None):
    """All names that can be met are listed, best first, and the wish is looked up among them."""
    counts = device_counts() if counts is None else counts
    kinds = [kind for kind in ("cuda", "mps", "cpu") if counts.get(kind)]
    if wish is None:
        return torch.device(kinds[0])
    names = kinds + [f"{kind}:{i}" for kind in kinds for i in range(counts[kind])]
    if wish not in names:
        raise ValueError(f"there is no {wish}; there are {names}")
    return torch.device(wish)


@alternate("device.autocast_dtype")
def by_compute_capability(device, cuda_has_bfloat16=None):
    """CUDA is asked for its compute capability, 8.0 and later being Ampere."""
    kind = str(device).partition(":")[0]
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    dtypes = {"cpu": torch.bfloat16, "mps": torch.float16, "cuda": torch.bfloat16 if cuda_has_bfloat16 else torch.float16}
    if kind not in dtypes:
        raise ValueError(f"unknown device {device}")
    return dtypes[kind]


@alternate("device.seed_everything")
def seeds_in_another_order(seed):
    """NumPy first, whose own ValueError refuses most bad seeds; CUDA by name, and one switch more for cuDNN."""
    if type(seed) is not int or seed < 0 or seed >= 1 << 32:
        raise ValueError(f"bad seed {seed!r}")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(mode=True)


@alternate("numerics.row_shift")
def shift_by_max_and_where(x, dim=-1):
    """torch.max, and torch.where for empty rows."""
    if not x.is_floating_point() or x.ndim == 0 or dim not in range(-x.ndim, x.ndim) or x.shape[dim] == 0:
        raise ValueError("no scores")
    top = torch.max(x, dim=dim, keepdim=True)[0].detach()
    return torch.where(torch.isinf(top), torch.zeros_like(top), top)


@alternate("numerics.softmax")
def softmax_by_logsumexp(x, dim=-1):
    """The exponential of score minus logsumexp; empty rows are masked out before anything is computed."""
    shift, wide = row_shift(x, dim), x.to(torch.promote_types(x.dtype, torch.float32))
    empty = torch.zeros_like(shift, dtype=wide.dtype) + torch.isneginf(wide).all(dim, keepdim=True)
    safe = wide.masked_fill(empty.bool(), 0)
    safe = safe - row_shift(safe, dim)  # so that the logsumexp has all its digits
    return (torch.exp(safe - logsumexp(safe, dim, keepdim=True)) * (1 - empty)).to(x.dtype)


@alternate("numerics.softmax")
def softmax_by_einsum_of_ones(x, dim=-1):
    """The axis is moved to the end, the sum is a product with ones, and the division one with its inverse."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    powers = torch.exp(wide - row_shift(x, dim)).movedim(dim, -1)
    total = powers @ powers.new_ones(powers.shape[-1], 1)
    return (powers * torch.where(total > 0, total, torch.ones_like(total)).reciprocal()).movedim(-1, dim).to(x.dtype)


@alternate("numerics.logsumexp")
def logsumexp_by_log1p(x, dim=-1, keepdim=False):
    """The powers of all but the largest score, by log1p; empty rows are masked out beforehand."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    empty = torch.isneginf(row_shift(wide, dim) + torch.where(torch.isneginf(wide).all(dim, keepdim=True), -math.inf, 0.0))
    safe = torch.where(empty, 0.0, wide)
    top = row_shift(safe, dim)
    out = top + torch.log1p(torch.expm1(safe - top).sum(dim, keepdim=True) + safe.shape[dim] - 1)
    out = torch.where(empty, torch.full_like(out, -math.inf), out).to(x.dtype)
    return out if keepdim else out.squeeze(dim)


@alternate("numerics.log_softmax")
def log_softmax_by_its_own_sum(x, dim=-1):
    """Shifted scores less the logarithm of the sum of their powers, without logsumexp."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    lowered = torch.sub(wide, row_shift(x, dim))
    total = torch.sum(torch.exp(lowered), dim, keepdim=True)
    return (lowered - torch.log(total + (total == 0))).to(x.dtype)


@alternate("numerics.cross_entropy")
def loss_by_index(logits, targets):
    """logsumexp of the shifted scores less the score of the target, picked by its index, target by target."""
    if logits.shape[:-1] != targets.shape or targets.numel() == 0 or targets.is_floating_point():
        raise ValueError("shapes do not fit")
    if ((targets < 0) | (targets >= logits.shape[-1])).any():
        raise ValueError("no such class")
    rows = logits.reshape(-1, logits.shape[-1]).to(torch.promote_types(logits.dtype, torch.float32))
    rows = rows - row_shift(rows)
    picked = rows[torch.arange(len(rows)), targets.reshape(-1).long()]
    total = logsumexp(rows)
    return torch.sum(torch.where(torch.isneginf(total), 0.0, total) - picked) / len(rows)


@alternate("numerics.central_difference")
def differences_by_a_matrix_of_steps(function, inputs, step=1e-5):
    """Each input is moved by the rows of step · identity; nothing is ever put back."""
    if any(x.dtype != torch.float64 for x in inputs):
        raise ValueError("float64, please")
    if function(*inputs).numel() != 1:
        raise ValueError("one number, please")
    found = []
    for i, x in enumerate(inputs):
        at = lambda y, i=i: float(function(*inputs[:i], y, *inputs[i + 1 :]).detach())
        fixed = x.detach()
        nudges = (step * torch.eye(x.numel(), dtype=torch.float64)).reshape(x.numel(), *x.shape)
        slopes = [(at(fixed + nudge) - at(fixed - nudge)) / step / 2 for nudge in nudges]
        found.append(torch.tensor(slopes, dtype=torch.float64).reshape(x.shape))
    return found


@alternate("numerics.gradient_check")
def gap_by_backward(function, inputs, step=1e-5):
    """Autograd by backward on copies, and the largest of everything by lists of numbers."""
    rough = [v for g in central_difference(function, inputs, step) for v in g.flatten().tolist()]
    leaves = [x.detach().clone().requires_grad_(True) for x in inputs]
    out = function(*leaves)
    if out.requires_grad:
        out.sum().backward()
    sharp = [v for x in leaves for v in (torch.zeros_like(x) if x.grad is None else x.grad).flatten().tolist()]
    if not all(map(math.isfinite, sharp + rough)):
        return math.inf
    size = max(map(abs, sharp + rough))
    return max(abs(a - b) for a, b in zip(sharp, rough, strict=True)) / size if size else 0.0


@alternate("layers.truncated_normal_")
def drawn_again_until_inside(weight, std, cut=2.0, generator=None):
    """Normal numbers, and those outside are drawn again; the deviation that is left is known from NormalDist."""
    if std <= 0 or cut <= 0:
        raise ValueError("positive numbers, please")
    bell = NormalDist()
    wide = std / math.sqrt(1 - 2 * cut * bell.pdf(cut) / (bell.cdf(cut) - bell.cdf(-cut)))
    values = torch.empty(weight.shape, dtype=weight.dtype).normal_(generator=generator)
    while (outside := values.abs() > cut).any():
        values[outside] = torch.empty(int(outside.sum()), dtype=weight.dtype).normal_(generator=generator)
    weight.data.copy_(values * wide)
    return weight


@alternate("layers.kaiming_normal_")
def scaled_randn(weight, gain=math.sqrt(2), generator=None):
    """Standard normal numbers are scaled and copied in."""
    _, d_in = weight.shape
    weight.data.copy_(torch.randn(weight.shape, generator=generator) * (gain**2 / d_in) ** 0.5)
    return weight


@alternate("layers.Linear")
class LinearByEinsum(nn.Module):
    """Starts on plain tensors that then become parameters; the product is an einsum."""

    def __init__(self, d_in, d_out, bias=False, init="truncated", generator=None):
        super().__init__()
        start = {
            "truncated": lambda w: truncated_normal_(w, d_in**-0.5, generator=generator),
            "kaiming": lambda w: kaiming_normal_(w, generator=generator),
        }
        if init not in start:
            raise ValueError(f"init is one of {list(start)}")
        self.weight = nn.Parameter(start[init](torch.zeros(d_out, d_in)))
        self.bias = nn.Parameter(torch.zeros(d_out)) if bias else None

    def forward(self, x):
        if x.shape[-1] != self.weight.shape[1]:
            raise ValueError("another width")
        out = torch.einsum("...i,oi->...o", x, self.weight)
        if self.bias is not None:
            out = out + self.bias
        return out


@alternate("layers.Embedding.forward")
def rows_by_index_select(self, tokens):
    """The rows of the flat list of tokens, and the shape of the tokens put back."""
    n_tokens, d_model = self.weight.shape
    if tokens.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError("whole numbers, please")
    if not ((tokens >= 0) & (tokens < n_tokens)).all():
        raise ValueError("no such token")
    return self.weight.index_select(0, tokens.reshape(-1).to(torch.int64)).reshape(*tokens.shape, d_model)


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


@alternate("profiling.time_it")
def warm_up_timed_and_dropped(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """Everything is timed alike, waiting before and after, and the first times are dropped."""
    if repeats < 1 or warm_up < 0:
        raise ValueError("no repeats")
    times = []
    for _ in range(warm_up + repeats):
        if synchronise is not None:
            synchronise()
        start = clock()
        function()
        if synchronise is not None:
            synchronise()
        times.append(clock() - start)
    assert statistics.median(times) >= 0
    return Timing(tuple(times[warm_up:]))


@alternate("profiling.forward_flops")
def layer_by_layer(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """Every product of every layer by its three sizes."""
    product = lambda rows, inner, columns: 2 * rows * inner * columns
    d_ff = d_ff if d_ff is not None else d_model * 4
    counts = dict.fromkeys(("projections", "attention", "mlp"), 0) | {"head": product(batch * time, d_model, vocab_size)}
    for _ in range(n_layers):
        counts["projections"] += product(batch * time, d_model, 3 * d_model) + product(batch * time, d_model, d_model)
        counts["attention"] += batch * (product(time, d_model, time) + product(time, time, d_model))
        counts["mlp"] += product(batch * time, d_model, d_ff) + product(batch * time, d_ff, d_model)
    return counts


@alternate("profiling.share_of_peak")
def share_by_ideal_seconds(flops, seconds, peak):
    """Seconds that would be needed at the peak over those that were."""
    if min(flops, seconds, peak) <= 0:
        raise ValueError("positive numbers, please")
    ideal = flops / peak
    if ideal > seconds:
        raise ValueError("faster than possible")
    return ideal / seconds


@alternate("profiling.write_trace")
def profiler_started_and_stopped(function, path, memory=False):
    """The profiler is started and stopped by hand."""
    path = Path(path)
    path.parent.mkdir(exist_ok=True, parents=True)
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=memory)
    profiler.start()
    try:
        function()
    finally:
        profiler.stop()
    profiler.export_chrome_trace(path.as_posix())
    json.loads(path.read_text(encoding="utf-8"))
    return path


@alternate("profiling.peak_memory")
def peak_by_cumulative_sum(function, device="cpu"):
    """The running sum by NumPy, and its largest value or 0."""
    if str(device).startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    return int(np.cumsum([0, *memory_changes(function)]).max())
