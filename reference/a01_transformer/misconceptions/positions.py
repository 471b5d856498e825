"""These are wrong versions of parts of positions.py, one mistake each. A docstring is the hint that a student reads."""

import torch

from tools.author.cases import misconception


@misconception("positions.sinusoidal_positions", pitfall=1, ask="Which two channels share an angle?")
def sines_first_then_cosines(n_positions, d_model, base=10_000.0, dtype=None):
    """All sines stand in the first half of the channels and all cosines in the second."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(0, d_model, 2, dtype=wide) / d_model)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=2, ask="What is the exponent of the last pair, when d_model is 4?")
def exponent_counts_pairs(n_positions, d_model, base=10_000.0, dtype=None):
    """The exponent grows by 1/d_model from pair to pair, so that the rates end near 1/√base."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(d_model // 2, dtype=wide) / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=2, ask="Do channels 2i and 2i + 1 rotate equally fast?")
def every_channel_has_its_own_rate(n_positions, d_model, base=10_000.0, dtype=None):
    """Each channel has a rate of its own, so that a sine and the cosine beside it rotate at different speeds."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(d_model, dtype=wide) / d_model)
    return torch.stack([angles[:, ::2].sin(), angles[:, 1::2].cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", ask="What should stand in row 0?")
def positions_count_from_one(n_positions, d_model, base=10_000.0, dtype=None):
    """The first row is that of position 1."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    positions = torch.arange(1, n_positions + 1, dtype=wide)
    angles = positions[:, None] * base ** (-torch.arange(0, d_model, 2, dtype=wide) / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=5, ask="What is torch.tensor(257, dtype=torch.bfloat16)?")
def angles_in_low_precision(n_positions, d_model, base=10_000.0, dtype=None):
    """Positions are counted in the dtype of the result, where many of them are the same number."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    even = torch.arange(0, d_model, 2, dtype=dtype)
    angles = torch.arange(n_positions).to(dtype)[:, None] * base ** (-even / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception(
    "positions.LearnedPositions.forward", pitfall=3, ask="What does the second sequence of the batch know about order?"
)
def positions_for_the_first_text_alone(self, x, offset=0):
    """Only the first sequence of a batch gets its positions."""
    seq_len = x.shape[-2]
    if offset < 0 or offset + seq_len > self.n_positions:
        raise ValueError("no such position")
    rows = self.weight[offset : offset + seq_len].expand_as(x)
    first = torch.zeros(x.shape[:-2], device=x.device)
    first[(0,) * first.ndim] = 1
    return x + rows * first[..., None, None].to(x.dtype)


@misconception("positions.LearnedPositions.forward", pitfall=4, ask="At which position does x[..., 0, :] stand?")
def offset_is_ignored(self, x, offset=0):
    """Counting starts at 0 in every call, whatever the offset."""
    seq_len = x.shape[-2]
    if offset < 0 or offset + seq_len > self.n_positions:
        raise ValueError("no such position")
    return x + self.weight[:seq_len]


@misconception("positions.LearnedPositions.forward", ask="What does the caller's x hold afterwards?")
def positions_are_added_in_place(self, x, offset=0):
    """The rows are added to the caller's own tensor."""
    seq_len = x.shape[-2]
    if offset < 0 or offset + seq_len > self.n_positions:
        raise ValueError("no such position")
    x += self.weight[offset : offset + seq_len]
    return x
