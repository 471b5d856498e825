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
    raise NotImplementedError("a03_modern/generate.py: pad_left() is yours to write (handout: generate, step 1)")


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
    raise NotImplementedError("a03_modern/generate.py: prefill() is yours to write (handout: generate, step 2)")


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
    raise NotImplementedError("a03_modern/generate.py: generate() is yours to write (handout: generate, step 3)")
