"""Working grouped-query attention over PyTorch's fused function."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .rope import Layout, Rotation, rotate

if TYPE_CHECKING:
    from .cache import KVCache, RollingCache


def window_mask(
    queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"], window: int | None = None, sinks: int = 0
) -> Bool[Tensor, "*batch queries keys"]:
    """True where a query at one absolute position may look at a key at another.

    window: how many positions a query sees. None: all that came before.
    sinks: positions below it are seen besides the window.
    ValueError: window is less than 1, or sinks is less than 0.
    """
    if sinks < 0 or (window or 1) < 1 or window == 0:
        raise ValueError(f"needed: window ≥ 1 or None, and sinks ≥ 0; got window {window} and sinks {sinks}")
    distance = queries[..., :, None] - keys[..., None, :]
    past = distance.ge(0).logical_and(keys.ge(0)[..., None, :])
    return past if window is None else past.logical_and(distance.lt(window).logical_or(keys.lt(sinks)[..., None, :]))


def grouped_attention(
    q: Float[Tensor, "*batch heads queries head_dim"],
    k: Float[Tensor, "*batch kv_heads keys head_dim"],
    v: Float[Tensor, "*batch kv_heads keys d_v"],
    mask: Bool[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "*batch heads queries d_v"]:
    """Attention where each head of keys and values serves neighbouring heads of queries. PyTorch supports groups itself.

    mask: True where a query may look.
    ValueError: kv_heads does not divide heads.
    """
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(f"kv_heads must divide heads; got {q.shape[-3]} heads and {k.shape[-3]} of keys")
    return F.scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3), enable_gqa=True)


class GroupedQueryAttention(nn.Module):
    """Causal self-attention with fewer heads of keys and values than of queries.

    State-dict keys: `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`.
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
        shared = n_kv_heads if n_kv_heads is not None else n_heads
        if min(n_heads, shared) < 1 or d_model % n_heads or n_heads % shared:
            raise ValueError(f"n_heads must divide d_model, n_kv_heads n_heads; got {d_model}, {n_heads}, {n_kv_heads}")
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, shared, d_model // n_heads
        self.window, self.sinks, self.layout = window, sinks, layout
        self.qkv = nn.Linear(d_model, d_model + 2 * shared * self.head_dim, bias)
        self.proj = nn.Linear(d_model, d_model, bias)

    def forward(
        self,
        x: Float[Tensor, "batch_size seq_len d_model"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        rotation: Rotation | None = None,
        cache: "KVCache | RollingCache | None" = None,
    ) -> Float[Tensor, "batch_size seq_len d_model"]:
        """What each token gathers from those that it may see.

        positions: absolute positions, below 0 for padding. None: 0, 1, 2, …
        rotation: cosines and sines for queries and keys. None: nothing is rotated.
        cache: holds the keys and values of earlier tokens and takes up these.
        ValueError: the cache has no room for these tokens.
        """
        batch_size, seq_len, _ = x.shape
        positions = torch.arange(seq_len, device=x.device)[None] if positions is None else positions
        borders = (self.n_heads * self.head_dim, (self.n_heads + self.n_kv_heads) * self.head_dim)
        projections = self.qkv(x).tensor_split(borders, -1)
        q, k, v = (part.view(batch_size, seq_len, -1, self.head_dim).movedim(1, 2) for part in projections)
        if rotation is not None:
            per_head = tuple(table[:, None] for table in rotation)
            q, k = rotate(q, per_head, self.layout), rotate(k, per_head, self.layout)
        k, v, key_positions = (k, v, positions) if cache is None else cache.append(k, v, positions)
        gathered = grouped_attention(q, k, v, mask=window_mask(positions, key_positions, self.window, self.sinks))
        return self.proj(gathered.movedim(1, 2).reshape(x.shape))


def linear_attention(
    q: Float[Tensor, "*batch seq_len head_dim"],
    k: Float[Tensor, "*batch seq_len head_dim"],
    v: Float[Tensor, "*batch seq_len d_v"],
    rotation: Rotation | None = None,
) -> Float[Tensor, "*batch seq_len d_v"]:
    """Causal attention with the weights φ(q)·φ(k), φ(x) = elu(x) + 1, computed from a triangle of scores.

    rotation: as of `rotate`, interleaved. None: nothing is rotated.
    """
    features = [1 + F.elu(part) for part in (q, k)]
    rotated = features if rotation is None else [rotate(part, rotation) for part in features]
    below, scores = (torch.tril(a.matmul(b.transpose(-1, -2))) for a, b in (features, rotated))
    return scores.matmul(v).div(below.sum(-1, True))
