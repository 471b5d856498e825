"""These are wrong versions of parts of loss.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch

from tools.author.cases import misconception

from .data import IGNORE


def check_loss(logits, targets):
    """The argument checks of next_token_loss; then what counts, and its log-probabilities with those of padding at 0."""
    counted = targets[targets != IGNORE]
    if (
        logits.shape[:-1] != targets.shape
        or not len(counted)
        or not 0 <= int(counted.min()) <= int(counted.max()) < logits.shape[-1]
    ):
        raise ValueError("targets do not fit")
    return targets != IGNORE


def surprises(logits, targets):
    """−ln p of each target that counts, as the reference has them."""
    real = check_loss(logits, targets)
    rows = logits[real].to(torch.promote_types(logits.dtype, torch.float32))
    return rows.logsumexp(-1) - rows.gather(-1, targets[real].long().unsqueeze(-1)).squeeze(-1)


@misconception("loss.next_token_loss", pitfall=2, ask="By what is the sum divided, when half of the targets are padding?")
def averaged_over_padding(logits, targets):
    """The sum is divided by all positions, padding included, so short rows seem to be learnt better than they are."""
    return surprises(logits, targets).sum() / targets.numel()


@misconception("loss.next_token_loss", pitfall=1, ask="How does the loss change when the batch is twice as large?")
def summed_instead_of_averaged(logits, targets):
    """The loss is a sum and not a mean, so the gradient grows with the batch."""
    return surprises(logits, targets).sum()


@misconception("loss.next_token_loss", pitfall=2, ask="Does a row with one target count as much as one with ten?")
def mean_of_row_means(logits, targets):
    """Each row is averaged by itself, and then the rows: a token of a short row counts for more."""
    real = check_loss(logits, targets)
    if targets.ndim < 2:
        return surprises(logits, targets).mean()
    rows = zip(logits.flatten(0, -3), targets.flatten(0, -2), real.flatten(0, -2), strict=True)
    return torch.stack([surprises(scores, row).mean() for scores, row, counts in rows if counts.any()]).mean()


@misconception("loss.next_token_loss", pitfall=3, ask="What is ∞ · 0?")
def padding_is_multiplied_away(logits, targets):
    """Padding is multiplied by 0 instead of being left out, and NaN or ∞ times 0 is NaN."""
    real = check_loss(logits, targets)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    right = logits.gather(-1, targets.clamp_min(0).long().unsqueeze(-1)).squeeze(-1)
    return ((logits.logsumexp(-1) - right) * real).sum() / real.sum()


@misconception("loss.next_token_loss", pitfall=4, ask="What is exp(10,000) in float32?")
def softmax_then_logarithm(logits, targets):
    """The logarithm is taken of the softmax, where a small probability has become 0."""
    real = check_loss(logits, targets)
    rows = logits[real].to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    return -rows.gather(-1, targets[real].long().unsqueeze(-1)).log().mean()


@misconception("loss.next_token_loss", pitfall=4, ask="How many digits has float16 left at 10,000?")
def loss_in_low_precision(logits, targets):
    """The loss is computed in the dtype of the logits, and in float16 few digits are left."""
    real = check_loss(logits, targets)
    rows = logits[real]
    return (rows.logsumexp(-1) - rows.gather(-1, targets[real].long().unsqueeze(-1)).squeeze(-1)).mean()


@misconception("loss.perplexity", ask="With which base is the loss taken?")
def perplexity_to_the_base_two(loss):
    """The perplexity is 2 to the power of the loss, though the loss is in nats."""
    return 2.0**loss if loss < 1000 else math.inf


@misconception("loss.perplexity", ask="What does math.exp(720) do?")
def perplexity_overflows(loss):
    """A large loss is an error instead of an infinite perplexity."""
    return math.exp(loss)


@misconception("loss.bits_per_byte", ask="How many bits is a nat?")
def nats_per_byte(loss, n_tokens, n_bytes):
    """The result is in nats, not in bits."""
    if n_tokens <= 0 or n_bytes <= 0:
        raise ValueError("counts must be positive")
    return loss * n_tokens / n_bytes


@misconception("loss.bits_per_byte", ask="Do longer tokens make the bits per byte larger or smaller?")
def tokens_and_bytes_exchanged(loss, n_tokens, n_bytes):
    """Tokens and bytes are swapped."""
    if n_tokens <= 0 or n_bytes <= 0:
        raise ValueError("counts must be positive")
    return loss * n_bytes / n_tokens / math.log(2)
