"""These are other right versions of parts of positions.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate


@alternate("positions.sinusoidal_positions")
def rates_by_exponential(n_positions, d_model, base=10_000.0, dtype=None):
    """The rates are exponentials of a logarithm, and the table is filled slice by slice."""
    if d_model % 2:
        raise ValueError(f"d_model must be even; got {d_model}")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    rates = torch.exp(torch.arange(0, d_model, 2, dtype=wide) * (-math.log(base) / d_model))
    table = torch.empty(n_positions, d_model, dtype=wide)
    table[:, 0::2] = torch.sin(torch.arange(n_positions, dtype=wide).unsqueeze(1) * rates)
    table[:, 1::2] = torch.cos(torch.arange(n_positions, dtype=wide).unsqueeze(1) * rates)
    return table.to(dtype)


@alternate("positions.LearnedPositions.forward")
def rows_by_lookup(self, x, offset=0):
    """The rows are looked up one by one, as those of an embedding are."""
    seq_len = x.shape[-2]
    if offset < 0 or offset + seq_len > self.n_positions:
        raise ValueError(f"the table has no positions {offset} to {offset + seq_len - 1}")
    return self.weight.index_select(0, torch.arange(offset, offset + seq_len, device=x.device)).expand_as(x) + x
