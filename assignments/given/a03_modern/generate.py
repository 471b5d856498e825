"""Working generation with a KV cache."""

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


def pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch_size seq_len"], Int[Tensor, "batch_size seq_len"]]:
    """Tokens and positions, padded on the left with 0 and −1.

    ValueError: there is no prompt, or one is empty.
    """
    if not prompts or min(map(len, prompts)) == 0:
        raise ValueError("every prompt needs at least one token to go on from, and there has to be one")

    def fill(sequences: list[Tensor], value: int) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(sequences, True, value, padding_side="left")

    return fill([torch.as_tensor(p) for p in prompts], 0), fill([torch.arange(len(p)) for p in prompts], -1)


def prefill(
    model: "Transformer",
    tokens: Int[Tensor, "batch_size seq_len"],
    positions: Int[Tensor, "batch_size seq_len"],
    caches: "Sequence[KVCache | RollingCache]",
    chunk_size: int | None = None,
) -> Float[Tensor, "batch_size vocab_size"]:
    """Read a prompt into the caches. Returns the logits behind its last column.

    chunk_size: columns to read at a time. None: all at once.
    ValueError: chunk_size is less than 1.
    """
    if (chunk_size or 1) < 1 or chunk_size == 0:
        raise ValueError(f"a chunk has at least one token; got chunk_size {chunk_size}")
    size = chunk_size or tokens.size(1)
    for start in range(0, tokens.size(1), size):
        columns = slice(start, start + size)
        out = model(tokens[:, columns], positions=positions[:, columns], caches=caches)
    return out.select(1, -1)


def generate(
    model: "Transformer",
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling = AS_IT_IS,
    stop_token: int | None = None,
    chunk_size: int | None = None,
    rolling: bool = False,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What the model writes after each prompt. Arguments and result are those of a02's `generate`.

    chunk_size: see `prefill`.
    rolling: whether caches have constant size, for a model with a window.
    ValueError: there is no prompt, one is empty, or chunk_size is less than 1.
    """
    tokens, positions = pad_left(prompts)
    device, vocabulary = next(model.parameters()).device, model.config.vocab_size
    present = torch.stack([torch.bincount(torch.tensor(prompt), minlength=vocabulary) for prompt in prompts]) > 0
    written, active = torch.empty(len(prompts), 0, dtype=torch.int64), torch.arange(len(prompts))
    ends = torch.full((len(prompts),), max_new_tokens)
    with evaluating(model), torch.inference_mode():
        caches = model.new_caches(len(prompts), *([] if rolling else [tokens.size(1) + max_new_tokens]))
        while written.size(1) < max_new_tokens and len(active):
            logits = prefill(model, tokens.to(device), positions.to(device), caches, chunk_size).cpu()
            probs = next_token_probabilities(logits[active], sampling, present[active])
            column = torch.zeros_like(tokens[:, -1:])
            column[active] = torch.multinomial(probs, 1, generator=generator)
            done = (column[active, 0] == stop_token) if stop_token is not None else torch.zeros(len(active), dtype=torch.bool)
            ends[active[done]] = written.size(1)
            active = active[~done]
            present[active, column[active, 0]] = True
            written, tokens, positions = torch.cat([written, column], 1), column, positions[:, -1:] + 1
    return [row[:end].tolist() for row, end in zip(written, ends.tolist(), strict=True)]
