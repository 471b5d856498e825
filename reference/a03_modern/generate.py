"""Generation with a KV cache: the prompt is read once, and from then on each new token costs one token.

The tokens are those of a02's loop, which reads the whole sequence again for each. Prompts of unequal length are padded on the
left, so that all sequences continue in the same column. Left out: removing finished sequences to save time, and speculative
decoding.
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


def pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch_size seq_len"], Int[Tensor, "batch_size seq_len"]]:
    """Tokens and their positions. Every prompt ends in the last column, and counts from 0 at its own first token.

    Padding has the token 0 and the position −1.
    ValueError: there is no prompt, or one is empty.
    """
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError(f"every prompt needs at least one token to go on from; got lengths {[len(p) for p in prompts]}")
    # TODO: two tensors of whole numbers (handout: generate, step 1).
    # Watch: on which side the padding stands; a position counts tokens of the prompt, not columns.
    # BEGIN SOLUTION
    seq_len = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), seq_len, dtype=torch.int64)
    positions = torch.full((len(prompts), seq_len), -1)
    for row, prompt in enumerate(prompts):
        tokens[row, seq_len - len(prompt) :] = torch.tensor(list(prompt))
        positions[row, seq_len - len(prompt) :] = torch.arange(len(prompt))
    return tokens, positions
    # END SOLUTION


def prefill(
    model: "Transformer",
    tokens: Int[Tensor, "batch_size seq_len"],
    positions: Int[Tensor, "batch_size seq_len"],
    caches: "Sequence[KVCache | RollingCache]",
    chunk_size: int | None = None,
) -> Float[Tensor, "batch_size vocab_size"]:
    """Read a prompt into the caches. Returns the logits of the token that follows its last column.

    chunk_size: columns to read at a time, which bounds the memory that scores take. None: all at once. The result is the same.
    ValueError: chunk_size is less than 1.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"a chunk has at least one token; got chunk_size {chunk_size}")
    # TODO: one forward pass a chunk (handout: generate, step 2).
    # Watch: positions go with their tokens; the last chunk may be short.
    # BEGIN SOLUTION
    for chunk_tokens, chunk_positions in zip(
        tokens.split(chunk_size or tokens.shape[1], 1), positions.split(chunk_size or tokens.shape[1], 1), strict=True
    ):
        logits = model(chunk_tokens, chunk_positions, caches)
    return logits[:, -1]
    # END SOLUTION


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
    """What the model writes after each prompt: at most max_new_tokens tokens, fewer if it writes stop_token, which is left out.

    Arguments and result are those of a02's `generate`, and the tokens are the same. Each step draws once, for the active sequences,
    in their order. At temperature 0 a sequence does not depend on the others. The model is used in evaluation mode, without
    gradients, and is left in the mode it was in.

    chunk_size: see `prefill`.
    rolling: whether caches have constant size, for a model with a window. The tokens stay the same.
    generator: the only source of randomness. None: PyTorch's own.
    ValueError: there is no prompt, one is empty, or chunk_size is less than 1.
    """
    # TODO: prefill, then one token at a time (handout: generate, step 3).
    # Watch: each sequence's own next position; sequences that are done; no forward pass behind the last token; the device.
    # BEGIN SOLUTION
    tokens, positions = pad_left(prompts)
    device = next(model.parameters()).device
    present = torch.zeros(len(prompts), model.config.vocab_size, dtype=torch.bool)  # tokens that stand in the sequence
    for row, prompt in enumerate(prompts):
        present[row, list(prompt)] = True
    answers: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))  # sequences that have not met the stop token
    with evaluating(model), torch.no_grad():
        caches = model.new_caches(len(prompts), None if rolling else tokens.shape[1] + max_new_tokens)
        for step in range(max_new_tokens):
            logits = prefill(model, tokens.to(device), positions.to(device), caches, chunk_size if step == 0 else None).cpu()
            drawn = next_token_probabilities(logits[active], sampling, present[active]).multinomial(1, generator=generator)
            tokens, positions = torch.zeros(len(prompts), 1, dtype=torch.int64), positions[:, -1:] + 1
            tokens[active] = drawn
            for row, token in zip(list(active), drawn.flatten().tolist(), strict=True):
                if token == stop_token:
                    active.remove(row)
                else:
                    answers[row].append(token)
                    present[row, token] = True
            if not active:
                break
    return answers
    # END SOLUTION
