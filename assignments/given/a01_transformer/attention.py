"""Working attention, built from PyTorch's fused functions. Names, shapes, keys and errors are those of the assignment."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def causal_mask(
    n_queries: int, n_keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "queries keys"]:
    """True where a query may look at a key. The queries are the last positions.

    ValueError: there are fewer keys than queries.
    """
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
    """The pair (out, weights). PyTorch's function returns only `out`, but with the identity as values it returns the weights.

    mask: True where a query may look; None lets every query look everywhere.
    ValueError: the shapes do not fit, or the mask is not boolean.
    """
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError(f"shapes do not fit, or the mask is not boolean; got {q.shape}, {k.shape}, {v.shape}")
    identity = torch.eye(k.shape[-2], dtype=v.dtype, device=v.device).expand(*k.shape[:-1], -1)
    return F.scaled_dot_product_attention(q, k, v, mask), F.scaled_dot_product_attention(q, k, identity, mask)


class SingleHeadAttention(nn.Module):
    """Causal self-attention with one head. Its state-dict keys are `query.weight`, `key.weight` and `value.weight`."""

    def __init__(self, d_model: int, head_dim: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(d_model, head_dim, bias=False) for _ in range(3))

    def forward(self, x: Float[Tensor, "*batch seq_len d_model"]) -> Float[Tensor, "*batch seq_len head_dim"]:
        """What each token gathers from itself and the tokens before it."""
        return F.scaled_dot_product_attention(*(part(x) for part in self.children()), is_causal=True)


class MultiHeadAttention(nn.Module):
    """Self-attention with many heads. Its state-dict keys are `qkv.weight`, `qkv.bias`, `proj.weight` and `proj.bias`.

    dropout: probability that a single attention weight is dropped in training.
    ValueError: n_heads does not divide d_model.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model; got d_model {d_model} and n_heads {n_heads}")
        self.n_heads, self.head_dim = n_heads, d_model // n_heads
        self.qkv, self.proj = nn.Linear(d_model, 3 * d_model, bias), nn.Linear(d_model, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "*batch seq_len d_model"],
        mask: Bool[Tensor, "*#batch seq_len seq_len"] | None = None,
        return_weights: bool = False,
    ) -> (
        Float[Tensor, "*batch seq_len d_model"]
        | tuple[Float[Tensor, "*batch seq_len d_model"], Float[Tensor, "*batch n_heads seq_len seq_len"]]
    ):
        """What each token gathers through all heads. With `return_weights` it is the pair (out, weights).

        mask: True where a token may look, the same for every head; None means the causal mask.
        """
        # PyTorch's mask is True where a token may *not* look. It has an entry for each head, and seq_len is the first axis of x.
        shape, seq_len = x.shape, x.shape[-2]
        mask = causal_mask(seq_len, device=x.device) if mask is None else mask
        mask = mask.expand(*shape[:-2], seq_len, seq_len).reshape(-1, seq_len, seq_len).repeat_interleave(self.n_heads, 0)
        masked_out = ~mask.any(-1, keepdim=True)  # a query without keys: PyTorch gives NaN, the assignment asks for 0
        x = x.reshape(-1, seq_len, shape[-1]).transpose(0, 1)

        def attend(hidden: Tensor, dropout: float, weights: bool) -> tuple[Tensor, Tensor | None]:
            return F.multi_head_attention_forward(
                x, x, x, shape[-1], self.n_heads, self.qkv.weight, self.qkv.bias, None, None, False, dropout,
                self.proj.weight, self.proj.bias, dropout > 0, None, weights, hidden, average_attn_weights=False,
            )  # fmt: skip

        out = attend(~mask, self.dropout.p if self.training else 0.0, False)[0].transpose(0, 1).reshape(shape)
        if not return_weights:
            return out
        weights = attend(~(mask | masked_out), 0.0, True)[1]
        return out, (weights * ~masked_out.view(-1, self.n_heads, seq_len, 1)).view(*shape[:-2], self.n_heads, seq_len, seq_len)
