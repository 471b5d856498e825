"""Learning from the probabilities of another model: a softmax with a temperature, and the loss of distillation.

Left out: the loss on the labels, which is added with a weight of its own, and logits of −inf.
Source: Distilling the Knowledge in a Neural Network, arXiv:1503.02531, §2.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def refuse_bad_input(logits: Float[Tensor, "*batch classes"], temperature: float) -> None:
    """ValueError if the logits are whole numbers or have no class, or if the temperature is not positive and finite."""
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point numbers; got {logits.dtype} (use logits.float())")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must have at least one class on the last axis; got shape {tuple(logits.shape)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature must be positive and finite; got {temperature}")


def softmax_with_temperature(logits: Float[Tensor, "*batch classes"], temperature: float) -> Float[Tensor, "*batch classes"]:
    """Probabilities that are proportional to exp(logits / temperature), along the last axis.

    logits: finite numbers of any size, one for each class.
    temperature: 1 gives the plain softmax, and a larger one makes the probabilities more equal.

    The result is computed in at least float32 and has the dtype of the logits.
    ValueError as in `refuse_bad_input`.  Source: arXiv:1503.02531, eq. 1.
    """
    refuse_bad_input(logits, temperature)
    # TODO: the probabilities (handout: distill, step 1).
    # Watch: exp(89) is too large for float32; each row has a maximum of its own; which operation comes before rounding.
    # BEGIN SOLUTION
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    powers = (wide - wide.amax(dim=-1, keepdim=True)).exp()
    return (powers / powers.sum(dim=-1, keepdim=True)).to(logits.dtype)
    # END SOLUTION


def distillation_loss(
    student: Float[Tensor, "*batch classes"], teacher: Float[Tensor, "*batch classes"], temperature: float
) -> Float[Tensor, ""]:
    """temperature² · KL(p ‖ q) in nats, averaged over all rows, as a number in at least float32.

    student: logits of the model that learns; q is their softmax with this temperature.
    teacher: logits of the model that is learned from; p is their softmax with this temperature. They get no gradient.
    temperature: as in `softmax_with_temperature`.

    A probability that rounds to 0 contributes 0.
    ValueError if the shapes differ or there is no row, and as in `refuse_bad_input`.  Source: arXiv:1503.02531, §2.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student and teacher must have one shape; got {tuple(student.shape)} and {tuple(teacher.shape)}")
    for logits in (student, teacher):
        refuse_bad_input(logits, temperature)
    if student.numel() == 0:
        raise ValueError(f"there must be at least one row; got shape {tuple(student.shape)}")

    # TODO: the mean divergence of the rows (handout: distill, step 2).
    # Watch: a probability of 0 has no logarithm; what is summed and what is averaged; who learns from whom.
    # BEGIN SOLUTION
    def log_probs(scores: Tensor) -> Tensor:
        lowered = scores - scores.amax(dim=-1, keepdim=True)
        return lowered - lowered.exp().sum(dim=-1, keepdim=True).log()

    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    target = teacher.detach().to(dtype)
    gap = log_probs(target / temperature) - log_probs(student.to(dtype) / temperature)
    return temperature**2 * (softmax_with_temperature(target, temperature) * gap).sum(dim=-1).mean()
    # END SOLUTION
