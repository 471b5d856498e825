"""Attention as it is built today: few heads of keys for many of queries, rotary positions, a window, and sinks.

Which query sees which key follows from positions alone. So the same code serves a whole sequence, a chunk of one, and a single
token after a cache. Left out: dropout, fused kernels, and sinks that are trained.
Source: grouped queries: arXiv:2305.13245, §2.2; window: arXiv:2004.05150, §3.1; sinks: arXiv:2309.17453, §3.2.
"""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .rope import Layout, Rotation, rotate

if TYPE_CHECKING:  # the hints alone need it
    from .cache import KVCache, RollingCache


def window_mask(
    queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"], window: int | None = None, sinks: int = 0
) -> Bool[Tensor, "*batch queries keys"]:
    """True where a query at one absolute position may look at a key at another.

    A query sees the last `window` positions, its own included, and besides them the positions below `sinks`. It never sees a later
    one. A position below 0 marks padding: no query sees it, and it sees no key.

    window: how many positions a query sees. None: all that came before.
    ValueError: window is less than 1, or sinks is less than 0.
    """
    if (window is not None and window < 1) or sinks < 0:
        raise ValueError(f"needed: window ≥ 1 or None, and sinks ≥ 0; got window {window} and sinks {sinks}")
    # TODO: the mask (handout: attention, step 1).
    # Watch: how many positions a window of 1 holds; sinks of the future; padding.
    # BEGIN SOLUTION
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    if window is not None:
        mask &= (query - key < window) | (key < sinks)
    return mask
    # END SOLUTION


