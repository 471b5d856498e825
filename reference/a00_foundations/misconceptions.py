"""Wrong versions of parts of this assignment, one mistake each; the docstring is the hint that a student reads.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import json
import math
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tools.author.cases import misconception

from .device import KINDS, device_counts
from .layers import Linear, kaiming_normal_, truncated_normal_
from .numerics import central_difference, log_softmax, logsumexp, row_shift, softmax
from .precision import Limits, Step, limits
from .profiling import Timing, memory_changes, synchroniser

# device


def there(counts):
    """The kinds of which there is one, best first."""
    counts = device_counts() if counts is None else counts
    return [kind for kind in KINDS if counts.get(kind, 0) > 0]


def kind_of(wish):
    """The kind and the number of a wish; ValueError if it is none."""
    kind, colon, number = wish.partition(":")
    if kind not in KINDS or (colon and not (number.isascii() and number.isdigit())):
        raise ValueError("no device")
    return kind, int(number or 0)


@misconception("device.pick_device", pitfall=1, ask="What would someone who asked for a GPU like to know?")
def quietly_the_best_there_is(wish=None, counts=None):
    """A wish that cannot be met is met by something else, without a word."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    return torch.device(wish if number < counts.get(kind, 0) else found[0])


@misconception("device.pick_device", pitfall=2, ask="What is cuda:1 on a machine with one GPU?")
def number_is_not_looked_at(wish=None, counts=None):
    """Only the kind of a wish is looked at, so a number that is not there is taken too."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    if kind_of(wish)[0] not in found:
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", pitfall=2, ask="Which number has the last of four GPUs?")
def numbers_count_from_one(wish=None, counts=None):
    """Numbers are counted from 1, so cuda:4 is accepted where there are four."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if kind not in found or number > counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", ask="What has a Mac to compute on?")
def apple_gpu_is_passed_over(wish=None, counts=None):
    """Without a wish only CUDA is looked for, and the CPU is taken although there is MPS."""
    found = there(counts)
    if wish is None:
        return torch.device("cuda" if "cuda" in found else "cpu")
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if number >= counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", ask="What does torch.device make of a name that it does not know?")
def torch_is_asked_what_a_device_is(wish=None, counts=None):
    """Any name that torch.device takes counts as a device, and for others its own error comes out instead of a ValueError."""
    found = there(counts)
    device = torch.device(wish or found[0])
    counts = device_counts() if counts is None else counts
    if device.type in KINDS and (device.index or 0) >= counts.get(device.type, 0):
        raise ValueError(f"there is only {found}")
    return device


@misconception("device.pick_device", ask="Does torch.device('cuda') equal torch.device('cuda', 0)?")
def every_device_gets_a_number(wish=None, counts=None):
    """A number is added where the wish has none, so cuda becomes cuda:0."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if number >= counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(kind, number)


@misconception("device.autocast_dtype", pitfall=3, ask="What does including_emulation stand for?")
def emulation_counts_as_support(device, cuda_has_bfloat16=None):
    """A GPU that only emulates bfloat16 is said to have it."""
    kind = torch.device(device).type
    if kind not in KINDS:
        raise ValueError("no such kind")
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.is_bf16_supported()
    return torch.float16 if kind == "mps" or (kind == "cuda" and not cuda_has_bfloat16) else torch.bfloat16


@misconception("device.autocast_dtype", ask="Which 16-bit format do CPUs compute in?")
def float16_unless_cuda_has_better(device, cuda_has_bfloat16=None):
    """bfloat16 is taken for a thing of CUDA alone, and a CPU gets float16."""
    kind = torch.device(device).type
    if kind not in KINDS:
        raise ValueError("no such kind")
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if kind == "cuda" and cuda_has_bfloat16 else torch.float16


@misconception("device.autocast_dtype", ask="What do older GPUs, and Apple's, compute in?")
def bfloat16_everywhere(device, cuda_has_bfloat16=None):
    """Every device gets bfloat16, those too that do not compute in it."""
    if torch.device(device).type not in KINDS:
        raise ValueError("no such kind")
    return torch.bfloat16


@misconception("device.seed_everything", pitfall=4, ask="Which generators does torch.manual_seed know of?")
def torch_alone_is_seeded(seed):
    """Only PyTorch is seeded; Python's random and NumPy go their own way."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", pitfall=4, ask="What shuffles with np.random?")
def numpy_is_not_seeded(seed):
    """NumPy's generator is forgotten."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", pitfall=5, ask="In which order does a kernel add?")
def seeds_alone(seed):
    """The generators are seeded, and kernels that add in another order each time are left on."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@misconception("device.seed_everything", pitfall=5, ask="What does a race among kernels depend on?")
def cudnn_still_races(seed):
    """cuDNN still picks its kernels by measuring which is fastest."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


@misconception("device.seed_everything", ask="Which seeds does NumPy take?")
def a_seed_of_its_own_for_each(seed):
    """Each library gets another number, seed + 1 and seed + 2, and the largest seed is one too many for NumPy."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    torch.manual_seed(seed)
    np.random.seed(seed + 1)
    random.seed(seed + 2)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", ask="Where does the number come from in the second run?")
def same_seed_whatever_is_asked(seed):
    """The generators get a fixed number, so that every seed gives the same run."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


# numerics


def check_scores(x, dim):
    """The argument checks of row_shift, which every version keeps."""
    if not x.is_floating_point() or x.ndim == 0 or not -x.ndim <= dim < x.ndim or x.shape[dim] == 0:
        raise ValueError("no scores")


def widened(x):
    """x in at least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@misconception("numerics.row_shift", pitfall=2, ask="One row at 1000 and one at 0: what is e⁻¹⁰⁰⁰ in float32?")
def maximum_of_everything(x, dim=-1):
    """All rows are shifted by the one maximum of everything."""
    check_scores(x, dim)
    top = x.detach().amax(dim, keepdim=True)
    top = top.amax().expand_as(top) if top.numel() else top
    return top.masked_fill(top == -math.inf, 0)


@misconception("numerics.row_shift", pitfall=3, ask="What is −∞ − (−∞)?")
def shift_of_minus_infinity(x, dim=-1):
    """A row of nothing but −inf is shifted by −inf, which makes it NaN."""
    check_scores(x, dim)
    return x.detach().amax(dim, keepdim=True)


@misconception("numerics.row_shift", pitfall=1, ask="How far above the mean can a score be?")
def shift_by_the_mean(x, dim=-1):
    """Rows are shifted by their mean, above which scores can still overflow."""
    check_scores(x, dim)
    return x.detach().mean(dim, keepdim=True).nan_to_num(neginf=0)


@misconception("numerics.row_shift", ask="Does softmax change when the shift does?")
def shift_passes_its_gradient_on(x, dim=-1):
    """The shift is part of the graph, though nothing that is computed with it depends on it."""
    check_scores(x, dim)
    top = x.amax(dim, keepdim=True)
    return top.masked_fill(top == -math.inf, 0)


@misconception("numerics.row_shift", pitfall=7, ask="Which shapes broadcast against each other?")
def axis_of_the_shift_is_lost(x, dim=-1):
    """The axis is dropped, so the shift no longer stands beside its row."""
    check_scores(x, dim)
    top = x.detach().amax(dim)
    return top.masked_fill(top == -math.inf, 0)


