"""These are other right versions of parts of loss.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate

from .data import IGNORE


@alternate("loss.next_token_loss")
def loss_by_one_hot_weights(logits, targets):
    """Log-probabilities of all rows, weights 1 and 0; what does not count is set to 0 beforehand, so that no NaN gets through."""
    real = targets != IGNORE
    if logits.shape[:-1] != targets.shape or not real.any():
        raise ValueError("shapes do not fit, or nothing counts")
    if targets[real].amin() < 0 or targets[real].amax() >= logits.shape[-1]:
        raise ValueError("no such token")
    wide = logits if logits.dtype == torch.float64 else logits.float()
    wide = torch.where(real[..., None], wide, torch.zeros_like(wide))
    log_probabilities = wide - wide.logsumexp(-1, keepdim=True)
    picked = log_probabilities.gather(-1, targets.clamp(min=0).long()[..., None])[..., 0]
    return -(picked * real).sum() / real.sum()
