"""The loss by F.cross_entropy, and two other units for it."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from .data import IGNORE


def next_token_loss(
    logits: Float[Tensor, "*batch seq_len vocab_size"], targets: Int[Tensor, "*batch seq_len"]
) -> Float[Tensor, ""]:
    """Mean of −ln p(target) in nats per token, over all targets that are not IGNORE.

    ValueError: the shapes do not fit, a target is no token, or none is left to count.
    """
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    flat, vocab = targets.flatten().long(), logits.shape[-1]
    if (flat == IGNORE).all() or ((flat != IGNORE) & ((flat < 0) | (flat >= vocab))).any():
        raise ValueError(f"targets must lie in 0 … {vocab - 1} or be {IGNORE}, and some must count")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32)).reshape(-1, vocab)
    return F.cross_entropy(wide, flat, ignore_index=IGNORE)


def perplexity(loss: float) -> float:
    """e^loss, and infinite where float64 ends."""
    with np.errstate(over="ignore"):
        return float(np.exp(loss))


def bits_per_byte(loss: float, n_tokens: int, n_bytes: int) -> float:
    """Bits per byte of a text, when its n_tokens tokens cost `loss` nats each on average.

    ValueError: a count is not positive.
    """
    if min(n_tokens, n_bytes) <= 0:
        raise ValueError(f"counts must be positive; got {n_tokens} tokens, {n_bytes} bytes")
    return float(loss * np.log2(np.e) * (n_tokens / n_bytes))