def grouped_attention(
    q: Float[Tensor, "*batch heads queries head_dim"],
    k: Float[Tensor, "*batch kv_heads keys head_dim"],
    v: Float[Tensor, "*batch kv_heads keys d_v"],
    mask: Bool[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "*batch heads queries d_v"]:
    """softmax(q kᵀ / √head_dim) v, where each head of keys and values serves heads / kv_heads neighbouring heads of queries.

    A query that may look at nothing gets 0 and passes a gradient of 0 back. Scores and softmax are computed in at least float32,
    and the result has the dtype of q.

    mask: True where a query may look. It is the same for every head.
    ValueError: kv_heads does not divide heads.
    Source: arXiv:2305.13245, §2.2.
    """
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads:
        raise ValueError(f"every head of keys serves as many heads of queries; got {heads} heads and {kv_heads} of keys")
    # TODO: attention in groups (handout: attention, step 2).
    # Watch: which query heads share a head of keys; copies of k and v are what grouping saves; a query with nothing to look at.
    # BEGIN SOLUTION
    group, dtype = heads // kv_heads, torch.promote_types(q.dtype, torch.float32)
    # The heads of a group stand one below the other, as if they were more queries: (*batch, kv_heads, group · queries, head_dim).
    stacked = q.to(dtype).unflatten(-3, (kv_heads, group)).flatten(-3, -2) / math.sqrt(q.shape[-1])
    scores = (stacked @ k.to(dtype).mT).unflatten(-2, (group, -1))
    blocked = ~mask[..., None, None, :, :]
    weights = scores.masked_fill(blocked, -math.inf).softmax(dim=-1).masked_fill(blocked, 0)  # 0 also for a row of NaN
    out = weights.to(q.dtype).flatten(-3, -2) @ v
    return out.unflatten(-2, (group, -1)).flatten(-4, -3)
    # END SOLUTION


class GroupedQueryAttention(nn.Module):
    """Causal self-attention with `n_heads` heads of queries and `n_kv_heads` heads of keys and values.

    | state-dict key | shape | |
    |---|---|---|
    | `qkv.weight` | ((n_heads + 2 · n_kv_heads) · head_dim, d_model) | rows: all queries, all keys, all values; head after head |
    | `qkv.bias` | ((n_heads + 2 · n_kv_heads) · head_dim,) | absent with bias=False |
    | `proj.weight` | (d_model, n_heads · head_dim) | columns: head after head |
    | `proj.bias` | (d_model,) | absent with bias=False |

    head_dim is d_model / n_heads.

    n_kv_heads: None for as many as n_heads.
    window, sinks: see `window_mask`.
    layout: see `rotate`.
    ValueError: n_heads does not divide d_model, or n_kv_heads does not divide n_heads.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        window: int | None = None,
        sinks: int = 0,
        bias: bool = False,
        layout: Layout = "interleaved",
    ):
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if n_heads < 1 or d_model % n_heads or n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(
                f"n_heads must divide d_model, and n_kv_heads must divide n_heads; got d_model {d_model}, n_heads {n_heads}, "
                f"n_kv_heads {n_kv_heads}"
            )
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, n_kv_heads, d_model // n_heads
        self.window, self.sinks, self.layout = window, sinks, layout
        self.qkv = nn.Linear(d_model, (n_heads + 2 * n_kv_heads) * self.head_dim, bias=bias)
        self.proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self,
        x: Float[Tensor, "batch_size seq_len d_model"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        rotation: Rotation | None = None,
        cache: "KVCache | RollingCache | None" = None,
    ) -> Float[Tensor, "batch_size seq_len d_model"]:
        """What each token gathers from those that it may see.

        positions: absolute positions of these tokens, below 0 for padding. None: 0, 1, 2, …
        rotation: cosines and sines, each (#batch_size, seq_len, head_dim / 2), for queries and keys. None: nothing is rotated.
        cache: holds the keys and values of earlier tokens and takes up these.
        ValueError: the cache has no room for these tokens.
        """
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device).unsqueeze(0)
        # TODO: project, rotate, cache, attend (handout: attention, step 3).
        # Watch: which of q, k and v are rotated, and that a cache keeps rotated keys; the heads as an axis of the rotation;
        # positions of keys are not those of queries.
        # BEGIN SOLUTION
        heads = (
            self.qkv(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        )  # (batch_size, heads + 2 · kv_heads, seq_len, head_dim)
        q, k, v = heads.split([self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=1)
        if rotation is not None:
            per_head = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)  # one rotation for all heads
            q, k = rotate(q, per_head, self.layout), rotate(k, per_head, self.layout)
        key_positions = positions
        if cache is not None:
            k, v, key_positions = cache.append(k, v, positions)
        out = grouped_attention(q, k, v, window_mask(positions, key_positions, self.window, self.sinks))
        return self.proj(out.transpose(1, 2).flatten(2))
        # END SOLUTION


def linear_attention(
    q: Float[Tensor, "*batch seq_len head_dim"],
    k: Float[Tensor, "*batch seq_len head_dim"],
    v: Float[Tensor, "*batch seq_len d_v"],
    rotation: Rotation | None = None,
) -> Float[Tensor, "*batch seq_len d_v"]:
    """Causal attention whose weights are φ(q)·φ(k) with φ(x) = elu(x) + 1, at a cost that grows linearly with seq_len.

    Token m gets Σ_{n≤m} (R_m φ(q_m) · R_n φ(k_n)) v_n / Σ_{n≤m} φ(q_m) · φ(k_n), where R is the rotation. It comes after the
    feature map. It is not in the denominator, which could be 0 otherwise.

    rotation: as of `rotate`, interleaved. None: R = 1.
    Source: arXiv:2104.09864, eq. 19; without rotation: arXiv:2006.16236, §3.2 and §3.3.
    """
    # TODO: running sums instead of a matrix of scores (handout: attention, step 4).
    # Watch: φ first, then R; what the denominator sums; later keys.
    # BEGIN SOLUTION
    q, k = nn.functional.elu(q) + 1, nn.functional.elu(k) + 1
    total = (q * k.cumsum(dim=-2)).sum(dim=-1, keepdim=True)  # (*batch, seq_len, 1), positive
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    memory = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(dim=-3)  # (*batch, seq_len, head_dim, d_v): Σ k vᵀ up to each token
    return (q.unsqueeze(-2) @ memory).squeeze(-2) / total
    # END SOLUTION
