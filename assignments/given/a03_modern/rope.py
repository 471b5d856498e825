"""Working rotary embeddings: a pair of channels is a complex number, and its rotation is one multiplication."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .scaling import Scaling

Layout = Literal["interleaved", "half"]
Rotation = tuple[Float[Tensor, "*batch seq_len pairs"], Float[Tensor, "*batch seq_len pairs"]]


def _require_even(head_dim: int) -> None:
    if head_dim % 2 or head_dim < 2:
        raise ValueError(f"head_dim must be even and at least 2; got {head_dim}")


def _require_layout(layout: str) -> None:
    if layout not in ("interleaved", "half"):
        raise ValueError(f'the layout must be "interleaved" or "half"; got {layout!r}')


def frequencies(head_dim: int, base: float = 10_000.0) -> Float[Tensor, " pairs"]:
    """Radians per position of each pair, in float64. ValueError: head_dim is odd or not positive."""
    _require_even(head_dim)
    return torch.logspace(0, 2 / head_dim - 1, head_dim // 2, base, dtype=torch.float64)


def rotate(
    x: Float[Tensor, "*batch seq_len head_dim"], rotation: Rotation, layout: Layout = "interleaved"
) -> Float[Tensor, "*batch seq_len head_dim"]:
    """x with every pair of every token rotated by its angle, in the dtype of x.

    rotation: cosines and sines, from `RotaryEmbedding`.
    layout: which channels form a pair.
    ValueError: the layout is another one.
    """
    _require_layout(layout)
    wide = torch.promote_types(x.dtype, rotation[0].dtype)
    pairs = x.to(wide).unflatten(-1, (-1, 2)) if layout == "interleaved" else x.to(wide).unflatten(-1, (2, -1)).mT
    unit = torch.complex(*(table.to(wide) for table in rotation))
    out = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * unit)
    return (out if layout == "interleaved" else out.mT).flatten(-2).to(x.dtype)


def half_order(head_dim: int) -> Int[Tensor, " head_dim"]:
    """Even channels, then odd ones: where the channels of the half layout stand in the other. ValueError: head_dim is odd."""
    _require_even(head_dim)
    return torch.cat([torch.arange(first, head_dim, 2) for first in (0, 1)])


def reorder_projection(
    weight: Float[Tensor, "channels *d_model"], n_heads: int, to: Layout
) -> Float[Tensor, "channels *d_model"]:
    """The weight or bias of a projection, its rows reordered in every head from the other layout to `to`.

    ValueError: n_heads does not divide the rows, or the layout is another one.
    """
    _require_layout(to)
    if n_heads < 1 or len(weight) % n_heads:
        raise ValueError(f"n_heads must divide the rows; got {n_heads} heads and {len(weight)} rows")
    pairs = len(weight) // n_heads // 2
    heads = weight.unflatten(0, (n_heads, pairs, 2) if to == "half" else (n_heads, 2, pairs))
    return heads.movedim(1, 2).flatten(0, 2)


class RotaryEmbedding(nn.Module):
    """Cosines and sines for any positions. Angles are float64, whatever the model is cast to. Nothing is kept.

    ValueError: head_dim is odd or not positive.
    """

    def __init__(self, head_dim: int, base: float = 10_000.0, scaling: Scaling | None = None):
        super().__init__()
        self.theta, self.magnitude = frequencies(head_dim, base), 1.0
        if scaling is not None:
            self.theta, self.magnitude = scaling.scale(self.theta), scaling.magnitude

    def compute(self, positions: Int[Tensor, "*batch seq_len"]) -> Rotation:
        """Cosines and sines of position · θ_i, times the magnitude, in float64, on the CPU."""
        circle = torch.exp(1j * torch.einsum("...t,p->...tp", positions.cpu().double(), self.theta)) * self.magnitude
        return circle.real, circle.imag

    def forward(self, positions: Int[Tensor, "*batch seq_len"], dtype: torch.dtype = torch.float32) -> Rotation:
        """Cosines and sines of tokens at these positions, in at least float32, on their device."""
        wide = {"dtype": torch.promote_types(dtype, torch.float32), "device": positions.device}
        cos, sin = self.compute(positions)
        return cos.to(**wide), sin.to(**wide)


def decay_bound(distances: Int[Tensor, " n"], theta: Float[Tensor, " pairs"]) -> Float[Tensor, " n"]:
    """How large a score can be at each distance, up to a factor: the mean length of the partial sums."""
    steps = torch.exp(1j * torch.outer(distances.to(theta), theta))
    return torch.cumsum(steps, dim=1).abs().mean(dim=1)
