"""These are other right versions of parts of data.py. The tolerances allow for all of these routes."""

import numpy as np
import torch

from tools.author.cases import alternate

from .data import IGNORE


@alternate("data.random_batch")
def windows_by_fancy_indexing(data, batch_size, seq_len, generator):
    """One index matrix; only the rows that it names are read from the file."""
    if batch_size < 1 or seq_len < 1 or len(data) < seq_len + 1:
        raise ValueError("too few tokens, or a size below 1")
    starts = torch.randint(0, len(data) - seq_len, size=(batch_size, 1), generator=generator).numpy()
    positions = starts + np.arange(seq_len + 1)[None]
    windows = torch.as_tensor(np.asarray(data[positions], dtype=np.int64))
    return windows[:, :seq_len].contiguous(), windows[:, 1:].contiguous()


@alternate("data.batches_in_order")
def one_long_padded_table(data, batch_size, seq_len):
    """All targets in one padded table, cut into batches; fit for data that is small."""
    if batch_size < 1 or seq_len < 1 or len(data) < 2:
        raise ValueError("too few tokens, or a size below 1")
    tokens = torch.from_numpy(np.asarray(data).astype(np.int64))
    windows = -(-(len(tokens) - 1) // seq_len)
    inputs = torch.zeros(windows * seq_len, dtype=torch.int64)
    targets = torch.full((windows * seq_len,), IGNORE)
    inputs[: len(tokens) - 1], targets[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    yield from zip(inputs.view(windows, seq_len).split(batch_size), targets.view(windows, seq_len).split(batch_size), strict=True)
