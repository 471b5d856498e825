"""These are other right versions of parts of rope.py. The tolerances allow for all of these routes."""

import math

import torch
from torch import nn

from tools.author.cases import alternate

from .rope import frequencies


@alternate("rope.frequencies")
def rates_by_exponential(head_dim, base=10_000.0):
    """Exponentials of a logarithm."""
    if head_dim <= 0 or head_dim % 2 == 1:
        raise ValueError(f"an even width is needed; got {head_dim}")
    return torch.exp(torch.arange(head_dim // 2, dtype=torch.float64) * (-2 * math.log(base) / head_dim))


@alternate("rope.rotate")
def one_complex_product(x, rotation, layout="interleaved"):
    """Each pair is a complex number, and the rotation is one multiplication."""
    if layout not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {layout!r}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = wide.unflatten(-1, (-1, 2)) if layout == "interleaved" else wide.unflatten(-1, (2, -1)).transpose(-1, -2)
    rotation = torch.complex(*(part.to(wide.dtype) for part in rotation))
    out = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * rotation)
    return (out if layout == "interleaved" else out.transpose(-1, -2)).flatten(-2).to(x.dtype)


@alternate("rope.rotate")
def rotate_half_with_doubled_tables(x, rotation, layout="interleaved"):
    """Tables as wide as a head, and x · cos + rotated(x) · sin, as released code has it."""
    if layout not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {layout!r}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if layout == "interleaved":
        cos, sin = (part.repeat_interleave(2, dim=-1) for part in rotation)
        other = torch.stack([-wide[..., 1::2], wide[..., ::2]], dim=-1).reshape(wide.shape)
    else:
        cos, sin = (torch.cat([part, part], dim=-1) for part in rotation)
        middle = x.shape[-1] // 2
        other = torch.cat([-wide[..., middle:], wide[..., :middle]], dim=-1)
    return (wide * cos + other * sin).to(x.dtype)


@alternate("rope.half_order")
def even_channels_then_odd_ones(head_dim):
    """Even channels, then odd ones."""
    if head_dim % 2:
        raise ValueError(f"an even width is needed; got {head_dim}")
    return torch.cat([torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)])


@alternate("rope.reorder_projection")
def by_view_and_transpose(weight, n_heads, to):
    """A view as (heads, pairs, 2) and a transpose, or the other way round."""
    if n_heads < 1 or len(weight) % n_heads:
        raise ValueError(f"{n_heads} heads do not divide {len(weight)} rows")
    if to not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {to!r}")
    pairs = weight.shape[0] // (2 * n_heads)
    shape = (n_heads, pairs, 2) if to == "half" else (n_heads, 2, pairs)
    return weight.reshape(*shape, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


@alternate("rope.RotaryEmbedding")
class ComplexTable(nn.Module):
    """One table of complex numbers that grows by as much as is needed, and by a fixed step."""

    longest_table = 4096

    def __init__(self, head_dim, base=10_000.0, scaling=None):
        super().__init__()
        self.theta, self.magnitude = frequencies(head_dim, base), 1.0
        if scaling is not None:
            self.theta, self.magnitude = scaling.scale(self.theta), scaling.magnitude
        self.table = None

    def compute(self, positions):
        angles = torch.einsum("...t,p->...tp", positions.double().cpu(), self.theta)
        return torch.cos(angles) * self.magnitude, torch.sin(angles) * self.magnitude

    def forward(self, positions, dtype=torch.float32):
        indices, wide = positions.cpu().clamp(min=0), torch.promote_types(dtype, torch.float32)
        last = int(indices.max()) if indices.numel() else 0
        if last >= self.longest_table:
            cos, sin = self.compute(indices)
        else:
            if self.table is None or last >= len(self.table):
                self.table = torch.complex(*self.compute(torch.arange(last + 256)))
            cos, sin = self.table[indices].real, self.table[indices].imag
        return tuple(part.to(wide).to(positions.device) for part in (cos, sin))


@alternate("rope.decay_bound")
def lengths_by_pythagoras(distances, theta):
    """Cosines and sines are summed on their own, and the length is the root of their squares."""
    angles = torch.outer(distances.to(theta.dtype), theta)
    across, up = torch.cumsum(torch.cos(angles), 1), torch.cumsum(torch.sin(angles), 1)
    return torch.sqrt(across * across + up * up).sum(dim=1) / theta.numel()
