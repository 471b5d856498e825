"""Working generation with a cache."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from given.a02_training.sample import Sampling, next_token_probabilities
from given.a02_training.train import evaluating

if TYPE_CHECKING:
    from .cache import KVCache, RollingCache
    from .model import Transformer

AS_IT_IS = Sampling()


def pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """Tokens and positions, filled up on the left with 0 and −1."""
    if not prompts or min(map(len, prompts)) == 0:
        raise ValueError("every prompt needs at least one token to go on from, and there has to be one")

    def fill(rows: list[Tensor], value: int) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, True, value, padding_side="left")

    return fill([torch.as_tensor(p) for p in prompts], 0), fill([torch.arange(len(p)) for p in prompts], -1)


def prefill(
    model: "Transformer",
    tokens: Int[Tensor, "batch time"],
    positions: Int[Tensor, "batch time"],
    caches: "Sequence[KVCache | RollingCache]",
    chunk: int | None = None,
) -> Float[Tensor, "batch vocab"]:
    """Logits behind the last column."""
    if (chunk or 1) < 1 or chunk == 0:
        raise ValueError(f"a chunk has at least one token; got {chunk}")
    size = chunk or tokens.size(1)
    for start in range(0, tokens.size(1), size):
        part = slice(start, start + size)
        out = model(tokens[:, part], positions=positions[:, part], caches=caches)
    return out.select(1, -1)


def generate(
    model: "Transformer",
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling = AS_IT_IS,
    stop_token: int | None = None,
    chunk: int | None = None,
    rolling: bool = False,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What the model writes after each prompt."""
    tokens, places = pad_left(prompts)
    device, vocabulary = next(model.parameters()).device, model.config.vocab_size
    there = torch.stack([torch.bincount(torch.tensor(prompt), minlength=vocabulary) for prompt in prompts]) > 0
    text, rows = torch.empty(len(prompts), 0, dtype=torch.int64), torch.arange(len(prompts))
    ends = torch.full((len(prompts),), max_new_tokens)
    with evaluating(model), torch.inference_mode():
        caches = model.new_caches(len(prompts), *([] if rolling else [tokens.size(1) + max_new_tokens]))
        while text.size(1) < max_new_tokens and len(rows):
            scores = prefill(model, tokens.to(device), places.to(device), caches, chunk).cpu()
            chances = next_token_probabilities(scores[rows], sampling, there[rows])
            column = torch.zeros_like(tokens[:, -1:])
            column[rows] = torch.multinomial(chances, 1, generator=generator)
            done = (column[rows, 0] == stop_token) if stop_token is not None else torch.zeros(len(rows), dtype=torch.bool)
            ends[rows[done]] = text.size(1)
            rows = rows[~done]
            there[rows, column[rows, 0]] = True
            text, tokens, places = torch.cat([text, column], 1), column, places[:, -1:] + 1
    return [row[:end].tolist() for row, end in zip(text, ends.tolist(), strict=True)]