@misconception("numerics.softmax", pitfall=1, ask="What is exp(100) in float32?")
def softmax_without_a_shift(x, dim=-1):
    """The exponential is taken of the scores as they are, and large ones overflow."""
    check_scores(x, dim)
    powers = widened(x).exp()
    total = powers.sum(dim, keepdim=True)
    return (powers / total.masked_fill(total == 0, 1)).to(x.dtype)


@misconception("numerics.softmax", pitfall=7, ask="What is `dim` for?")
def softmax_of_the_last_axis(x, dim=-1):
    """The shares are always those along the last axis, whatever `dim` says."""
    check_scores(x, dim)
    powers = (widened(x) - row_shift(widened(x))).exp()
    total = powers.sum(-1, keepdim=True)
    return (powers / total.masked_fill(total == 0, 1)).to(x.dtype)


@misconception("numerics.softmax", pitfall=3, ask="What is 0 / 0?")
def empty_row_gives_nan(x, dim=-1):
    """A row of nothing but −inf gets NaN, because its sum is 0."""
    check_scores(x, dim)
    powers = (widened(x) - row_shift(widened(x), dim)).exp()
    return (powers / powers.sum(dim, keepdim=True)).to(x.dtype)


@misconception("numerics.softmax", pitfall=3, ask="What is 0 · NaN on the way back?")
def nan_is_hidden_on_the_way_forward(x, dim=-1):
    """The NaN of an empty row is replaced afterwards, and comes back in the gradient."""
    check_scores(x, dim)
    powers = (widened(x) - row_shift(widened(x), dim)).exp()
    return torch.nan_to_num(powers / powers.sum(dim, keepdim=True), nan=0.0).to(x.dtype)


@misconception("numerics.softmax", pitfall=3, ask="What do the shares of an empty row add up to?")
def empty_row_is_shared_out_evenly(x, dim=-1):
    """−inf is replaced by a very low number, so an empty row gets equal shares instead of none."""
    check_scores(x, dim)
    wide = widened(x).clamp_min(-1e9)
    powers = (wide - row_shift(wide, dim)).exp()
    return (powers / powers.sum(dim, keepdim=True)).to(x.dtype)


@misconception("numerics.softmax", pitfall=9, ask="What is the largest number of float16?")
def softmax_in_the_dtype_of_the_scores(x, dim=-1):
    """Powers and sums are taken in float16, where a long row overflows."""
    check_scores(x, dim)
    powers = (x - row_shift(x, dim)).exp()
    total = powers.sum(dim, keepdim=True)
    return powers / total.masked_fill(total == 0, 1)


@misconception("numerics.softmax", pitfall=9, ask="What does .float() do to float64?")
def softmax_narrows_float64(x, dim=-1):
    """Scores are always turned into float32, float64 too, which loses half of its digits."""
    check_scores(x, dim)
    wide = x.float()
    powers = (wide - row_shift(wide, dim)).exp()
    total = powers.sum(dim, keepdim=True)
    return (powers / total.masked_fill(total == 0, 1)).to(x.dtype)


@misconception("numerics.logsumexp", pitfall=4, ask="What is the logsumexp of a single score?")
def shift_does_not_come_back(x, dim=-1, keepdim=False):
    """What was taken from each row is not added to its logarithm again."""
    check_scores(x, dim)
    wide = widened(x)
    total = (wide - row_shift(wide, dim)).exp().sum(dim, keepdim=keepdim)
    return total.masked_fill(total == 0, 1).log().masked_fill(total == 0, -math.inf).to(x.dtype)


@misconception("numerics.logsumexp", pitfall=1, ask="What is exp(100) in float32?")
def logsumexp_without_a_shift(x, dim=-1, keepdim=False):
    """The powers are summed as they are, and large scores overflow."""
    check_scores(x, dim)
    total = widened(x).exp().sum(dim, keepdim=keepdim)
    return total.masked_fill(total == 0, 1).log().masked_fill(total == 0, -math.inf).to(x.dtype)


@misconception("numerics.logsumexp", pitfall=7, ask="What shape does x.sum(1, keepdim=True) have?")
def logsumexp_always_drops_its_axis(x, dim=-1, keepdim=False):
    """The axis goes, whatever `keepdim` says."""
    check_scores(x, dim)
    wide = widened(x)
    shift = row_shift(wide, dim)
    total = (wide - shift).exp().sum(dim)
    return (shift.squeeze(dim) + total.masked_fill(total == 0, 1).log()).masked_fill(total == 0, -math.inf).to(x.dtype)


@misconception("numerics.logsumexp", pitfall=3, ask="What is the slope of the logarithm at 0?")
def empty_row_has_a_nan_slope(x, dim=-1, keepdim=False):
    """The logarithm of the sum 0 of an empty row is right, and its slope is not a number."""
    check_scores(x, dim)
    wide = widened(x)
    shift = row_shift(wide, dim)
    out = (shift + (wide - shift).exp().sum(dim, keepdim=True).log()).to(x.dtype)
    return out if keepdim else out.squeeze(dim)


@misconception("numerics.logsumexp", pitfall=3, ask="What is the sum of no powers at all?")
def empty_row_sums_to_one(x, dim=-1, keepdim=False):
    """The sum of an empty row is replaced by 1, so its logarithm becomes 0 instead of −inf."""
    check_scores(x, dim)
    wide = widened(x)
    shift = row_shift(wide, dim)
    total = (wide - shift).exp().sum(dim, keepdim=True)
    out = (shift + total.masked_fill(total == 0, 1).log()).to(x.dtype)
    return out if keepdim else out.squeeze(dim)


@misconception("numerics.logsumexp", pitfall=9, ask="What is the largest number of float16?")
def logsumexp_in_the_dtype_of_the_scores(x, dim=-1, keepdim=False):
    """The sum is taken in float16, where a long row overflows though its logarithm would not."""
    check_scores(x, dim)
    shift = row_shift(x, dim)
    total = (x - shift).exp().sum(dim, keepdim=True)
    out = (shift + total.masked_fill(total == 0, 1).log()).masked_fill(total == 0, -math.inf)
    return out if keepdim else out.squeeze(dim)


@misconception("numerics.log_softmax", pitfall=5, ask="What is the softmax of a score that is 200 below the maximum?")
def logarithm_of_the_softmax(x, dim=-1):
    """The logarithm is taken of the softmax, which rounds to 0 where scores are far below the others."""
    return softmax(widened(x), dim).log().to(x.dtype)


@misconception("numerics.log_softmax", pitfall=5, ask="How large is the right answer, and how large is log(1e-12)?")
def logarithm_of_a_clamped_softmax(x, dim=-1):
    """The softmax is kept above a small number before its logarithm is taken, which cuts off what is unlikely."""
    return softmax(widened(x), dim).clamp_min(1e-12).log().to(x.dtype)


@misconception("numerics.log_softmax", pitfall=6, ask="Which digits are left of 10000.73 − 10000.41 in float32?")
def difference_of_two_large_numbers(x, dim=-1):
    """The logsumexp of the scores themselves is subtracted, and where both are large the digits cancel."""
    total = logsumexp(widened(x), dim, keepdim=True)
    return (widened(x) - total.masked_fill(total == -math.inf, 0)).to(x.dtype)


