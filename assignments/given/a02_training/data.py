"""Working batches: random windows, windows in order, one document per row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

IGNORE = -100

Batch = tuple[Int[Tensor, "rows time"], Int[Tensor, "rows time"]]


def save_tokens(path: Path | str, tokens: Sequence[int], vocab_size: int) -> None:
    """A .npy file of the smallest unsigned type."""
    array = np.array(tokens, np.int64)
    if array.size and not 0 <= array.min() <= array.max() < vocab_size:
        raise ValueError(f"tokens must lie in 0 … {vocab_size - 1}; got {array.min()} … {array.max()}")
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.min_scalar_type(vocab_size - 1)))


def open_tokens(path: Path | str) -> np.ndarray:
    """The file, mapped read-only."""
    mapped = np.load(path, "r")
    if mapped.ndim != 1 or not np.issubdtype(mapped.dtype, np.unsignedinteger):
        raise ValueError(f"{path} must hold unsigned whole numbers on one axis; got {mapped.dtype}, shape {mapped.shape}")
    return mapped


def _all_windows(data: np.ndarray, size: int) -> np.ndarray:
    """A view of every window of that size; nothing is copied."""
    if len(data) < size or size < 2:
        raise ValueError(f"needed: at least {size} tokens, at least 1 a row; got {len(data)}")
    return np.lib.stride_tricks.sliding_window_view(data, size)


def _require_rows(rows: int) -> None:
    if rows < 1:
        raise ValueError(f"a batch has at least one row; got {rows}")


def random_batch(data: Int[np.ndarray, " n_tokens"], rows: int, time: int, generator: torch.Generator) -> Batch:
    """Random windows and the same one token later."""
    _require_rows(rows)
    windows = _all_windows(data, time + 1)
    chosen = windows[torch.randint(0, windows.shape[0], (rows,), generator=generator).numpy()]
    chosen = torch.as_tensor(chosen.astype("int64"))
    return chosen.narrow(1, 0, time), chosen.narrow(1, 1, time)


def batches_in_order(data: Int[np.ndarray, " n_tokens"], rows: int, time: int) -> Iterator[Batch]:
    """Every token but the first is a target once; the end is filled up with 0 and IGNORE."""
    _require_rows(rows)
    _all_windows(data[:2], 2)
    if time < 1:
        raise ValueError(f"a window has at least one token; got time {time}")

    def pieces(span: np.ndarray, filling: int) -> Tensor:
        span = torch.as_tensor(span.astype("int64"))
        return torch.nn.functional.pad(span, (0, -len(span) % time), value=filling).view(-1, time)

    for part in range(0, len(data) - 1, rows * time):
        span = data[part : part + rows * time + 1]
        yield pieces(span[:-1], 0), pieces(span[1:], IGNORE)


def document_rows(documents: Sequence[Sequence[int]], start: int) -> Batch:
    """One document per row, from `start`; filled up with `start` and IGNORE."""
    if not documents or min(map(len, documents)) == 0:
        raise ValueError(f"needed: at least one document, none of them empty; got {len(documents)} documents")
    whole = [torch.tensor([start, *document]) for document in documents]
    return (
        pad_sequence([row[:-1] for row in whole], True, start),
        pad_sequence([row[1:] for row in whole], True, IGNORE),
    )


def random_documents(documents: Sequence[Sequence[int]], rows: int, start: int, generator: torch.Generator) -> Batch:
    """Documents drawn independently."""
    return document_rows([documents[i] for i in torch.randint(len(documents), (rows,), generator=generator)], start)
