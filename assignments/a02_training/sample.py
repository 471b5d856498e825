"""Text from a model, token by token: how a next token is chosen from its logits, and the loop that writes on.

Prompts of one call may differ in length: rows are padded on the right, and each is read at its own last token, which under a
causal mask knows nothing of the padding. Left out: a cache of keys and values, which a later assignment builds; beam search.
Source: top-k: Fan et al., arXiv:1805.04833, §5; top-p: Holtzman et al., arXiv:1904.09751, §3.1; repetition: Keskar et al.,
CTRL, arXiv:1909.05858, §4.1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .train import evaluating


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; ValueError for settings out of range.

    temperature: logits are divided by it; at 1e-8 or less the likeliest token is taken. top_k: only the k likeliest tokens (None:
    all). top_p: only the smallest set of tokens whose mass reaches p (1: all). repetition_penalty: above 1, tokens that stand in
    the sequence already are made less likely (1: off).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self):
        if not (self.temperature >= 0 and (self.top_k is None or self.top_k >= 1) and 0 < self.top_p <= 1):
            raise ValueError(f"needed: temperature ≥ 0, top_k ≥ 1 or None, top_p in (0, 1]; got {self}")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be above 0; got {self.repetition_penalty}")


def penalise_repetition(
    logits: Float[Tensor, "*batch vocab_size"], present: Bool[Tensor, "*batch vocab_size"], penalty: float
) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with those of present tokens made smaller: divided by the penalty if positive, multiplied if negative."""
    # TODO: new logits (handout: sample, step 1).
    # Watch: dividing a negative number makes it larger.
    raise NotImplementedError("a02_training/sample.py: penalise_repetition() is yours to write (handout: sample, step 1)")


def keep_top_k(logits: Float[Tensor, "*batch vocab_size"], k: int) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with all but the k largest of each row at −inf; of equal ones the lower tokens stay. All stay if k ≥ vocab_size."""
    # TODO: new logits (handout: sample, step 2).
    # Watch: exactly k stay, also when several are equal.
    raise NotImplementedError("a02_training/sample.py: keep_top_k() is yours to write (handout: sample, step 2)")


def keep_top_p(logits: Float[Tensor, "*batch vocab_size"], p: float) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with −inf outside the nucleus: the smallest set of likeliest tokens of each row whose probabilities sum to p or more.

    At least one token stays. Of equal ones the lower tokens come first. p = 1 keeps all, whatever rounding says.
    """
    # TODO: new logits (handout: sample, step 3).
    # Watch: the token that crosses p belongs to the set; p = 1.
    raise NotImplementedError("a02_training/sample.py: keep_top_p() is yours to write (handout: sample, step 3)")


def next_token_probabilities(
    logits: Float[Tensor, "*batch vocab_size"], sampling: Sampling, present: Bool[Tensor, "*batch vocab_size"] | None = None
) -> Float[Tensor, "*batch vocab_size"]:
    """The probabilities with which the next token is drawn. Each row sums to 1, and tokens that are left out have 0.

    In this order: repetition penalty (present: tokens that stand in the sequence), temperature, top-k, top-p of what is left,
    softmax; in at least float32. A temperature of 1e-8 or less puts all on the largest logit, the lowest token of equal ones.
    """
    # TODO: from logits to probabilities (handout: sample, step 4).
    # Watch: a small temperature sharpens; what is left out is left out before the softmax.
    raise NotImplementedError("a02_training/sample.py: next_token_probabilities() is yours to write (handout: sample, step 4)")


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling = Sampling(),
    stop_token: int | None = None,
    context: int | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What the model writes after each prompt: at most max_new_tokens tokens, fewer if it writes stop_token, which is left out.

    model: tokens (batch_size, seq_len) to logits (batch_size, seq_len, vocab_size), causal. It is used in evaluation mode,
        and left in the mode it was in.
    prompts: tokens, at least one each, of any lengths.
    context: the model sees the last so many tokens; default: the model's `config.n_positions`.
    generator: the only source of randomness; default: PyTorch's own.
    At temperature 0, what a row becomes does not depend on the others. ValueError for an empty prompt.
    """
    if not all(len(prompt) for prompt in prompts):
        raise ValueError(f"every prompt needs at least one token to go on from; got lengths {[len(p) for p in prompts]}")
    # TODO: write on until every row is done (handout: sample, step 5).
    # Watch: each row's last token; rows that are done; the device; no gradients, no dropout; the stop token is no part of the answer.
    raise NotImplementedError("a02_training/sample.py: generate() is yours to write (handout: sample, step 5)")