@misconception("numerics.log_softmax", pitfall=7, ask="What is `dim` for?")
def log_softmax_of_the_last_axis(x, dim=-1):
    """The logarithms are always those along the last axis."""
    check_scores(x, dim)
    lowered = widened(x) - row_shift(widened(x))
    total = logsumexp(lowered, keepdim=True)
    return (lowered - total.masked_fill(total == -math.inf, 0)).to(x.dtype)


@misconception("numerics.log_softmax", pitfall=3, ask="What is −∞ − (−∞)?")
def empty_row_becomes_nan(x, dim=-1):
    """In a row of nothing but −inf, −inf is subtracted from −inf."""
    lowered = widened(x) - row_shift(widened(x), dim)
    return (lowered - logsumexp(lowered, dim, keepdim=True)).to(x.dtype)


def check_targets(logits, targets):
    """The argument checks of cross_entropy, which every version keeps."""
    fit = logits.shape[:-1] == targets.shape and targets.numel() and not targets.is_floating_point()
    if not fit or targets.min() < 0 or targets.max() >= logits.shape[-1]:
        raise ValueError("targets do not fit")


@misconception("numerics.cross_entropy", pitfall=8, ask="What happens to the loss when the batch is twice as large?")
def loss_is_a_sum(logits, targets):
    """The loss is the sum over targets instead of their mean."""
    check_targets(logits, targets)
    return -log_softmax(widened(logits)).gather(-1, targets.long().unsqueeze(-1)).sum()


@misconception("numerics.cross_entropy", pitfall=8, ask="How many logarithms are picked for each target?")
def mean_over_the_classes_too(logits, targets):
    """The sum is divided by the number of logits instead of the number of targets."""
    check_targets(logits, targets)
    return -log_softmax(widened(logits)).gather(-1, targets.long().unsqueeze(-1)).sum() / logits.numel()


@misconception("numerics.cross_entropy", ask="What is the sign of the logarithm of a share?")
def loss_without_its_minus(logits, targets):
    """The mean logarithm has lost its minus, so training would make it worse."""
    check_targets(logits, targets)
    return log_softmax(widened(logits)).gather(-1, targets.long().unsqueeze(-1)).mean()


@misconception("numerics.cross_entropy", pitfall=5, ask="What is the softmax of a score that is 200 below the maximum?")
def loss_by_the_softmax(logits, targets):
    """The logarithm is taken of the softmax, so a target that is unlikely enough costs infinitely much."""
    check_targets(logits, targets)
    return -softmax(widened(logits)).gather(-1, targets.long().unsqueeze(-1)).log().mean()


@misconception("numerics.cross_entropy", ask="What is 0 · (−∞)?")
def product_with_a_one_hot_row(logits, targets):
    """All logarithms are multiplied by a row of zeros and a one, and a class at −inf makes that NaN."""
    check_targets(logits, targets)
    chosen = torch.eye(logits.shape[-1], dtype=widened(logits).dtype)[targets.long()]
    return -(log_softmax(widened(logits)) * chosen).sum(-1).mean()


@misconception("numerics.cross_entropy", pitfall=9, ask="How many digits has a float16 logarithm?")
def widened_after_the_logarithm(logits, targets):
    """The logarithms are rounded to float16 before they are widened and averaged."""
    check_targets(logits, targets)
    return -widened(log_softmax(logits).gather(-1, targets.long().unsqueeze(-1))).mean()


@misconception("numerics.cross_entropy", pitfall=9, ask="How many digits has a float16 loss?")
def loss_in_the_dtype_of_the_logits(logits, targets):
    """From float16 logits comes a float16 loss, which has three digits."""
    check_targets(logits, targets)
    return -log_softmax(widened(logits)).gather(-1, targets.long().unsqueeze(-1)).mean().to(logits.dtype)


def check_inputs(function, inputs):
    """The argument checks of central_difference, which every version keeps."""
    if any(x.dtype != torch.float64 for x in inputs) or function(*inputs).numel() != 1:
        raise ValueError("no float64, or not one number")


@misconception("numerics.central_difference", pitfall=10, ask="What is the difference of x² at 0?")
def difference_to_one_side(function, inputs, step=1e-5):
    """Only the upper side is looked at: (f(x + step) − f(x)) / step."""
    check_inputs(function, inputs)
    gradients = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in inputs]
    with torch.no_grad():
        middle = function(*inputs)
        for i, x in enumerate(inputs):
            for k in range(x.numel()):
                nudge = torch.zeros(x.numel(), dtype=x.dtype)
                nudge[k] = step
                above = function(*inputs[:i], x + nudge.view(x.shape), *inputs[i + 1 :])
                gradients[i].view(-1)[k] = (above - middle).squeeze() / step
    return gradients


@misconception("numerics.central_difference", ask="How far apart are x + step and x − step?")
def divided_by_one_step(function, inputs, step=1e-5):
    """The difference of both sides is divided by one step, though they are two apart."""
    check_inputs(function, inputs)
    gradients = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in inputs]
    with torch.no_grad():
        for i, x in enumerate(inputs):
            for k in range(x.numel()):
                nudge = torch.zeros(x.numel(), dtype=x.dtype)
                nudge[k] = step
                at = lambda y, i=i: function(*inputs[:i], y, *inputs[i + 1 :]).squeeze()
                gradients[i].view(-1)[k] = (at(x + nudge.view(x.shape)) - at(x - nudge.view(x.shape))) / step
    return gradients


@misconception("numerics.central_difference", pitfall=11, ask="Where does each entry stand while the next one is moved?")
def entry_stays_where_it_was_moved(function, inputs, step=1e-5):
    """An entry is not put back, so all entries after it are looked at from another place."""
    check_inputs(function, inputs)
    moved = [x.detach().clone(memory_format=torch.contiguous_format) for x in inputs]
    gradients = [torch.zeros_like(x) for x in moved]
    with torch.no_grad():
        for x, gradient in zip(moved, gradients, strict=True):
            flat, slope = x.view(-1), gradient.view(-1)
            for i in range(flat.numel()):
                flat[i] += step
                above = function(*moved).item()
                flat[i] -= 2 * step
                slope[i] = (above - function(*moved).item()) / (2 * step)
    return gradients


@misconception("numerics.central_difference", pitfall=11, ask="What does reshape return for a transposed tensor?")
def copy_is_moved_instead(function, inputs, step=1e-5):
    """`reshape` copies a tensor that is not contiguous, and the function never sees that the copy has moved."""
    check_inputs(function, inputs)
    moved = [x.detach().clone() for x in inputs]
    gradients = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in moved]
    with torch.no_grad():
        for x, gradient in zip(moved, gradients, strict=True):
            flat, slope = x.reshape(-1), gradient.view(-1)
            for i in range(flat.numel()):
                middle = flat[i].item()
                flat[i] = middle + step
                above = function(*moved).item()
                flat[i] = middle - step
                slope[i] = (above - function(*moved).item()) / (2 * step)
                flat[i] = middle
    return gradients


