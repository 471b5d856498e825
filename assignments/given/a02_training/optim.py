"""PyTorch's AdamW, parameter groups, and clipping with PyTorch's norm."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for an optimiser: matrices with this decay, and vectors with decay 0. Frozen parameters are in neither."""
    groups = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
    for p in filter(lambda p: p.requires_grad, model.parameters()):
        groups[p.dim() < 2]["params"].append(p)
    return groups


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW with the arguments of the assignment. PyTorch raises a ValueError for settings out of range."""

    def __init__(self, params: Iterable, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients in place by one factor, so that their global norm is at most max_norm. Returns the norm from before.

    Gradients whose norm is not finite stay as they are.
    ValueError: max_norm is not positive, or no parameter has a gradient.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads or max_norm <= 0:
        raise ValueError(f"needed: max_norm > 0 and at least one gradient; got {max_norm}, {len(grads)} gradients")
    total = torch.nn.utils.get_total_norm([g.to(torch.promote_types(g.dtype, torch.float32)) for g in grads])
    if total.isfinite() and total > max_norm:
        torch._foreach_mul_(grads, float(max_norm / total))
    return total
