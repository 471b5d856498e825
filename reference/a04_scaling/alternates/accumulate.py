"""These are other right versions of parts of accumulate.py. The tolerances allow for all of these routes."""

import math

import torch
from given.a02_training.data import IGNORE

from tools.author.cases import alternate

from .accumulate import count_targets, summed_loss


@alternate("accumulate.split_batch")
def sizes_by_division(batch, n_micro_batches):
    """Sizes from a division with a rest."""
    inputs, targets = batch
    if n_micro_batches < 1 or n_micro_batches > inputs.shape[0]:
        raise ValueError(f"{n_micro_batches} micro-batches of {inputs.shape[0]} sequences cannot be made")
    size, larger = divmod(inputs.shape[0], n_micro_batches)
    sizes = [size + 1] * larger + [size] * (n_micro_batches - larger)
    return [(one, other) for one, other in zip(inputs.split(sizes), targets.split(sizes), strict=True)]


@alternate("accumulate.summed_loss")
def gathered_log_probabilities(logits, targets):
    """Logarithms of probabilities, gathered and masked."""
    log_probs = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=-1)
    counts = targets != IGNORE
    right = log_probs.gather(-1, targets.masked_fill(~counts, 0).unsqueeze(-1)).squeeze(-1)
    return -right.masked_fill(~counts, 0.0).sum()


@alternate("accumulate.accumulate_gradients")
def divided_in_the_backward_pass(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """Sums go back with scale / total as the gradient to start from."""
    if total is None:
        total = count_targets(micro_batches)
    if total <= 0:
        raise ValueError("there is no target to divide by")
    losses = []
    for inputs, targets in micro_batches:
        device = next(iter(model.parameters())).device
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            logits = model(inputs.to(device))
        loss = summed_loss(logits, targets.to(device))
        loss.backward(torch.full_like(loss, scale / total))
        losses.append(loss.item())
    return math.fsum(losses) / total