@misconception("numerics.central_difference", pitfall=11, ask="Whose tensor is it that is moved?")
def tensor_of_the_caller_is_moved(function, inputs, step=1e-5):
    """The caller's own tensors are moved, and at the end they are not bit for bit what they were."""
    check_inputs(function, inputs)
    gradients = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in inputs]
    with torch.no_grad():
        for x, gradient in zip(inputs, gradients, strict=True):
            for i in range(x.numel()):
                place = tuple(int(k) for k in np.unravel_index(i, x.shape))
                x[place] += step
                above = function(*inputs).item()
                x[place] -= 2 * step
                gradient.view(-1)[i] = (above - function(*inputs).item()) / (2 * step)
    return gradients


@misconception("numerics.central_difference", ask="What is left to check, if autograd is asked on both sides?")
def autograd_is_asked(function, inputs, step=1e-5):
    """The gradient comes from autograd, and so it can never speak against autograd."""
    check_inputs(function, inputs)
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    found = torch.autograd.grad(out, leaves, allow_unused=True) if out.requires_grad else [None] * len(leaves)
    return [torch.zeros_like(x).detach() if g is None else g for x, g in zip(leaves, found, strict=True)]


def both_gradients(function, inputs, step):
    """The gradients by autograd and by differences, each as one long vector."""
    differences = central_difference(function, inputs, step)
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    slopes = torch.autograd.grad(out, leaves, allow_unused=True) if out.requires_grad else [None] * len(leaves)
    exact = torch.cat([(torch.zeros_like(x) if s is None else s).flatten() for x, s in zip(leaves, slopes, strict=True)])
    return exact, torch.cat([d.flatten() for d in differences])


@misconception("numerics.gradient_check", pitfall=12, ask="What does max() make of NaN?")
def nan_counts_as_no_gap(function, inputs, step=1e-5):
    """The largest gap is sought by comparing, and NaN is never larger than what was found before."""
    exact, approximate = both_gradients(function, inputs, step)
    gap = size = 0.0
    for a, b in zip(exact.tolist(), approximate.tolist(), strict=True):
        gap, size = max(gap, abs(a - b)), max(size, abs(a), abs(b))
    return gap / size if size > 0 else 0.0


@misconception("numerics.gradient_check", ask="Is a gap of 0.001 much?")
def gap_is_absolute(function, inputs, step=1e-5):
    """The gap is not divided by the size of the gradients, so that it says little by itself."""
    exact, approximate = both_gradients(function, inputs, step)
    gap = (exact - approximate).abs().max()
    return gap.item() if torch.isfinite(gap) else math.inf


@misconception("numerics.gradient_check", ask="What does rounding do to an entry that is nearly 0?")
def each_entry_by_its_own_size(function, inputs, step=1e-5):
    """Each gap is divided by the size of its own entry, so that the noise of a tiny one looks like a mistake."""
    exact, approximate = both_gradients(function, inputs, step)
    size = torch.maximum(exact.abs(), approximate.abs())
    gap = ((exact - approximate).abs() / size.masked_fill(size == 0, 1)).max()
    return gap.item() if torch.isfinite(gap) else math.inf


@misconception("numerics.gradient_check", ask="What is |a − b| / |a|, if a is the one that is missing?")
def gap_by_the_size_of_autograd_alone(function, inputs, step=1e-5):
    """The gap is divided by the size of autograd's gradient alone, which may be the one that is wrong."""
    exact, approximate = both_gradients(function, inputs, step)
    gap, size = (exact - approximate).abs().max(), exact.abs().max()
    if not torch.isfinite(gap):
        return math.inf
    return (gap / size).item() if size > 0 else 0.0


@misconception("numerics.gradient_check", ask="Which gap is larger: 3 or −5?")
def gap_keeps_its_sign(function, inputs, step=1e-5):
    """The largest difference is taken with its sign, so a gradient that is too small has no gap."""
    exact, approximate = both_gradients(function, inputs, step)
    gap, size = (exact - approximate).max(), torch.maximum(exact.abs(), approximate.abs()).max()
    if not torch.isfinite(gap):
        return math.inf
    return (gap / size).item() if size > 0 else 0.0


@misconception("numerics.gradient_check", ask="What is the gradient of an input that the result does not depend on?")
def unused_input_is_an_error(function, inputs, step=1e-5):
    """An input that the result does not depend on ends in an error of autograd instead of a gradient of 0."""
    approximate = torch.cat([d.flatten() for d in central_difference(function, inputs, step)])
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(function(*leaves), leaves)])
    gap, size = (exact - approximate).abs().max(), torch.maximum(exact.abs(), approximate.abs()).max()
    if not torch.isfinite(gap):
        return math.inf
    return (gap / size).item() if size > 0 else 0.0


@misconception("numerics.gradient_check", ask="Who reads .grad after the check?")
def gradients_are_left_behind(function, inputs, step=1e-5):
    """The caller's tensors are asked for gradients, and keep them."""
    approximate = torch.cat([d.flatten() for d in central_difference(function, inputs, step)])
    leaves = [x.requires_grad_() for x in inputs]
    out = function(*leaves)
    if out.requires_grad:
        out.sum().backward()
    exact = torch.cat([(torch.zeros_like(x) if x.grad is None else x.grad).flatten() for x in leaves])
    gap, size = (exact - approximate).abs().max(), torch.maximum(exact.abs(), approximate.abs()).max()
    if not torch.isfinite(gap):
        return math.inf
    return (gap / size).item() if size > 0 else 0.0


# layers


def cut_normal_(weight, std, cut, generator):
    """Normal numbers of deviation std, those beyond cut · std drawn again."""
    with torch.no_grad():
        weight.normal_(0, std, generator=generator)
        while (beyond := weight.abs() > cut * std).any():
            weight[beyond] = torch.empty(int(beyond.sum())).to(weight).normal_(0, std, generator=generator)
    return weight


def check_cut(std, cut):
    """The argument checks of truncated_normal_, which every version keeps."""
    if std <= 0 or cut <= 0:
        raise ValueError("not positive")


@misconception("layers.truncated_normal_", pitfall=4, ask="What is the deviation of what is left after the cut?")
def cut_and_too_small(weight, std, cut=2.0, generator=None):
    """The tails are cut off and nothing makes up for it, so the deviation is 0.88 of what was asked for."""
    check_cut(std, cut)
    return cut_normal_(weight, std, cut, generator)


@misconception("layers.truncated_normal_", pitfall=5, ask="How many numbers are equal to the largest one?")
def tails_are_heaped_on_the_edges(weight, std, cut=2.0, generator=None):
    """Numbers in the tails are moved to the edge instead of being left out."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    wide = std / math.sqrt(1 - 2 * cut * density / inside)
    with torch.no_grad():
        return weight.normal_(0, wide, generator=generator).clamp_(-cut * wide, cut * wide)


@misconception("layers.truncated_normal_", ask="How far out does the largest of 50,000 normal numbers lie?")
def tails_stay(weight, std, cut=2.0, generator=None):
    """The numbers are plain normal ones; nothing is cut off."""
    check_cut(std, cut)
    with torch.no_grad():
        return weight.normal_(0, std, generator=generator)


@misconception("layers.truncated_normal_", ask="In which units is `cut` measured?")
def cut_is_a_number_of_its_own(weight, std, cut=2.0, generator=None):
    """The cut is made at the number `cut` itself instead of so many deviations."""
    check_cut(std, cut)
    return cut_normal_(weight, std, cut / std, generator)


@misconception("layers.truncated_normal_", ask="What is the shape of a bell?")
def flat_instead_of_a_bell(weight, std, cut=2.0, generator=None):
    """The numbers are spread evenly; they have the right deviation and not the shape."""
    check_cut(std, cut)
    with torch.no_grad():
        return weight.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)


@misconception("layers.truncated_normal_", ask="Where do the numbers come from, if a generator was given?")
def generator_is_not_used(weight, std, cut=2.0, generator=None):
    """The generator that was given is passed over, and the global one is used up instead."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    kept = math.sqrt(1 - 2 * cut * density / inside)
    with torch.no_grad():
        return weight.copy_(torch.empty(weight.shape).uniform_(-inside, inside).erfinv().mul_(math.sqrt(2) * std / kept))


