"""Working sampling, built from sort, softmax and multinomial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .train import evaluating


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. The fields are explained in the assignment.

    ValueError: temperature is negative, top_k is below 1, top_p is not in (0, 1], or repetition_penalty is not above 0.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self):
        if self.temperature < 0 or (self.top_k is not None and self.top_k < 1) or not 0 < self.top_p <= 1:
            raise ValueError(f"needed: temperature ≥ 0, top_k ≥ 1 or None, top_p in (0, 1]; got {self}")
        if self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty must be above 0; got {self.repetition_penalty}")


def penalise_repetition(
    logits: Float[Tensor, "*batch vocab_size"], present: Bool[Tensor, "*batch vocab_size"], penalty: float
) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with those of present tokens made smaller, by the penalty."""
    factor = torch.sign(logits).mul(-math.log(penalty)).exp()
    return logits * factor.masked_fill(~present, 1)


def keep_top_k(logits: Float[Tensor, "*batch vocab_size"], k: int) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with all but the k largest of each row at −inf. Of equal ones the lower tokens stay."""
    rank = logits.sort(stable=True, dim=-1, descending=True).indices.argsort(-1)
    return logits.masked_fill(rank >= k, -math.inf)


def keep_top_p(logits: Float[Tensor, "*batch vocab_size"], p: float) -> Float[Tensor, "*batch vocab_size"]:
    """Logits with −inf outside the nucleus: the smallest set of likeliest tokens whose probabilities sum to p or more."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    ordered = wide.sort(stable=True, dim=-1, descending=True)
    mass = ordered.values.softmax(-1).cumsum(-1)
    size = (mass < p).sum(-1, keepdim=True) + 1 if p < 1 else logits.shape[-1]
    return logits.masked_fill(ordered.indices.argsort(-1) >= size, -math.inf)


def next_token_probabilities(
    logits: Float[Tensor, "*batch vocab_size"], sampling: Sampling, present: Bool[Tensor, "*batch vocab_size"] | None = None
) -> Float[Tensor, "*batch vocab_size"]:
    """The probabilities with which the next token is drawn.

    They are worked out in this order: penalty, temperature, top-k, top-p, softmax. At temperature 1e-8 or less, all the
    probability is on the largest logit.
    present: tokens that stand in the sequence.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    x = x if present is None else penalise_repetition(x, present, sampling.repetition_penalty)
    if sampling.temperature <= 1e-8:
        return nn.functional.one_hot(x.argmax(-1), x.shape[-1]).to(x.dtype)
    x = keep_top_k(x / sampling.temperature, sampling.top_k or x.shape[-1])
    return torch.softmax(keep_top_p(x, sampling.top_p), -1)


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling = Sampling(),
    stop_token: int | None = None,
    context: int | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What the model writes after each prompt. Rows of equal length are computed together.

    context: the model sees the last so many tokens; default: the model's `config.n_positions`.
    generator: the only source of randomness; default: PyTorch's own.
    ValueError: a prompt is empty.
    """
    if any(len(p) == 0 for p in prompts):
        raise ValueError("every prompt needs at least one token to go on from")
    context = context or model.config.n_positions
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows, device = set(range(len(prompts))), next(model.parameters()).device
    with evaluating(model), torch.inference_mode():
        for _ in range(max_new_tokens):
            by_length: dict[int, list[int]] = {}
            for row in sorted(open_rows):
                by_length.setdefault(min(context, len(prompts[row]) + len(answers[row])), []).append(row)
            for length, rows in by_length.items():
                sequences = [[*prompts[row], *answers[row]] for row in rows]
                x = model(torch.tensor([sequence[-length:] for sequence in sequences], device=device))[:, -1].cpu()
                present = torch.stack(
                    [torch.bincount(torch.tensor(sequence), minlength=x.shape[-1]) > 0 for sequence in sequences]
                )
                for row, token in zip(
                    rows, next_token_probabilities(x, sampling, present).multinomial(1, generator=generator), strict=True
                ):
                    open_rows.discard(row) if token == stop_token else answers[row].append(int(token))
    return answers
