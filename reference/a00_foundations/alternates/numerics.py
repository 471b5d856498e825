"""These are other right versions of parts of numerics.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .numerics import central_difference, logsumexp, row_shift


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
