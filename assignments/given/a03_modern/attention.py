"""Working grouped-query attention over torch's fused function."""

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
    """True where a query may look."""
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
    """torch knows groups by itself."""
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(f"kv_heads must divide heads; got {q.shape[-3]} heads and {k.shape[-3]} of keys")
    return F.scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3), enable_gqa=True)


class GroupedQueryAttention(nn.Module):
    """Keys `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`."""

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
        x: Float[Tensor, "batch time d_model"],
        positions: Int[Tensor, "#batch time"] | None = None,
        rotation: Rotation | None = None,
        cache: "KVCache | RollingCache | None" = None,
    ) -> Float[Tensor, "batch time d_model"]:
        """What each token gathers."""
        batch, time, _ = x.shape
        where = torch.arange(time, device=x.device)[None] if positions is None else positions
        borders = (self.n_heads * self.head_dim, (self.n_heads + self.n_kv_heads) * self.head_dim)
        parts = [part.view(batch, time, -1, self.head_dim).movedim(1, 2) for part in self.qkv(x).tensor_split(borders, -1)]
        if rotation is not None:
            by_head = tuple(table[:, None] for table in rotation)
            parts[:2] = [rotate(part, by_head, self.layout) for part in parts[:2]]
        *seen, there = (*parts[1:], where) if cache is None else cache.append(*parts[1:], where)
        gathered = grouped_attention(parts[0], *seen, mask=window_mask(where, there, self.window, self.sinks))
        return self.proj(gathered.movedim(1, 2).reshape(x.shape))


def linear_attention(
    q: Float[Tensor, "*batch time head_dim"],
    k: Float[Tensor, "*batch time head_dim"],
    v: Float[Tensor, "*batch time d_v"],
    rotation: Rotation | None = None,
) -> Float[Tensor, "*batch time d_v"]:
    """The same numbers by way of a triangle of scores."""
    features = [1 + F.elu(part) for part in (q, k)]
    turned = features if rotation is None else [rotate(part, rotation) for part in features]
    below, scores = (torch.tril(a.matmul(b.transpose(-1, -2))) for a, b in (features, turned))
    return scores.matmul(v).div(below.sum(-1, True))