@misconception("layers.truncated_normal_", ask="Which tensor does the layer keep?")
def new_tensor_is_returned(weight, std, cut=2.0, generator=None):
    """The numbers are in a new tensor, and the one that was to be filled is as it was."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    kept = math.sqrt(1 - 2 * cut * density / inside)
    weight.detach().zero_()  # a layer's new memory holds whatever was there before, which no two recordings would share
    return torch.empty_like(weight).detach().uniform_(-inside, inside, generator=generator).erfinv() * (math.sqrt(2) * std / kept)


@misconception("layers.kaiming_normal_", pitfall=2, ask="How many products does each output add up?")
def fan_out_for_fan_in(weight, gain=math.sqrt(2), generator=None):
    """The number of outputs is counted instead of the number of inputs."""
    with torch.no_grad():
        return weight.normal_(0, gain / math.sqrt(weight.shape[0]), generator=generator)


@misconception("layers.kaiming_normal_", pitfall=3, ask="What does normal_ want: a deviation or a variance?")
def variance_for_deviation(weight, gain=math.sqrt(2), generator=None):
    """The variance is handed to a function that wants the deviation."""
    with torch.no_grad():
        return weight.normal_(0, gain**2 / weight.shape[1], generator=generator)


@misconception("layers.kaiming_normal_", ask="What comes after the layer?")
def gain_is_left_out(weight, gain=math.sqrt(2), generator=None):
    """The gain plays no part, as if nothing came after the layer."""
    with torch.no_grad():
        return weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)


@misconception("layers.kaiming_normal_", ask="Which of He's two distributions has this name?")
def uniform_of_the_same_variance(weight, gain=math.sqrt(2), generator=None):
    """The numbers are spread evenly; their variance is right, and they are not normal."""
    edge = math.sqrt(3) * gain / math.sqrt(weight.shape[1])
    with torch.no_grad():
        return weight.uniform_(-edge, edge, generator=generator)


@misconception("layers.kaiming_normal_", ask="Where do the numbers come from, if a generator was given?")
def kaiming_passes_its_generator_over(weight, gain=math.sqrt(2), generator=None):
    """The generator that was given is passed over."""
    with torch.no_grad():
        return weight.normal_(0, gain / math.sqrt(weight.shape[1]))


@misconception("layers.Linear", pitfall=1, ask="What does the table say about the shape of `weight`?")
class WeightAsInOut(nn.Module):
    """The weight is (d_in, d_out), so that other people's weights do not fit."""

    def __init__(self, d_in, d_out, bias=False, init="truncated", generator=None):
        super().__init__()
        if init not in ("truncated", "kaiming"):
            raise ValueError("no such start")
        self.weight = nn.Parameter(torch.empty(d_in, d_out))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
        if init == "kaiming":
            kaiming_normal_(self.weight.mT, generator=generator)
        else:
            truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)

    def forward(self, x):
        if x.shape[-1:] != self.weight.shape[:1]:
            raise ValueError("another width")
        out = x @ self.weight
        return out if self.bias is None else out + self.bias


def check_init(init):
    """The argument check of Linear, which every version keeps."""
    if init not in ("truncated", "kaiming"):
        raise ValueError("no such start")


