"""Attention: every token asks, every token it may look at answers, and the answers are averaged by how well they fit.

From the bare formula to many heads in one batched operation. A mask is True where a query may look. Left out: caches,
shared key heads and fused kernels, which come with later assignments, and attention to another sequence.
Source: Attention Is All You Need, arXiv:1706.03762, §3.2.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def causal_mask(
    n_queries: int, n_keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "queries keys"]:
    """True where a query may look at a key: at its own position and at all earlier ones.

    n_keys: as many as queries when None. With more keys than queries the queries are the *last* `n_queries` positions,
    as when earlier keys come from a cache. ValueError with fewer keys than queries.
    """
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"every query needs a key at its own position; got {n_queries} queries and {n_keys} keys (swapped?)")
    # TODO: the mask (handout: attention, step 1).
    # Watch: the token itself; the next token; at which position the first query stands when there are more keys.
    # BEGIN SOLUTION
    keys = torch.arange(n_keys, device=device)
    queries = keys[n_keys - n_queries :]
    return keys <= queries[:, None]
    # END SOLUTION


def scaled_dot_product_attention(
    q: Float[Tensor, "*batch queries d_k"],
    k: Float[Tensor, "*batch keys d_k"],
    v: Float[Tensor, "*batch keys d_v"],
    mask: Bool[Tensor, "*#batch queries keys"] | None = None,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries keys"]]:
    """softmax(q kᵀ / √d_k) v and the weights themselves, (out, weights), for any number of leading axes.

    mask: True where a query may look; None lets every query look everywhere. Each row of weights sums to 1. A query
    that may look at nothing gets weights 0 and output 0, not NaN, and passes a gradient of 0 back.
    Scores and softmax are computed in at least float32; both results have the dtype of q. ValueError if the shapes do
    not fit or the mask is not boolean.  Source: arXiv:1706.03762, eq. 1.
    """
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries and keys need the same width to be compared; got {q.shape[-1]} and {k.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"every key needs one value; got {k.shape[-2]} keys and {v.shape[-2]} values")
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean, True where a query may look; got {mask.dtype} (use mask.bool())")
    # TODO: weights and output (handout: attention, step 2).
    # Watch: the scale; over which axis a row sums to 1; when the mask acts; a row with nothing to look at.
    # BEGIN SOLUTION
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)  # 0 already, but for the NaN of a row that is −inf throughout
    weights = weights.to(q.dtype)
    return weights @ v, weights
    # END SOLUTION


class SingleHeadAttention(nn.Module):
    """Causal self-attention with one head, the smallest thing that deserves the name.

    | state-dict key | shape |
    |---|---|
    | `query.weight`, `key.weight`, `value.weight` | (head_dim, d_model) |
    """

    def __init__(self, d_model: int, head_dim: int):
        super().__init__()
        self.query = nn.Linear(d_model, head_dim, bias=False)
        self.key = nn.Linear(d_model, head_dim, bias=False)
        self.value = nn.Linear(d_model, head_dim, bias=False)

    def forward(self, x: Float[Tensor, "*batch seq_len d_model"]) -> Float[Tensor, "*batch seq_len head_dim"]:
        """What each token gathers from itself and the tokens before it."""
        # TODO: project, attend, return the output alone (handout: attention, step 3).
        # Watch: the functions above do the work; no token may see a later one.
        # BEGIN SOLUTION
        mask = causal_mask(x.shape[-2], device=x.device)
        out, _ = scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)
        return out
        # END SOLUTION


class MultiHeadAttention(nn.Module):
    """Self-attention with `n_heads` heads of d_model / n_heads channels each, all in one batched operation.

    | state-dict key | shape | |
    |---|---|---|
    | `qkv.weight` | (3 · d_model, d_model) | rows: all queries, all keys, all values; within each, head after head |
    | `qkv.bias` | (3 · d_model,) | absent with bias=False |
    | `proj.weight` | (d_model, d_model) | columns: head after head |
    | `proj.bias` | (d_model,) | absent with bias=False |

    dropout: probability that a single attention weight is dropped in training. ValueError if the heads do not divide
    d_model.  Source: arXiv:1706.03762, §3.2.2.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(
                f"d_model is shared out evenly among the heads, so n_heads must divide it; got d_model {d_model} and "
                f"n_heads {n_heads}"
            )
        self.n_heads = n_heads
        self.head_dim = d_model // n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.proj = nn.Linear(d_model, d_model, bias=bias)
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
        """What each token gathers through all heads; with `return_weights` the pair (out, weights).

        mask: True where a token may look, the same for every head; it takes the place of the causal mask, which is
        used when None. The weights returned are those before dropout, so that their rows sum to 1.
        """
        # TODO: all heads at once, without a loop over them (handout: attention, step 4).
        # Watch: which channels belong to which head; heads are an axis like batch; a batched mask has no head axis yet;
        # dropout acts on the weights, in training alone.
        # BEGIN SOLUTION
        if mask is None:
            mask = causal_mask(x.shape[-2], device=x.device)
        heads = self.qkv(x).unflatten(-1, (3, self.n_heads, self.head_dim))
        q, k, v = heads.transpose(-4, -2).unbind(-3)  # each (*batch, n_heads, seq_len, head_dim)
        out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
        if self.training and self.dropout.p > 0:
            out = self.dropout(weights) @ v
        out = self.proj(out.transpose(-3, -2).flatten(-2))
        return (out, weights) if return_weights else out
        # END SOLUTION
