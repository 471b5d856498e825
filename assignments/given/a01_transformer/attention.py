"""Working attention, with torch's fused functions doing the work. Same names, shapes, keys and errors as in a01."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def causal_mask(
    n_queries: int, n_keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "queries keys"]:
    """True where a query may look; the queries are the last positions."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"every query needs a key; got {n_queries} queries and {n_keys} keys")
    return nn.Transformer.generate_square_subsequent_mask(n_keys, device=device)[n_keys - n_queries :] == 0


def scaled_dot_product_attention(
    q: Float[Tensor, "*batch queries d_k"],
    k: Float[Tensor, "*batch keys d_k"],
    v: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch queries keys"] | None = None,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries keys"]]:
    """(out, weights); asked for the identity instead of values, torch's function returns the weights."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError(f"shapes do not fit, or the mask is not boolean; got {q.shape}, {k.shape}, {v.shape}")
    identity = torch.eye(k.shape[-2], dtype=v.dtype, device=v.device).expand(*k.shape[:-1], -1)
    return F.scaled_dot_product_attention(q, k, v, mask), F.scaled_dot_product_attention(q, k, identity, mask)


class SingleHeadAttention(nn.Module):
    """Causal self-attention with one head; keys `query.weight`, `key.weight`, `value.weight`."""

    def __init__(self, d_model: int, head_dim: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(d_model, head_dim, bias=False) for _ in range(3))

    def forward(self, x: Float[Tensor, "*batch time d_model"]) -> Float[Tensor, "*batch time head_dim"]:
        return F.scaled_dot_product_attention(*(part(x) for part in self.children()), is_causal=True)


class MultiHeadAttention(nn.Module):
    """Keys `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model; got d_model {d_model} and n_heads {n_heads}")
        self.n_heads, self.head_dim = n_heads, d_model // n_heads
        self.qkv, self.proj = nn.Linear(d_model, 3 * d_model, bias), nn.Linear(d_model, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "*batch time d_model"],
        mask: Bool[Tensor, "*#batch time time"] | None = None,
        return_weights: bool = False,
    ) -> (
        Float[Tensor, "*batch time d_model"]
        | tuple[Float[Tensor, "*batch time d_model"], Float[Tensor, "*batch heads time time"]]
    ):
        """torch calls a mask True where a token may *not* look, wants one a head, and puts time before batch."""
        shape, time = x.shape, x.shape[-2]
        mask = causal_mask(time, device=x.device) if mask is None else mask
        mask = mask.expand(*shape[:-2], time, time).reshape(-1, time, time).repeat_interleave(self.n_heads, 0)
        blind = ~mask.any(-1, keepdim=True)  # a row that may look at nothing: torch gives NaN, the contract says 0
        x = x.reshape(-1, time, shape[-1]).transpose(0, 1)

        def attend(hidden: Tensor, dropout: float, weights: bool) -> tuple[Tensor, Tensor | None]:
            return F.multi_head_attention_forward(
                x, x, x, shape[-1], self.n_heads, self.qkv.weight, self.qkv.bias, None, None, False, dropout,
                self.proj.weight, self.proj.bias, dropout > 0, None, weights, hidden, average_attn_weights=False,
            )  # fmt: skip

        out = attend(~mask, self.dropout.p if self.training else 0.0, False)[0].transpose(0, 1).reshape(shape)
        if not return_weights:
            return out
        weights = attend(~(mask | blind), 0.0, True)[1]
        return out, (weights * ~blind.view(-1, self.n_heads, time, 1)).view(*shape[:-2], self.n_heads, time, time)
