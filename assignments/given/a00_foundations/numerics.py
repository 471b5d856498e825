"""Working softmax, logsumexp, log-softmax and cross-entropy, built from PyTorch's own functions; and a gradient check.

Rows of nothing but −inf give what the assignment asks for.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def _wide_and_empty(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """x in at least float32, and where its rows are −inf throughout."""
    if not x.is_floating_point() or x.ndim == 0 or not -x.ndim <= dim < x.ndim or x.shape[dim] == 0:
        raise ValueError(f"needed: floating-point numbers, at least one along axis {dim}; got {x.dtype} {tuple(x.shape)}")
    return x.to(torch.promote_types(x.dtype, torch.float32)), torch.isneginf(x).all(dim, keepdim=True)


def row_shift(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*kept"]:
    """What may be subtracted from each row: its maximum, and 0 for a row of −inf alone.

    ValueError: x holds whole numbers, or there is no score along the axis.
    """
    _, empty = _wide_and_empty(x, dim)
    return torch.where(empty, 0, torch.max(x.detach(), dim, keepdim=True).values)


def softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """torch.softmax, and 0 in rows of −inf alone.

    ValueError: x holds whole numbers, or there is no score along the axis.
    """
    wide, empty = _wide_and_empty(x, dim)
    return torch.where(empty, 0, torch.softmax(wide.masked_fill(empty, 0), dim)).to(x.dtype)


def logsumexp(x: Float[Tensor, "*shape"], dim: int = -1, keepdim: bool = False) -> Float[Tensor, "*rest"]:
    """torch.logsumexp, and −inf for rows of −inf alone.

    ValueError: x holds whole numbers, or there is no score along the axis.
    """
    wide, empty = _wide_and_empty(x, dim)
    shift = row_shift(wide, dim)  # torch's own backward pass would lose the digits that large scores have in common
    out = torch.where(empty, -math.inf, torch.logsumexp(wide.masked_fill(empty, 0) - shift, dim, keepdim=True) + shift)
    return (out if keepdim else out.squeeze(dim)).to(x.dtype)


def log_softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """torch.log_softmax, and −inf in rows of −inf alone.

    ValueError: x holds whole numbers, or there is no score along the axis.
    """
    wide, empty = _wide_and_empty(x, dim)
    return torch.where(empty, wide, torch.log_softmax(wide.masked_fill(empty, 0), dim)).to(x.dtype)


def cross_entropy(logits: Float[Tensor, "*batch classes"], targets: Int[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Mean of −log softmax(logits)[target] over all targets, in nats.

    ValueError: the shapes do not fit, there is no target, or one is not in [0, classes).
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    if targets.numel() == 0 or targets.is_floating_point() or not 0 <= targets.min() <= targets.max() < logits.shape[-1]:
        raise ValueError(f"targets must be whole numbers in [0, {logits.shape[-1]}), at least one; got {targets}")
    wide, _ = _wide_and_empty(logits, -1)
    return F.nll_loss(log_softmax(wide).reshape(-1, logits.shape[-1]), targets.reshape(-1).long())


def central_difference(
    function: Callable[..., Tensor], inputs: Sequence[Float[Tensor, "..."]], step: float = 1e-5
) -> list[Float[Tensor, "..."]]:
    """The gradient of `function(*inputs)` by (f(x + step) − f(x − step)) / (2 · step), entry by entry.

    ValueError: an input is not float64, or the function does not return one number.
    """
    if any(x.dtype != torch.float64 for x in inputs):
        raise ValueError(f"differences need float64 (use x.double()); got {[x.dtype for x in inputs]}")
    with torch.no_grad():
        if function(*inputs).numel() != 1:
            raise ValueError(f"the function must return one number (take a sum); got {function(*inputs).shape}")
        at = lambda i, x: function(*inputs[:i], x, *inputs[i + 1 :]).reshape(())
        both = lambda i, x, e: (at(i, x + e.view_as(x)) - at(i, x - e.view_as(x))) / (2 * step)
        eyes = [step * torch.eye(x.numel(), dtype=x.dtype, device=x.device) for x in inputs]
        return [torch.stack([both(i, x, e) for e in eye]).view_as(x) if len(eye) else torch.zeros_like(x)
                for i, (x, eye) in enumerate(zip(inputs, eyes, strict=True))]  # fmt: skip


def gradient_check(function: Callable[..., Tensor], inputs: Sequence[Float[Tensor, "..."]], step: float = 1e-5) -> float:
    """The largest gap between torch.func.grad and central differences, over the largest size of either.

    It is inf if anything is NaN or infinite. Errors as in `central_difference`.
    """
    rough = torch.cat([d.reshape(-1) for d in central_difference(function, inputs, step)])
    scalar = lambda *xs: function(*xs).reshape(())
    sharp = torch.func.grad(scalar, argnums=tuple(range(len(inputs))))(*(x.detach() for x in inputs))
    sharp = torch.cat([g.reshape(-1) for g in sharp])
    error = (sharp - rough).norm(math.inf) / max(
        sharp.norm(math.inf), rough.norm(math.inf), torch.full((), 1e-300, dtype=sharp.dtype)
    )
    return error.nan_to_num(math.inf).item()
