"""Softmax and its relatives, written so that they survive large numbers; and a check of gradients by differences.

Four functions along one axis, and one tool that will find your mistakes until the end of the course. Left out: label
smoothing and padding, which belong to the loss of a language model, and functions of several outputs in the check.
Source: Blanchard, Higham, Higham, Accurately computing the log-sum-exp and softmax functions, arXiv:1909.03469, §1.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def row_shift(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*kept"]:
    """What may be subtracted from every row along `dim` before e^x is taken: its maximum, and 0 for a row of −inf alone.

    Has size 1 along `dim` and the dtype of x, and passes no gradient on: the functions below do not depend on it.
    ValueError for whole numbers, or for a row without a single number.  Source: §1 there.
    """
    if not x.is_floating_point():
        raise ValueError(f"scores must be floating-point numbers; got {x.dtype} (use x.float())")
    if x.ndim == 0 or not -x.ndim <= dim < x.ndim or x.shape[dim] == 0:
        raise ValueError(f"there must be at least one score along axis {dim}; got shape {tuple(x.shape)}")
    # TODO: the shift of every row (handout: numerics, step 1).
    # Watch: which maximum, that of the row or of everything; −inf less −inf.
    raise NotImplementedError("a00_foundations/numerics.py: row_shift() is yours to write (handout: numerics, step 1)")


def softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """e^x over its own sum along `dim`: nothing negative, sum 1.

    x may hold −inf, which gets exactly 0. A row of nothing but −inf has nothing to share out: all 0, not NaN, and a
    gradient of 0. Computed in at least float32, and returned in the dtype of x. Errors as in `row_shift`.
    Source: §1 there.
    """
    # TODO: the probabilities (handout: numerics, step 2).
    # Watch: e^89 is more than float32 holds; 0 / 0, and the gradient of such a row; float16 sums go wrong early.
    raise NotImplementedError("a00_foundations/numerics.py: softmax() is yours to write (handout: numerics, step 2)")


def logsumexp(x: Float[Tensor, "*shape"], dim: int = -1, keepdim: bool = False) -> Float[Tensor, "*rest"]:
    """log Σ e^x along `dim`, a smooth maximum; `keepdim` keeps that axis with size 1.

    A row of nothing but −inf gives −inf, with a gradient of 0. Dtypes and errors as in `softmax`.  Source: §1 there.
    """
    # TODO: the logarithm of the sum (handout: numerics, step 3).
    # Watch: what was subtracted has to come back; the derivative of the logarithm at 0.
    raise NotImplementedError("a00_foundations/numerics.py: logsumexp() is yours to write (handout: numerics, step 3)")


def log_softmax(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """The logarithm of `softmax`, exact also where softmax itself rounds to 0 or 1.

    −inf where x is −inf, so a row of nothing but −inf stays what it is. Its gradient is g − softmax(x) · Σ g, for
    every row and with softmax as above. Dtypes and errors as in `softmax`.  Source: §1 there.
    """
    # TODO: the logarithms (handout: numerics, step 4).
    # Watch: softmax rounds to 0 from 104 below the maximum; x − logsumexp(x) loses digits when both are large.
    raise NotImplementedError("a00_foundations/numerics.py: log_softmax() is yours to write (handout: numerics, step 4)")


def cross_entropy(logits: Float[Tensor, "*batch classes"], targets: Int[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Mean over all targets of −log softmax(logits)[target], in nats; a number in at least float32.

    A target whose logit is −inf costs +inf (it was called impossible), never NaN; its gradient is (softmax − one-hot) / n
    as for all others. ValueError if the shapes do not fit, if there is no target, or if one is not in [0, classes).
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} need targets {tuple(logits.shape[:-1])}; got {tuple(targets.shape)}")
    if targets.numel() == 0 or targets.is_floating_point():
        raise ValueError(f"targets must be class numbers, at least one; got {targets.numel()} of {targets.dtype}")
    if targets.min() < 0 or targets.max() >= logits.shape[-1]:
        worst = targets.min() if targets.min() < 0 else targets.max()
        raise ValueError(f"targets must be in [0, {logits.shape[-1]}), one of the classes; got {worst}")
    # TODO: the mean over targets (handout: numerics, step 5).
    # Watch: widen before the logarithm and not after; the mean is over targets, not over classes.
    raise NotImplementedError("a00_foundations/numerics.py: cross_entropy() is yours to write (handout: numerics, step 5)")


def central_difference(
    function: Callable[..., Tensor], inputs: Sequence[Float[Tensor, "..."]], step: float = 1e-5
) -> list[Float[Tensor, "..."]]:
    """The gradient of `function(*inputs)`, a single number, by (f(x + step) − f(x − step)) / (2 · step), entry by entry.

    One gradient for each input, of its shape. The inputs are left as they are; the function is called once, and then twice for
    every entry. ValueError unless all inputs are float64 (in float32 the rounding of f, divided by the step, drowns the result)
    and the function returns one number.
    """
    for i, x in enumerate(inputs):
        if x.dtype != torch.float64:
            raise ValueError(f"differences need float64 (use x.double()); input {i} is {x.dtype}")
    shape = function(*inputs).shape
    if shape.numel() != 1:
        raise ValueError(f"the function must return one number (take a sum); got shape {tuple(shape)}")
    # TODO: a difference for every entry of every input (handout: numerics, step 6).
    # Watch: both sides; put each entry back; the caller's tensors; inputs that are not contiguous.
    raise NotImplementedError("a00_foundations/numerics.py: central_difference() is yours to write (handout: numerics, step 6)")


def gradient_check(function: Callable[..., Tensor], inputs: Sequence[Float[Tensor, "..."]], step: float = 1e-5) -> float:
    """How far autograd and central differences lie apart: the largest gap over the largest size of either, over all inputs.

    About 1e-9 for right code and 0.01 to 2 for wrong code; 0 when both gradients are 0 throughout, and inf when anything
    is NaN or infinite. An input that the result does not depend on has the gradient 0. Errors as in `central_difference`.
    """
    # TODO: the same gradients by autograd, and the gap (handout: numerics, step 7).
    # Watch: NaN compares as neither larger nor smaller; an unused input; the caller's tensors get no `.grad`.
    raise NotImplementedError("a00_foundations/numerics.py: gradient_check() is yours to write (handout: numerics, step 7)")
