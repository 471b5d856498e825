"""These are wrong versions of parts of numerics.py, one mistake each. A docstring is the hint that a student reads."""

import math

import numpy as np
import torch

from tools.author.cases import misconception

from .numerics import central_difference, log_softmax, logsumexp, row_shift, softmax


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
    """The probabilities are always those along the last axis, whatever `dim` says."""
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


@misconception("numerics.softmax", pitfall=3, ask="What do the probabilities of an empty row add up to?")
def empty_row_is_shared_out_evenly(x, dim=-1):
    """−inf is replaced by a very low number, so an empty row gets equal probabilities instead of none."""
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
    """Scores are always converted to float32, float64 too, which loses half of its digits."""
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


@misconception("numerics.logsumexp", pitfall=3, ask="What is the derivative of the logarithm at 0?")
def empty_row_has_a_nan_slope(x, dim=-1, keepdim=False):
    """The logarithm of the sum 0 of an empty row is right, and its derivative is not a number."""
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


@misconception("numerics.cross_entropy", ask="What is the sign of the logarithm of a probability?")
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
    """An entry is not put back, so all entries after it are looked at from another point."""
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
