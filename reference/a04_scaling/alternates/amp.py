"""These are other right versions of parts of amp.py. The tolerances allow for all of these routes."""

import torch
from torch import nn

from tools.author.cases import alternate

from .accumulate import accumulate_gradients, count_targets
from .amp import Step, apply_gradients


@alternate("amp.Scaler.unscale")
def times_the_inverse(self, parameters):
    """Multiplied by the inverse, which is exact for powers of two."""
    inverse = 1.0 / self.scale
    for parameter in filter(lambda parameter: parameter.grad is not None, parameters):
        parameter.grad.mul_(inverse)


@alternate("amp.apply_gradients")
def clipped_by_a_division(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """PyTorch's norm of all gradients, and clipping by max_norm / norm only where the step is done."""
    scaler.unscale(model.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    skipped = not bool(torch.isfinite(norm))
    if not skipped:
        if norm > max_norm:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(max_norm / norm)
        optimizer.step()
        if scheduler:
            scheduler.step()
    scaler.update(not skipped)
    return float(norm), skipped


@alternate("amp.training_step")
def cleared_to_zeros(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients are set to zeros in place, and the arguments are named."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad = torch.zeros_like(parameter.grad)
    loss = accumulate_gradients(
        model=model, micro_batches=micro_batches, total=count_targets(micro_batches), scale=scaler.scale, dtype=dtype
    )
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm=max_norm, scheduler=scheduler)
    return Step(loss=loss, grad_norm=norm, skipped=skipped)
