"""Batches of tokens: random windows of a long file, all windows in order, or one document per row.

A batch is a pair (inputs, targets) of int64 tensors (batch_size, seq_len). The target targets[b, t] is the token after
inputs[b, : t + 1]. Where nothing is to be predicted, the target is IGNORE. Left out: shuffling whole epochs, and packing documents.
Source: windows at random positions, as in GPT-2's and GPT-3's training (arXiv:2005.14165, §2.2).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

IGNORE = -100  # a target that does not count; the number that PyTorch uses, too

Batch = tuple[Int[Tensor, "batch_size seq_len"], Int[Tensor, "batch_size seq_len"]]


def save_tokens(path: Path | str, tokens: Sequence[int], vocab_size: int) -> None:
    """Write tokens as a .npy file of one axis, in the smallest of uint8, uint16 and uint32 that holds all vocab_size tokens.

    ValueError if a token is not in 0 … vocab_size − 1, which would come back as another one.
    """
    outside = [token for token in tokens if not 0 <= token < vocab_size]
    if outside:
        raise ValueError(f"tokens must lie in 0 … {vocab_size - 1}; got {sorted(set(outside))[:5]} ({len(outside)} outside)")
    # TODO: choose the type and write the file (handout: data, step 1).
    # Watch: uint8 ends at 255, so 256 tokens just fit; np.save puts .npy behind names without it, unless it gets an open file.
    raise NotImplementedError("a02_training/data.py: save_tokens() is yours to write (handout: data, step 1)")


def open_tokens(path: Path | str) -> np.ndarray:
    """The tokens of a file that `save_tokens` wrote, mapped into memory: what is looked at is read, and nothing else.

    Read-only, in the type of the file, one axis. ValueError if the file holds something else.
    """
    # TODO: map the file (handout: data, step 2).
    # Watch: which modes of np.load read everything at once.
    raise NotImplementedError("a02_training/data.py: open_tokens() is yours to write (handout: data, step 2)")


def random_batch(data: Int[np.ndarray, " n_tokens"], batch_size: int, seq_len: int, generator: torch.Generator) -> Batch:
    """Windows of `seq_len` tokens from random positions, and the same windows one token later.

    Each start is drawn from 0 … n_tokens − seq_len − 1, all equally likely and independent. So every token but the first can be a
    target, and every token but the last an input. ValueError if there are fewer than seq_len + 1 tokens.
    """
    _require(data, batch_size, seq_len)
    # TODO: draw starts, cut windows (handout: data, step 3).
    # Watch: both ends of the range; torch knows no uint16 arithmetic; the file must not be read as a whole.
    raise NotImplementedError("a02_training/data.py: random_batch() is yours to write (handout: data, step 3)")


def batches_in_order(data: Int[np.ndarray, " n_tokens"], batch_size: int, seq_len: int) -> Iterator[Batch]:
    """Windows of `seq_len` tokens, one behind the other, until every token but the first was a target once.

    A batch has `batch_size` windows, the last one perhaps fewer. A window's inputs begin with the last target of the window
    before. The last window may be short: its inputs are padded with 0 and its targets with IGNORE. ValueError if there are
    fewer than 2 tokens, at the latest when the first batch is asked for.
    """
    _require(data, batch_size, seq_len, least=2)
    # TODO: an iterator of batches (handout: data, step 4).
    # Watch: the first token is never a target; none is one twice; only windows that hold a target count.
    raise NotImplementedError("a02_training/data.py: batches_in_order() is yours to write (handout: data, step 4)")


def document_rows(documents: Sequence[Sequence[int]], bos_token: int) -> Batch:
    """One document per row: the inputs are `bos_token` and all of its tokens but the last, the targets all its tokens.

    So the first token is predicted too, from `bos_token` alone. Rows are padded to the longest one: inputs with `bos_token`,
    targets with IGNORE. ValueError if there is no document, or an empty one.
    """
    if not documents or not all(len(document) for document in documents):
        raise ValueError(f"needed: at least one document, none of them empty; got lengths {[len(d) for d in documents]}")
    # TODO: two tensors (handout: data, step 5).
    # Watch: what is padding in the targets is not a token.
    raise NotImplementedError("a02_training/data.py: document_rows() is yours to write (handout: data, step 5)")


def random_documents(documents: Sequence[Sequence[int]], batch_size: int, bos_token: int, generator: torch.Generator) -> Batch:
    """`batch_size` documents drawn independently, as `document_rows` gives them."""
    drawn = torch.randint(len(documents), (batch_size,), generator=generator).tolist()
    return document_rows([documents[index] for index in drawn], bos_token)


def _require(data: np.ndarray, batch_size: int, seq_len: int, least: int | None = None) -> None:
    if batch_size < 1 or seq_len < 1:
        raise ValueError(
            f"a batch has at least one row, and a row at least one token; got batch_size {batch_size}, seq_len {seq_len}"
        )
    if len(data) < (least or seq_len + 1):
        raise ValueError(
            f"needed: at least {least or seq_len + 1} tokens for windows of {seq_len} and their targets; got {len(data)}"
        )
