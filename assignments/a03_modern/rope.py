"""Rotary position embeddings: each channel pair of a query or a key is rotated by an angle that grows with its position.

A score then depends only on the distance of two tokens, though each was rotated by its own absolute position. Nothing is trained
for it. Values are never rotated. Left out: axes beyond one (images), and rotating only some of the channels.
Source: RoFormer, arXiv:2104.09864, §3.2 (the plane), §3.4.2 (all pairs), §3.4.3 (decay).
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .scaling import Scaling

Layout = Literal["interleaved", "half"]  # which channels form pair i: 2i and 2i + 1, or i and i + head_dim / 2
Rotation = tuple[Float[Tensor, "*batch seq_len pairs"], Float[Tensor, "*batch seq_len pairs"]]  # cosines and sines of the angles


def frequencies(head_dim: int, base: float = 10_000.0) -> Float[Tensor, " pairs"]:
    """θ_i = base^(−2i / head_dim), in radians per position, for the pairs i = 0 … head_dim / 2 − 1. The result is float64.

    ValueError: head_dim is odd or not positive.
    Source: arXiv:2104.09864, §3.2.2.
    """
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, because channels are rotated in pairs; got {head_dim}")
    # TODO: one number a pair (handout: rope, step 1).
    # Watch: i counts pairs, not channels; float64.
    raise NotImplementedError("a03_modern/rope.py: frequencies() is yours to write (handout: rope, step 1)")


def rotate(
    x: Float[Tensor, "*batch seq_len head_dim"], rotation: Rotation, layout: Layout = "interleaved"
) -> Float[Tensor, "*batch seq_len head_dim"]:
    """x with pair i of each token, (a, b), rotated by its angle φ: (a cos φ − b sin φ, a sin φ + b cos φ).

    The rotation is computed in at least float32, and the result has the dtype of x.

    rotation: cosines and sines, each (*#batch, seq_len, head_dim / 2), from `RotaryEmbedding`. Leading axes broadcast.
    layout: which channels form a pair, "interleaved" as in the paper or "half" as in most released checkpoints.
    ValueError: the layout is another one.
    Source: arXiv:2104.09864, eq. 34.
    """
    if layout not in ("interleaved", "half"):
        raise ValueError(f'layout must be "interleaved" or "half"; got {layout!r}')
    # TODO: rotate every pair of every token (handout: rope, step 2).
    # Watch: which channels form a pair; the sign; the result keeps the layout that came in.
    raise NotImplementedError("a03_modern/rope.py: rotate() is yours to write (handout: rope, step 2)")


def half_order(head_dim: int) -> Int[Tensor, " head_dim"]:
    """Where the channels of the half-split layout stand in the interleaved one: x_half = x_interleaved[..., half_order(head_dim)].

    The way back is the inverse permutation, `half_order(head_dim).argsort()`.
    ValueError: head_dim is odd.
    """
    if head_dim % 2:
        raise ValueError(f"head_dim must be even, because channels are rotated in pairs; got {head_dim}")
    # TODO: the permutation (handout: rope, step 3).
    # Watch: first the first channel of every pair, then the second of every pair; which way it points.
    raise NotImplementedError("a03_modern/rope.py: half_order() is yours to write (handout: rope, step 3)")


def reorder_projection(
    weight: Float[Tensor, "channels *d_model"], n_heads: int, to: Layout
) -> Float[Tensor, "channels *d_model"]:
    """The weight (or bias) of a query or key projection, its rows reordered in every head from the other layout to `to`.

    With both projections reordered, and with the new layout in `rotate`, all scores stay what they are. This converts checkpoints
    that were published with neighbours as pairs into those that are shared with halves.

    weight: (n_heads · head_dim, d_model) or, for a bias, (n_heads · head_dim,); head after head.
    ValueError: n_heads does not divide the rows, or the layout is another one.
    """
    if n_heads < 1 or weight.shape[0] % n_heads:
        raise ValueError(f"n_heads must divide the rows; got {n_heads} heads and {weight.shape[0]} rows")
    if to not in ("interleaved", "half"):
        raise ValueError(f'the layout to go to must be "interleaved" or "half"; got {to!r}')
    # TODO: the same rows in the order of the other layout (handout: rope, step 4).
    # Watch: each head on its own; the two directions are not the same permutation.
    raise NotImplementedError("a03_modern/rope.py: reorder_projection() is yours to write (handout: rope, step 4)")


class RotaryEmbedding(nn.Module):
    """Cosines and sines for any positions, kept once they are computed. No parameters and nothing in the state dict.

    Angles grow with the position: at 40 000 a float32 is 0.001 off, and bfloat16 cannot count beyond 256. So angles are
    computed in float64, and only their cosines and sines are rounded. The tables are no buffers, which `.to(torch.bfloat16)`
    would round. Positions of `longest_table` and above are computed anew each time, so that a stream without end needs no more
    memory.

    scaling: see `Scaling`. Its magnitude multiplies cosines and sines.
    ValueError: head_dim is odd.
    """

    longest_table = 8192

    def __init__(self, head_dim: int, base: float = 10_000.0, scaling: Scaling | None = None):
        super().__init__()
        theta = frequencies(head_dim, base)
        self.theta, self.magnitude = (theta, 1.0) if scaling is None else (scaling.scale(theta), scaling.magnitude)
        self.cos, self.sin = self.compute(torch.arange(0))  # (length, pairs) each, for the positions 0 … length − 1

    def compute(self, positions: Int[Tensor, "*batch seq_len"]) -> Rotation:
        """Cosines and sines of position · θ_i, times the magnitude, in float64, on the CPU."""
        # TODO: the two tables (handout: rope, step 5).
        # Watch: float64 before the product, not after it.
        raise NotImplementedError("a03_modern/rope.py: RotaryEmbedding.compute() is yours to write (handout: rope, step 5)")

    def forward(self, positions: Int[Tensor, "*batch seq_len"], dtype: torch.dtype = torch.float32) -> Rotation:
        """The rotation of tokens at these absolute positions: cosines and sines, each (*batch, seq_len, head_dim / 2).

        Both are on the device of the positions.

        positions: in any order, from anywhere, and different in each row. A position below 0 marks padding, and what it gets does
            not matter.
        dtype: of the numbers that will be rotated. The result is in at least float32.
        """
        # TODO: look up, or compute and keep (handout: rope, step 6).
        # Watch: a table that is too short; positions that start in the middle; longest_table.
        raise NotImplementedError("a03_modern/rope.py: RotaryEmbedding.forward() is yours to write (handout: rope, step 6)")


def decay_bound(distances: Int[Tensor, " n"], theta: Float[Tensor, " pairs"]) -> Float[Tensor, " n"]:
    """How large a score can be at each distance m, up to a factor that q and k alone decide: the mean over j of |S_j(m)|.

    S_j(m) = Σ_{i<j} (cos m·θ_i, sin m·θ_i) is the sum of the first j unit vectors, each rotated by its angle, for j = 1 … pairs.
    The result has the dtype of theta. It bounds what a score can be, and says nothing about what a trained model makes of it.
    Source: arXiv:2104.09864, §3.4.3 and figure 2.
    """
    # TODO: one number a distance (handout: rope, step 7).
    # Watch: the length of a sum of vectors, not a sum of lengths; the mean runs over partial sums.
    raise NotImplementedError("a03_modern/rope.py: decay_bound() is yours to write (handout: rope, step 7)")