@misconception("layers.Linear.__init__", pitfall=6, ask="What does state_dict() hold?")
def weight_is_no_parameter(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The weight is a plain tensor, which neither the optimiser nor the state dict knows of."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = torch.empty(d_out, d_in, requires_grad=True)
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What was asked for?")
def bias_unless_told_otherwise(self, d_in, d_out, bias=True, init="truncated", generator=None):
    """There is a bias although none was asked for."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What does layer.bias give, where there is none?")
def no_attribute_without_a_bias(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """Without a bias the attribute is missing, and whoever asks for it gets an error."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    if bias:
        self.bias = nn.Parameter(torch.zeros(d_out))
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What should an untrained bias add?")
def bias_starts_at_random(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The bias starts at random numbers instead of 0."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.randn(d_out, generator=generator)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=2, ask="How many products does each output add up?")
def start_goes_by_the_outputs(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The deviation of the truncated start is 1/√d_out."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_out), generator=generator)


@misconception("layers.Linear.__init__", ask="What is `init` for?")
def one_start_for_all(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The start is the truncated one, whatever was asked for."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.forward", ask="Which of the two was added?")
def bias_is_never_added(self, x):
    """The bias is there and is not added."""
    if x.shape[-1:] != self.weight.shape[1:]:
        raise ValueError("another width")
    return x @ self.weight.mT


@misconception("layers.Linear.forward", ask="How many axes may x have?")
def only_a_batch_of_rows(self, x):
    """Only inputs with two axes are taken."""
    if x.shape[-1:] != self.weight.shape[1:]:
        raise ValueError("another width")
    out = torch.mm(x, self.weight.mT)
    return out if self.bias is None else out + self.bias


@misconception("layers.Embedding.forward", pitfall=8, ask="What is the element −1 of a list?")
def tokens_count_from_the_end(self, tokens):
    """A token below 0 picks a row from the end of the table."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and tokens.max() >= self.weight.shape[0]:
        raise ValueError("no such token")
    return self.weight[tokens.long()]


@misconception("layers.Embedding.forward", ask="Which is the last row of a table of n?")
def first_token_too_many_is_let_through(self, tokens):
    """The token n_tokens is taken for the last one, and PyTorch's own error comes out."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() > self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight[tokens.long()]


@misconception("layers.Embedding.forward", pitfall=8, ask="What does torch make of booleans as an index?")
def whatever_becomes_a_whole_number(self, tokens):
    """Fractions and booleans are turned into whole numbers without a word."""
    tokens = tokens.long()
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight[tokens]


@misconception("layers.Embedding.forward", ask="What does .data cut off?")
def table_does_not_learn(self, tokens):
    """The rows are looked up beside the graph, so the table gets no gradient."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight.data[tokens.long()]


@misconception("layers.Embedding.forward", ask="How often may a token occur?")
def repeated_token_learns_once(self, tokens):
    """A token that occurs several times passes back one gradient alone."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    flat, out = tokens.long().flatten(), self.weight.detach()[tokens.long()].flatten(0, -2 if tokens.ndim else -1).clone()
    if tokens.ndim == 0:
        return self.weight[tokens.long()]
    for token in flat.unique():
        first = int((flat == token).nonzero()[0])
        out = torch.cat([out[:first], self.weight[token][None], out[first + 1 :]])
    return out.view(*tokens.shape, -1)


@misconception("layers.Embedding.__init__", ask="What is `std` for?")
def table_starts_at_deviation_one(self, n_tokens, d_model, std=1.0, generator=None):
    """The table starts with deviation 1, whatever was asked for."""
    nn.Module.__init__(self)
    self.weight = nn.Parameter(torch.empty(n_tokens, d_model))
    truncated_normal_(self.weight, 1.0, generator=generator)


@misconception("layers.Embedding.__init__", ask="Which start does the table name?")
def table_starts_with_tails(self, n_tokens, d_model, std=1.0, generator=None):
    """The table starts from plain normal numbers, whose tails are not cut off."""
    nn.Module.__init__(self)
    self.weight = nn.Parameter(torch.randn(n_tokens, d_model, generator=generator) * std)


# precision


@misconception("precision.limits", pitfall=1, ask="What does an exponent of all ones mean?")
def all_ones_is_an_exponent(layout):
    """The exponent of all ones is used for numbers, so everything goes twice as far."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0 ** (bias + 1), smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", pitfall=1, ask="What is the largest mantissa?")
def largest_is_a_power_of_two(layout):
    """The mantissa of the largest number is taken for 1, or for 2, instead of 2 − epsilon."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits(2.0 ** (bias + 1), smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", ask="What does an exponent of all zeros mean?")
def all_zeros_is_an_exponent(layout):
    """The exponent of all zeros is used for normal numbers, so the smallest is half of what it should be."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0**-bias
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", ask="What is the next number after 1?")
def epsilon_is_half_a_step(layout):
    """Epsilon is the rounding error, half of the step from 1 to the next number."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest * epsilon, epsilon / 2)


@misconception("precision.limits", pitfall=2, ask="What lies between 0 and the smallest normal number?")
def subnormals_do_not_exist(layout):
    """The smallest number above 0 is taken for the smallest normal one."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest, epsilon)


def steps_of(wide, layout):
    """The step of the format at each number."""
    power = (wide.contiguous().view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    bound = limits(layout)
    return power.clamp(min=bound.smallest_normal) * bound.epsilon


def overflowed(rounded, wide, layout):
    """±inf beyond the largest number; what was not finite as it was."""
    beyond = rounded.abs() > limits(layout).largest
    rounded = torch.where(beyond, torch.copysign(torch.full_like(wide, math.inf), wide), rounded)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", pitfall=3, ask="Which neighbour is nearer?")
def digits_are_cut_off(x, layout):
    """What the format cannot hold is cut off instead of rounded."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed((wide / step).trunc() * step, wide, layout)


@misconception("precision.round_to", pitfall=3, ask="Where does round(2.5) go?")
def halves_go_away_from_zero(x, layout):
    """Halves are rounded away from zero, so that sums of many drift."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed(torch.copysign((wide.abs() / step + 0.5).floor() * step, wide), wide, layout)


@misconception("precision.round_to", pitfall=2, ask="What is half of the smallest normal number?")
def small_numbers_are_flushed(x, layout):
    """Everything below the smallest normal number becomes 0."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    rounded = (wide / step).round() * step
    return overflowed(torch.where(wide.abs() < limits(layout).smallest_normal, 0 * rounded, rounded), wide, layout)


@misconception("precision.round_to", pitfall=2, ask="How large is the step below the smallest normal number?")
def grid_goes_on_shrinking(x, layout):
    """The steps shrink with each power of two for ever, so subnormal numbers keep digits that they do not have."""
    wide = x.detach().to(torch.float64)
    power = (wide.contiguous().view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    step = power.clamp(min=1e-290) * limits(layout).epsilon
    return overflowed((wide / step).round() * step, wide, layout)


@misconception("precision.round_to", pitfall=4, ask="What is log2 of the number just below 8, in float32?")
def logarithm_finds_the_power(x, layout):
    """The power of two is found by a logarithm in the dtype of x, which is one too high just below a power."""
    wide, bound = x.detach().to(torch.float64), limits(layout)
    power = 2.0 ** x.detach().abs().log2().floor().double().clamp(-1000, 1000)
    step = power.clamp(min=bound.smallest_normal) * bound.epsilon
    return overflowed((wide / step).round() * step, wide, layout)


@misconception("precision.round_to", pitfall=5, ask="To which number is 65,519 nearest?")
def overflow_before_rounding(x, layout):
    """Everything beyond the largest number becomes infinite, also what would have been rounded to it."""
    wide = x.detach().to(torch.float64)
    step, beyond = steps_of(wide, layout), wide.abs() > limits(layout).largest
    rounded = torch.where(beyond, torch.copysign(torch.full_like(wide, math.inf), wide), (wide / step).round() * step)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", ask="What is 10⁹ in float16?")
def largest_number_is_a_wall(x, layout):
    """What is too large becomes the largest number instead of infinity."""
    wide, bound = x.detach().to(torch.float64), limits(layout)
    step = steps_of(wide, layout)
    rounded = ((wide / step).round() * step).clamp(-bound.largest, bound.largest)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", ask="Which dtype does the signature promise?")
def result_has_the_dtype_of_the_input(x, layout):
    """The result comes back in the dtype of x instead of float64."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed((wide / step).round() * step, wide, layout).to(x.dtype)


@misconception("precision.LossScaler.update", pitfall=10, ask="What ever makes the scale larger?")
def scale_never_grows(self, finite):
    """The scale only ever becomes smaller."""
    if not finite:
        self.scale *= self.backoff


@misconception("precision.LossScaler.update", pitfall=10, ask="What does 'in a row' mean?")
def good_steps_outlive_a_bad_one(self, finite):
    """A bad step does not start the count of good steps again."""
    if not finite:
        self.scale *= self.backoff
        return
    self.good_steps += 1
    if self.good_steps == self.interval:
        self.scale *= self.growth
        self.good_steps = 0


@misconception("precision.LossScaler.update", pitfall=10, ask="How many good steps does the second growth take?")
def count_goes_on_after_growth(self, finite):
    """The count is not started again when the scale has grown, so it grows with every further step."""
    if not finite:
        self.scale *= self.backoff
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps >= self.interval:
        self.scale *= self.growth


@misconception("precision.LossScaler.update", ask="After how many good steps does it grow?")
def scale_grows_one_step_late(self, finite):
    """The scale grows with the step after the interval instead of its last one."""
    if not finite:
        self.scale *= self.backoff
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps > self.interval:
        self.scale *= self.growth
        self.good_steps = 0


@misconception("precision.LossScaler.update", ask="Are backoff and growth always one over the other?")
def scale_shrinks_by_growth(self, finite):
    """A bad step divides the scale by `growth`, and `backoff` is not looked at."""
    if not finite:
        self.scale /= self.growth
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps == self.interval:
        self.scale *= self.growth
        self.good_steps = 0


def unscale(model, scaler):
    """Gradients divided by the scale."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= scaler.scale


def scaled_backward(model, loss_of, optimizer, scaler, dtype):
    """Forward under autocast, and backward from the scaled loss."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    (loss * scaler.scale).backward()
    return loss


def finish(optimizer, scaler, loss, norm):
    """Update or skip, and tell the scaler."""
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=6, ask="How large are the gradients before they are unscaled?")
def clipped_before_unscaling(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The gradients are clipped while the scale is still in them, so nearly every step becomes tiny."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm) / scaler.scale
    unscale(model, scaler)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="Who takes the scale out of the gradients?")
def gradients_keep_their_scale(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The scale is never taken out of the gradients."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What becomes of 2⁻³⁰ in float16?")
def loss_is_not_scaled(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The backward pass starts from the loss as it is, so small gradients round to 0."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What does Adam remember of an infinite gradient?")
def step_is_taken_on_infinity(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The optimiser steps whatever the gradients are."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    finite = bool(torch.isfinite(norm))
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What does AdamW do with a gradient of 0?")
def infinite_gradients_become_zero(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """Bad gradients are replaced by 0 and the step is taken, so decay and moments move the weights all the same."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = bool(torch.isfinite(norm))
    if not finite:
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
    optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What is NaN == math.inf?")
def only_infinity_is_bad(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """Only inf is looked for, and a step with NaN is taken."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = not bool(torch.isinf(norm))
    if finite:
        optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=8, ask="What is in .grad before the first backward pass?")
def earlier_gradients_are_added(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The gradients of the step before are not cleared, and add up."""
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    (loss * scaler.scale).backward()
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", pitfall=9, ask="Whose loss is 65,536 times too large?")
def loss_is_reported_with_its_scale(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The loss that is reported still has the scale in it."""
    scale = scaler.scale
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss * scale, norm)


@misconception("precision.mixed_precision_step", pitfall=9, ask="Where does the `with` end?")
def backward_under_autocast(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The backward pass is under autocast too, where each operation already has its type."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
        (loss * scaler.scale).backward()
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What is `dtype` for?")
def autocast_is_left_out(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The forward pass is computed in float32, whatever was asked for."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, torch.float32)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What is the norm of a gradient of 0.01 after the step?")
def gradients_always_get_the_largest_norm(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """All gradients are brought to the norm max_norm, small ones too."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad *= max_norm / norm
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="When is the norm taken: before clipping, or after?")
def norm_is_that_after_clipping(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The norm that is reported is the one after clipping, which never says how large the gradients were."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm.clamp_max(max_norm) if norm.isfinite() else norm)


@misconception("precision.mixed_precision_step", ask="Who tells the scaler of a good step?")
def scaler_hears_of_bad_steps_alone(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The scaler hears of bad steps alone, so it never counts the good ones."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    else:
        scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.state_bytes", pitfall=11, ask="Where do small updates go, when weights have 8 bits of mantissa?")
def master_copy_is_forgotten(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The float32 copy of 16-bit weights is not counted."""
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * moments * 4,
    }


@misconception("precision.state_bytes", pitfall=11, ask="What would a float32 copy of float32 weights be for?")
def master_copy_of_everything(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """A copy is counted for weights that are float32 already."""
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * (moments + 1) * 4,
    }


@misconception("precision.state_bytes", ask="In which dtype does the optimiser keep its moments?")
def moments_in_the_dtype_of_the_weights(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The moments are counted in the dtype of the weights instead of float32."""
    copy = 4 if weights.itemsize < 4 else 0
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * (moments * weights.itemsize + copy),
    }


@misconception("precision.state_bytes", pitfall=11, ask="How many bits has a byte?")
def bits_for_bytes(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The counts are in bits."""
    copies = moments + (weights.itemsize < 4)
    return {
        "weights": n_parameters * weights.itemsize * 8,
        "gradients": n_parameters * gradients.itemsize * 8,
        "optimiser": n_parameters * copies * 32,
    }


@misconception("precision.activation_bytes", pitfall=12, ask="How much memory do two views of one tensor take?")
def views_are_counted_each(function, known):
    """Every tensor that is saved is counted, though several share their memory."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        function()
    there = {t.untyped_storage().data_ptr() for t in known}
    return sum(t.nbytes for t in saved if t.untyped_storage().data_ptr() not in there)


@misconception("precision.activation_bytes", pitfall=12, ask="Is weight.T the same tensor as weight, and the same memory?")
def transposed_weights_are_not_known(function, known):
    """Known tensors are recognised by their shape and place, so a transposed weight counts as something new."""
    storages = {}

    def note(tensor):
        if not any(tensor.data_ptr() == k.data_ptr() and tensor.shape == k.shape for k in known):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    known = list(known)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    return sum(storage.nbytes() for storage in storages.values())


@misconception("precision.activation_bytes", ask="What was there before the function ran?")
def everything_saved_is_counted(function, known):
    """Inputs and parameters are counted too, though they are there anyway."""
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    return sum(storage.nbytes() for storage in storages.values())


@misconception("precision.activation_bytes", pitfall=12, ask="What does a slice of one number keep alive?")
def slice_is_counted_by_its_own_size(function, known):
    """A view is counted by its own size, though it keeps the whole memory behind it alive."""
    sizes, kept = {}, []

    def note(tensor):
        kept.append(tensor)
        address = tensor.untyped_storage().data_ptr()
        sizes[address] = max(sizes.get(address, 0), tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    return sum(size for address, size in sizes.items() if address not in there)


@misconception("precision.activation_bytes", pitfall=11, ask="How many bytes has a bfloat16 number?")
def four_bytes_for_every_number(function, known):
    """Every number is counted as four bytes, whatever its dtype."""
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage(), tensor.dtype.itemsize)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    return sum(s.nbytes() // size * 4 for address, (s, size) in storages.items() if address not in there)


# profiling


def check_counts(repeats, warm_up):
    """The argument checks of time_it, which every version keeps."""
    if repeats < 1 or warm_up < 0:
        raise ValueError("no repeats")


@misconception("profiling.time_it", pitfall=1, ask="What is the device still doing when the clock stops?")
def clock_stops_before_the_device(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The device is waited for before the clock starts and not before it stops, so only the launch is timed."""
    check_counts(repeats, warm_up)
    seconds = []
    for i in range(warm_up + repeats):
        if synchronise:
            synchronise()
        start = clock()
        function()
        stop = clock()
        if i >= warm_up:
            seconds.append(stop - start)
    if synchronise:
        synchronise()
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=1, ask="What is the device still doing when the clock starts?")
def clock_starts_while_the_device_works(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The device is waited for before the clock stops and not before it starts, so earlier work counts."""
    check_counts(repeats, warm_up)
    for _ in range(warm_up):
        function()
    seconds = []
    for _ in range(repeats):
        start = clock()
        function()
        if synchronise:
            synchronise()
        seconds.append(clock() - start)
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=2, ask="How many times should there be?")
def warm_up_is_timed_too(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The slow first calls are among the times."""
    check_counts(repeats, warm_up)
    wait, seconds = synchronise or (lambda: None), []
    for _ in range(warm_up + repeats):
        wait()
        start = clock()
        function()
        wait()
        seconds.append(clock() - start)
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=2, ask="How many times should there be?")
def warm_up_takes_the_place_of_repeats(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The warm-up is part of the repeats, so that fewer times are left."""
    check_counts(repeats, warm_up)
    wait, seconds = synchronise or (lambda: None), []
    for _ in range(repeats):
        wait()
        start = clock()
        function()
        wait()
        seconds.append(clock() - start)
    return Timing(tuple(seconds[warm_up:] or seconds[-1:]))


@misconception("profiling.time_it", pitfall=3, ask="What does one slow repeat do to a mean?")
def one_reading_for_all_repeats(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """All repeats are timed in one go and divided, which is a mean and hides the slow ones."""
    check_counts(repeats, warm_up)
    wait = synchronise or (lambda: None)
    for _ in range(warm_up):
        function()
    wait()
    start = clock()
    for _ in range(repeats):
        function()
    wait()
    return Timing(((clock() - start) / repeats,) * repeats)


@misconception("profiling.time_it", ask="Where is the unit of the clock written down?")
def seconds_of_another_clock(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The clock that was given is not read, but the usual one."""
    check_counts(repeats, warm_up)
    wait = synchronise or (lambda: None)
    for _ in range(warm_up):
        function()
    seconds = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        function()
        wait()
        seconds.append(round(time.perf_counter() - start))
    return Timing(tuple(float(s) for s in seconds))


def counts_of(batch, time, d_model, n_layers, vocab_size, d_ff):
    """The counts as they should be."""
    tokens = batch * time
    return {
        "projections": n_layers * 8 * tokens * d_model**2,
        "attention": n_layers * 4 * tokens * time * d_model,
        "mlp": n_layers * 4 * tokens * d_model * (4 * d_model if d_ff is None else d_ff),
        "head": 2 * tokens * d_model * vocab_size,
    }


@misconception("profiling.forward_flops", pitfall=4, ask="How many operations is a · b + c?")
def one_operation_for_two(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """A multiplication and an addition are counted as one operation."""
    return {name: n // 2 for name, n in counts_of(batch, time, d_model, n_layers, vocab_size, d_ff).items()}


@misconception("profiling.forward_flops", pitfall=5, ask="How many scores has a text of T tokens?")
def attention_forgets_the_square(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """Attention is counted as if each token looked at one token alone."""
    counts = counts_of(batch, time, d_model, n_layers, vocab_size, d_ff)
    return counts | {"attention": counts["attention"] // time}


@misconception("profiling.forward_flops", pitfall=5, ask="How often are logits made?")
def head_in_every_layer(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """The head is counted once for each layer."""
    counts = counts_of(batch, time, d_model, n_layers, vocab_size, d_ff)
    return counts | {"head": counts["head"] * n_layers}


@misconception("profiling.forward_flops", pitfall=6, ask="What is d_ff for?")
def mlp_is_always_four_times_as_wide(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """The MLP is counted as four times as wide as d_model, whatever d_ff says."""
    return counts_of(batch, time, d_model, n_layers, vocab_size, None)


@misconception("profiling.forward_flops", ask="What does a width of 0 mean?")
def no_width_means_the_usual(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """A width of 0 is taken for none given, because both are false."""
    return counts_of(batch, time, d_model, n_layers, vocab_size, d_ff or 4 * d_model)


@misconception("profiling.forward_flops", ask="Which matrix follows attention?")
def three_projections(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """The projection that follows attention is not counted."""
    counts = counts_of(batch, time, d_model, n_layers, vocab_size, d_ff)
    return counts | {"projections": counts["projections"] // 4 * 3}


@misconception("profiling.forward_flops", ask="Which two products does attention have?")
def scores_without_the_weighted_values(batch, time, d_model, n_layers, vocab_size, d_ff=None):
    """Only the scores of attention are counted, and not the weighted values."""
    counts = counts_of(batch, time, d_model, n_layers, vocab_size, d_ff)
    return counts | {"attention": counts["attention"] // 2}


@misconception("profiling.training_flops", ask="How many matrix products does the backward pass of one product take?")
def backward_costs_as_much_as_forward(forward, recompute=False):
    """The backward pass is counted as one forward pass, though it has two products for each."""
    return forward * (3 if recompute else 2)


@misconception("profiling.training_flops", pitfall=7, ask="How often are activations computed when they are not kept?")
def recomputing_is_free(forward, recompute=False):
    """The second forward pass of a step that keeps no activations is not counted."""
    return forward * 3


@misconception("profiling.share_of_peak", ask="What is a share of one half?")
def share_in_per_cent(flops, seconds, peak):
    """The share is given in per cent."""
    if flops <= 0 or seconds <= 0 or peak <= 0 or flops / seconds > peak:
        raise ValueError("impossible")
    return 100 * flops / seconds / peak


@misconception("profiling.share_of_peak", ask="What does a share of 1.2 say?")
def more_than_all_is_accepted(flops, seconds, peak):
    """A share above 1 is returned, though it means that something was measured wrongly."""
    if flops <= 0 or seconds <= 0 or peak <= 0:
        raise ValueError("not positive")
    return flops / seconds / peak


@misconception("profiling.share_of_peak", ask="Which of the three is divided by which?")
def seconds_are_multiplied(flops, seconds, peak):
    """Operations are multiplied by seconds instead of divided."""
    if flops <= 0 or seconds <= 0 or peak <= 0 or flops / seconds > peak:
        raise ValueError("impossible")
    return flops * seconds / peak


@misconception("profiling.write_trace", pitfall=9, ask="When is the profiler done?")
def exported_while_it_runs(function, path, memory=False):
    """The trace is exported while the profiler still runs."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        function()
        profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="How often did the trace see the function?")
def function_runs_before_the_trace(function, path, memory=False):
    """The function runs before the profiler has started, and the trace is empty."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    function()
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        pass
    profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="What if the folder is not there yet?")
def folders_are_not_made(function, path, memory=False):
    """The folders on the way are not made, and nothing is written where they are missing."""
    path = Path(path)
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        function()
    if path.parent.exists():
        profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="What is `memory` for?")
def allocations_are_not_recorded(function, path, memory=False):
    """Allocations are not in the trace, also when asked for."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(activities=torch.profiler.supported_activities()) as profile:
        function()
    profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.peak_memory", pitfall=8, ask="What has been released by then?")
def sum_of_all_allocations(function, device="cpu"):
    """All allocations are added up, though some were released before others came."""
    return sum(change for change in memory_changes(function) if change > 0)


@misconception("profiling.peak_memory", pitfall=8, ask="What was there in the middle?")
def what_is_left_at_the_end(function, device="cpu"):
    """What is left at the end is taken for the peak."""
    return max(0, sum(memory_changes(function)))


@misconception("profiling.peak_memory", pitfall=8, ask="How many pieces can be there at once?")
def largest_single_piece(function, device="cpu"):
    """The largest single allocation is taken for the peak."""
    return max(memory_changes(function), default=0)


@misconception("profiling.peak_memory", ask="What does a run before the measurement cost?")
def function_runs_twice(function, device="cpu"):
    """The function is run once to warm up and once to measure, and the caller's state changes twice."""
    function()
    total, peak = 0, 0
    for change in memory_changes(function):
        total += change
        peak = max(peak, total)
    return peak


@misconception("profiling.peak_memory", ask="Can a function that only releases memory have a negative peak?")
def peak_may_be_negative(function, device="cpu"):
    """The worst moment is sought after the start alone, so a function that only releases has a peak below 0."""
    total, seen = 0, []
    for change in memory_changes(function):
        total += change
        seen.append(total)
    return max(seen, default=-1)
