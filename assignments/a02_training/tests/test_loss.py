"""Checks of loss.py."""

import math

import torch
import torch.nn.functional as F
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import all_of, exactly_zero, matches_reference, part, refusal, same, satisfies

IGNORE = -100


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_loss_is_the_mean_surprise(solution, draw):
    """The loss is the mean of −ln p over all tokens of all rows, and passes its gradient to every logit."""
    logits, targets = draw.normal(2, 5, 7, scale=2).requires_grad_(), draw.integers(0, 7, 2, 5)
    loss = solution.loss.next_token_loss(logits, targets)
    return {"loss": loss, "grad": draw.backward(loss)}


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_padding_does_not_count(solution, draw):
    """The mean is over the tokens that are there, over all rows together; padding gets no gradient."""
    logits, targets = draw.normal(3, 6, 5, scale=2).requires_grad_(), draw.integers(0, 5, 3, 6)
    lengths = torch.tensor([6, 1, 3])
    targets = targets.masked_fill(torch.arange(6) >= lengths[:, None], IGNORE)
    loss = solution.loss.next_token_loss(logits, targets)
    return {"loss": loss, "grad": draw.backward(loss)}


@part("loss.next_token_loss")
@weight(1)
@satisfies(exactly_zero("gradient of padding"))
def test_padding_may_hold_anything(solution, draw):
    """Infinite or NaN logits where nothing is to be predicted change nothing, and their gradient is exactly 0."""
    logits = draw.normal(2, 3, 4)
    logits[0, 2], logits[1, 1:] = math.inf, math.nan
    targets = torch.tensor([[1, 0, IGNORE], [3, IGNORE, IGNORE]])
    logits.requires_grad_()
    loss = solution.loss.next_token_loss(logits, targets)
    (gradient,) = torch.autograd.grad(loss, logits)
    return {"loss": loss, "gradient of padding": gradient[targets == IGNORE], "gradient": gradient[targets != IGNORE]}


@part("loss.next_token_loss")
@weight(1)
@satisfies(same("actual", "torch"))
def test_loss_agrees_with_torch(solution, draw):
    """torch.nn.functional.cross_entropy gives the same."""
    logits, targets = draw.normal(4, 6, scale=3), torch.tensor([2, IGNORE, 5, 0])
    return {"actual": solution.loss.next_token_loss(logits, targets), "torch": F.cross_entropy(logits, targets)}


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_loss_takes_any_shape(solution, draw):
    """No leading axis, two of them, strided logits, int32 targets, a single token, or 20,000: all the same formula."""
    loss = solution.loss.next_token_loss
    return {
        "none": loss(draw.normal(3, 4), draw.integers(0, 4, 3)),
        "two": loss(draw.normal(2, 1, 3, 4), draw.integers(0, 4, 2, 1, 3)),
        "strided": loss(draw.normal(5, 2, 3).mT, draw.integers(0, 2, 3, 5).T.int()),
        "single": loss(draw.normal(1, 1, 9), draw.integers(0, 9, 1, 1)),
        "many": loss(draw.normal(20_000, 2), draw.integers(0, 2, 20_000)),  # a table of 20,000 × 20,000 has 1.6 GB
    }


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_loss_survives_large_logits(solution, draw):
    """Logits of ten thousand give a finite loss, float16 ones too: it is computed in float32; float64 stays float64."""
    targets, loss = draw.integers(0, 5, 2, 4), solution.loss.next_token_loss
    half = draw.normal(2, 4, 5, scale=10_000, dtype=torch.float16)
    return {
        "large": loss(draw.normal(2, 4, 5, scale=10_000), targets),
        "half": loss(half, targets),
        "double": loss(draw.normal(2, 4, 5, dtype=torch.float64), targets),
    }


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_targets_that_do_not_fit_are_refused(solution, draw):
    """Another shape, a target that is no token, or nothing to count is a ValueError."""
    logits, targets, loss = draw.normal(2, 3, 4), draw.integers(0, 4, 2, 3), solution.loss.next_token_loss
    return {
        "shape": refusal(lambda: loss(logits, targets[:, :2])),
        "too large": refusal(lambda: loss(logits, targets + 4)),
        "negative": refusal(lambda: loss(logits, targets - 4)),
        "nothing": refusal(lambda: loss(logits, torch.full_like(targets, IGNORE))),
        "good": loss(logits, targets),
    }


@part("loss.perplexity")
@weight(1)
@satisfies(all_of(same("tokens", "alike")))
def test_perplexity_counts_equal_choices(solution, draw):
    """Among n equally likely tokens the perplexity is n; where float64 ends it is infinite, not an error."""
    losses, count = [0.0, 0.7, draw.uniform(2.0, 9.0).item(), 700.0], int(draw.integers(20, 5000))
    return {
        "tokens": solution.loss.perplexity(math.log(count)),
        "alike": float(count),
        "values": [solution.loss.perplexity(loss) for loss in losses],
        "infinite": [math.isinf(solution.loss.perplexity(loss)) for loss in (720.0, math.inf)],
    }


@part("loss.bits_per_byte")
@weight(1)
@matches_reference
def test_bits_per_byte_compares_tokenizers(solution, draw):
    """The loss of all tokens together, in bits, shared among the bytes; counts of 0 are a ValueError."""
    bits, loss, count = solution.loss.bits_per_byte, draw.uniform(1.0, 4.0).item(), int(draw.integers(50, 500))
    return {
        "bytes": bits(math.log(2), 10, 10),
        "long tokens": bits(loss, count, 420),
        "large": bits(1.5, 10**9, 4 * 10**9),
        "no bytes": refusal(lambda: bits(1.0, 5, 0)),
        "no tokens": refusal(lambda: bits(1.0, 0, 5)),
    }
