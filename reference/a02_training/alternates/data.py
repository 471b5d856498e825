"""These are other right versions of parts of data.py. The tolerances allow for all of these routes."""

import numpy as np
import torch

from tools.author.cases import alternate

from .data import IGNORE


@alternate("data.random_batch")
def windows_by_fancy_indexing(data, rows, time, generator):
    """One index matrix; only the rows that it names are read from the file."""
    if rows < 1 or time < 1 or len(data) < time + 1:
        raise ValueError("too few tokens, rows or time")
    starts = torch.randint(0, len(data) - time, size=(rows, 1), generator=generator).numpy()
    places = starts + np.arange(time + 1)[None]
    windows = torch.as_tensor(np.asarray(data[places], dtype=np.int64))
    return windows[:, :time].contiguous(), windows[:, 1:].contiguous()


@alternate("data.batches_in_order")
def one_long_padded_table(data, rows, time):
    """All targets in one padded table, cut into batches; fit for texts that are small."""
    if rows < 1 or time < 1 or len(data) < 2:
        raise ValueError("too few tokens, rows or time")
    tokens = torch.from_numpy(np.asarray(data).astype(np.int64))
    windows = -(-(len(tokens) - 1) // time)
    inputs = torch.zeros(windows * time, dtype=torch.int64)
    targets = torch.full((windows * time,), IGNORE)
    inputs[: len(tokens) - 1], targets[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    yield from zip(inputs.view(windows, time).split(rows), targets.view(windows, time).split(rows), strict=True)
