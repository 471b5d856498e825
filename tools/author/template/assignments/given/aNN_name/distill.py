"""Working distillation: torch's own softmax and Kullback–Leibler divergence."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def refuse_bad_input(logits: Float[Tensor, "*batch classes"], temperature: float) -> None:
    """ValueError if the logits are whole numbers or have no class, or if the temperature is not positive and finite."""
    if not logits.is_floating_point() or logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"needed: floating-point logits of at least one class; got {logits.dtype} {tuple(logits.shape)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"needed: a positive, finite temperature; got {temperature}")


def softmax_with_temperature(logits: Float[Tensor, "*batch classes"], temperature: float) -> Float[Tensor, "*batch classes"]:
    """torch.softmax of logits / temperature. ValueError as in `refuse_bad_input`."""
    refuse_bad_input(logits, temperature)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.softmax(wide / temperature, dim=-1).to(logits.dtype)


def distillation_loss(
    student: Float[Tensor, "*batch classes"], teacher: Float[Tensor, "*batch classes"], temperature: float
) -> Float[Tensor, ""]:
    """F.kl_div of two log-softmaxes, times temperature². ValueError if shapes differ, and as in `refuse_bad_input`."""
    if student.shape != teacher.shape or student.numel() == 0:
        raise ValueError(f"needed: logits of one shape, at least one row; got {tuple(student.shape)}, {tuple(teacher.shape)}")
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    rows = []
    for logits in (student, teacher.detach()):
        refuse_bad_input(logits, temperature)
        rows.append(F.log_softmax(logits.to(dtype) / temperature, dim=-1).reshape(-1, logits.shape[-1]))
    return temperature**2 * F.kl_div(rows[0], rows[1], reduction="batchmean", log_target=True)
