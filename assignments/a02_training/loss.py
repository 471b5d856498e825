"""The loss of a language model: how badly each next token was predicted, on average over the tokens that are there.

Left out: shifting (the batch holds inputs and targets already shifted), label smoothing, and class weights.
Source: Bengio et al. 2003, A Neural Probabilistic Language Model, §2; bits per byte: Gao et al., The Pile, arXiv:2101.00027, §3.1.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .data import IGNORE


def next_token_loss(
    logits: Float[Tensor, "*batch seq_len vocab_size"], targets: Int[Tensor, "*batch seq_len"]
) -> Float[Tensor, ""]:
    """Mean of −ln p(target) in nats per token, over all targets that are not IGNORE; in float32, or float64 for float64.

    Logits where the target is IGNORE have no influence and get the gradient 0, whatever they are. ValueError if the
    shapes do not fit, a target is no token, or none is left to count.
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"targets must have the shape of logits without the vocabulary; got {tuple(targets.shape)} and {tuple(logits.shape)}"
        )
    counted = targets[targets != IGNORE]
    if not len(counted) or counted.min() < 0 or counted.max() >= logits.shape[-1]:
        raise ValueError(
            f"targets must lie in 0 … {logits.shape[-1] - 1} or be IGNORE ({IGNORE}), and some must count; "
            f"got {len(counted)} that count, among them {counted.unique()[:5].tolist()}"
        )
    # TODO: the mean over the tokens that are there (handout: loss, step 1).
    # Watch: what the mean divides by; logits of size 1e4; at least float32; a NaN at a position that does not count.
    raise NotImplementedError("a02_training/loss.py: next_token_loss() is yours to write (handout: loss, step 1)")


def perplexity(loss: float) -> float:
    """e^loss: among how many equally likely tokens a model as good as this one would choose. Infinite where float64 ends."""
    # TODO: one number (handout: loss, step 2).
    # Watch: math.exp raises an error above 709.
    raise NotImplementedError("a02_training/loss.py: perplexity() is yours to write (handout: loss, step 2)")


def bits_per_byte(loss: float, n_tokens: int, n_bytes: int) -> float:
    """Bits that a text of n_bytes costs per byte, when its n_tokens tokens cost `loss` nats each on average.

    Unlike the loss it compares models with different tokenizers. ValueError if a count is not positive.
    """
    if n_tokens <= 0 or n_bytes <= 0:
        raise ValueError(f"counts must be positive; got n_tokens {n_tokens}, n_bytes {n_bytes}")
    # TODO: one number (handout: loss, step 3).
    # Watch: nats are not bits; a token may be several bytes.
    raise NotImplementedError("a02_training/loss.py: bits_per_byte() is yours to write (handout: loss, step 3)")
