"""Writing on with a cache: the prompt is read once, and from then on each new token costs one token.

The tokens are those that a02's loop, which reads the whole text again for each, would write. Prompts of unequal length are padded
on the left, so that all rows write in the same column. Left out: stopping rows early to save time, and speculative decoding.
Source: none for the loop; chunked prefill: Agrawal et al., arXiv:2308.16369, §4.1.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from given.a02_training.sample import Sampling, next_token_probabilities
from given.a02_training.train import evaluating
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:  # the hints alone need them
    from .cache import KVCache, RollingCache
    from .model import Transformer

AS_IT_IS = Sampling()  # draws from the model's own distribution


def pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """Tokens and their positions: every prompt ends in the last column, and counts from 0 at its own first token.

    Padding has the token 0 and the position −1. ValueError for no prompt, or an empty one.
    """
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError(f"every prompt needs at least one token to go on from; got lengths {[len(p) for p in prompts]}")
    # TODO: two tensors of whole numbers (handout: generate, step 1).
    # Watch: on which side the padding stands; a position is a place in the prompt, not a column.
    # BEGIN SOLUTION
    time = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), time, dtype=torch.int64)
    positions = torch.full((len(prompts), time), -1)
    for row, prompt in enumerate(prompts):
        tokens[row, time - len(prompt) :] = torch.tensor(list(prompt))
        positions[row, time - len(prompt) :] = torch.arange(len(prompt))
    return tokens, positions
    # END SOLUTION


def prefill(
    model: "Transformer",
    tokens: Int[Tensor, "batch time"],
    positions: Int[Tensor, "batch time"],
    caches: "Sequence[KVCache | RollingCache]",
    chunk: int | None = None,
) -> Float[Tensor, "batch vocab"]:
    """Read a prompt into the caches; logits of the token that follows its last column.

    chunk: columns to read at a time, which bounds the memory that scores take; None: all at once. The result is the same.
    ValueError if chunk < 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"a chunk has at least one token; got {chunk}")
    # TODO: one forward pass a chunk (handout: generate, step 2).
    # Watch: positions go with their tokens; the last chunk may be short.
    # BEGIN SOLUTION
    for piece, places in zip(
        tokens.split(chunk or tokens.shape[1], 1), positions.split(chunk or tokens.shape[1], 1), strict=True
    ):
        logits = model(piece, places, caches)
    return logits[:, -1]
    # END SOLUTION


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
    """What the model writes after each prompt: at most max_new_tokens tokens, fewer if it writes stop_token, which is left out.

    Arguments and result as of a02's `generate`, and the same tokens. Each step draws once, for the rows that are not done, in
    their order; generator: the only source of chance (default: PyTorch's own). chunk: see `prefill`. rolling: caches of constant
    size, for a model with a window; what it writes stays the same. Without chance (temperature 0) a row does not depend on the
    others. Used in evaluation mode, without gradients; the model is left in the mode it was in. ValueError for an empty prompt.
    """
    # TODO: prefill, then one token at a time (handout: generate, step 3).
    # Watch: each row's own next position; rows that are done; no forward pass behind the last token; the device.
    # BEGIN SOLUTION
    tokens, positions = pad_left(prompts)
    device = next(model.parameters()).device
    present = torch.zeros(len(prompts), model.config.vocab_size, dtype=torch.bool)  # tokens that stand in the text
    for row, prompt in enumerate(prompts):
        present[row, list(prompt)] = True
    answers: list[list[int]] = [[] for _ in prompts]
    writing = list(range(len(prompts)))  # rows that have not met the stop token
    with evaluating(model), torch.no_grad():
        caches = model.new_caches(len(prompts), None if rolling else tokens.shape[1] + max_new_tokens)
        for step in range(max_new_tokens):
            logits = prefill(model, tokens.to(device), positions.to(device), caches, chunk if step == 0 else None).cpu()
            drawn = next_token_probabilities(logits[writing], sampling, present[writing]).multinomial(1, generator=generator)
            tokens, positions = torch.zeros(len(prompts), 1, dtype=torch.int64), positions[:, -1:] + 1
            tokens[writing] = drawn
            for row, token in zip(list(writing), drawn.flatten().tolist(), strict=True):
                if token == stop_token:
                    writing.remove(row)
                else:
                    answers[row].append(token)
                    present[row, token] = True
            if not writing:
                break
    return answers
    # END SOLUTION
