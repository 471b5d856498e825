"""Working batches: random windows, windows in order, and one document per row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

IGNORE = -100

Batch = tuple[Int[Tensor, "batch_size seq_len"], Int[Tensor, "batch_size seq_len"]]


def save_tokens(path: Path | str, tokens: Sequence[int], vocab_size: int) -> None:
    """Write tokens as a .npy file of the smallest unsigned type that holds vocab_size tokens.

    ValueError: a token is not in 0 … vocab_size − 1.
    """
    array = np.array(tokens, np.int64)
    if array.size and not 0 <= array.min() <= array.max() < vocab_size:
        raise ValueError(f"tokens must lie in 0 … {vocab_size - 1}; got {array.min()} … {array.max()}")
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.min_scalar_type(vocab_size - 1)))


def open_tokens(path: Path | str) -> np.ndarray:
    """The tokens of a file that `save_tokens` wrote, mapped into memory and read-only.

    ValueError: the file holds anything but unsigned whole numbers on one axis.
    """
    mapped = np.load(path, "r")
    if mapped.ndim != 1 or not np.issubdtype(mapped.dtype, np.unsignedinteger):
        raise ValueError(f"{path} must hold unsigned whole numbers on one axis; got {mapped.dtype}, shape {mapped.shape}")
    return mapped


def _all_windows(data: np.ndarray, size: int) -> np.ndarray:
    """A view of every window of that size; nothing is copied."""
    if len(data) < size or size < 2:
        raise ValueError(f"needed: at least {size} tokens, at least 1 a row; got {len(data)}")
    return np.lib.stride_tricks.sliding_window_view(data, size)


def _require_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"a batch has at least one row; got {batch_size}")


def random_batch(data: Int[np.ndarray, " n_tokens"], batch_size: int, seq_len: int, generator: torch.Generator) -> Batch:
    """Windows of `seq_len` tokens from random positions, and the same windows one token later.

    ValueError: batch_size or seq_len is below 1, or there are fewer than seq_len + 1 tokens.
    """
    _require_batch_size(batch_size)
    windows = _all_windows(data, seq_len + 1)
    chosen = windows[torch.randint(0, windows.shape[0], (batch_size,), generator=generator).numpy()]
    chosen = torch.as_tensor(chosen.astype("int64"))
    return chosen.narrow(1, 0, seq_len), chosen.narrow(1, 1, seq_len)


def batches_in_order(data: Int[np.ndarray, " n_tokens"], batch_size: int, seq_len: int) -> Iterator[Batch]:
    """Windows in order, so that every token but the first is a target once.

    The end is padded with 0 in the inputs and with IGNORE in the targets.
    ValueError: batch_size or seq_len is below 1, or there are fewer than 2 tokens.
    """
    _require_batch_size(batch_size)
    _all_windows(data[:2], 2)
    if seq_len < 1:
        raise ValueError(f"a window has at least one token; got seq_len {seq_len}")

    def chunks(span: np.ndarray, padding: int) -> Tensor:
        span = torch.as_tensor(span.astype("int64"))
        return torch.nn.functional.pad(span, (0, -len(span) % seq_len), value=padding).view(-1, seq_len)

    for first in range(0, len(data) - 1, batch_size * seq_len):
        span = data[first : first + batch_size * seq_len + 1]
        yield chunks(span[:-1], 0), chunks(span[1:], IGNORE)


def document_rows(documents: Sequence[Sequence[int]], bos_token: int) -> Batch:
    """One document per row. The inputs begin with `bos_token`, so that the first token is predicted too.

    Rows are padded with `bos_token` in the inputs and with IGNORE in the targets.
    ValueError: there is no document, or one is empty.
    """
    if not documents or min(map(len, documents)) == 0:
        raise ValueError(f"needed: at least one document, none of them empty; got {len(documents)} documents")
    whole = [torch.tensor([bos_token, *document]) for document in documents]
    return (
        pad_sequence([row[:-1] for row in whole], True, bos_token),
        pad_sequence([row[1:] for row in whole], True, IGNORE),
    )


def random_documents(documents: Sequence[Sequence[int]], batch_size: int, bos_token: int, generator: torch.Generator) -> Batch:
    """`batch_size` documents drawn independently, as `document_rows` gives them.

    ValueError: a document that was drawn is empty.
    """
    return document_rows([documents[i] for i in torch.randint(len(documents), (batch_size,), generator=generator)], bos_token)
