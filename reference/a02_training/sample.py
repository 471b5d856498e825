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
    # BEGIN SOLUTION
    return torch.where(present, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    # END SOLUTION


def keep_top_k(logits: Float[Tensor, "*batch vocab_size"], k: int) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with all but the k largest of each row at −inf; of equal ones the lower tokens stay. All stay if k ≥ vocab_size."""
    # TODO: new logits (handout: sample, step 2).
    # Watch: exactly k stay, also when several are equal.
    # BEGIN SOLUTION
    kept = logits.argsort(dim=-1, descending=True, stable=True)[..., :k]
    return torch.full_like(logits, -math.inf).scatter(-1, kept, logits.gather(-1, kept))
    # END SOLUTION


def keep_top_p(logits: Float[Tensor, "*batch vocab_size"], p: float) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with −inf outside the nucleus: the smallest set of likeliest tokens of each row whose probabilities sum to p or more.

    At least one token stays. Of equal ones the lower tokens come first. p = 1 keeps all, whatever rounding says.
    """
    # TODO: new logits (handout: sample, step 3).
    # Watch: the token that crosses p belongs to the set; p = 1.
    # BEGIN SOLUTION
    if p >= 1:
        return logits.clone()
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    reached_before = ordered.cumsum(-1) - ordered >= p
    outside = torch.zeros_like(reached_before).scatter(-1, tokens, reached_before)
    return logits.masked_fill(outside, -math.inf)
    # END SOLUTION


def next_token_probabilities(
    logits: Float[Tensor, "*batch vocab_size"], sampling: Sampling, present: Bool[Tensor, "*batch vocab_size"] | None = None
) -> Float[Tensor, "*batch vocab_size"]:
    """The probabilities with which the next token is drawn. Each row sums to 1, and tokens that are left out have 0.

    In this order: repetition penalty (present: tokens that stand in the sequence), temperature, top-k, top-p of what is left,
    softmax; in at least float32. A temperature of 1e-8 or less puts all on the largest logit, the lowest token of equal ones.
    """
    # TODO: from logits to probabilities (handout: sample, step 4).
    # Watch: a small temperature sharpens; what is left out is left out before the softmax.
    # BEGIN SOLUTION
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if present is not None:
        logits = penalise_repetition(logits, present, sampling.repetition_penalty)
    if sampling.temperature <= 1e-8:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = logits / sampling.temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    return keep_top_p(logits, sampling.top_p).softmax(-1)
    # END SOLUTION


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
    # BEGIN SOLUTION
    context = context or model.config.n_positions
    device = next(model.parameters()).device
    sequences = [list(prompt) for prompt in prompts]
    active = list(range(len(sequences)))  # rows that have not met the stop token
    with evaluating(model), torch.no_grad():
        for _ in range(max_new_tokens):
            if not active:
                break
            inputs = [torch.tensor(sequences[row][-context:]) for row in active]
            lengths = torch.tensor([len(tokens) for tokens in inputs])
            padded = nn.utils.rnn.pad_sequence(inputs, batch_first=True)
            logits = model(padded.to(device)).cpu()[torch.arange(len(inputs)), lengths - 1]
            present = torch.zeros(logits.shape, dtype=torch.bool)
            for index, row in enumerate(active):
                present[index, torch.tensor(sequences[row])] = True
            probs = next_token_probabilities(logits, sampling, present)
            for row, token in zip(list(active), probs.multinomial(1, generator=generator).flatten().tolist(), strict=True):
                if token == stop_token:
                    active.remove(row)
                else:
                    sequences[row].append(token)
    return [sequence[len(prompt) :] for sequence, prompt in zip(sequences, prompts, strict=True)]
    # END SOLUTION
