"""These are other right versions of parts of attention.py. The tolerances allow for all of these routes."""

import math

import torch
from torch import nn

from tools.author.cases import alternate

from .attention import causal_mask, scaled_dot_product_attention


@alternate("attention.causal_mask")
def mask_by_tril(n_queries, n_keys=None, device=None):
    """Ones below a shifted diagonal."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"more queries than keys: {n_queries} and {n_keys}")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


@alternate("attention.scaled_dot_product_attention")
def einsum_with_an_additive_mask(q, k, v, mask=None):
    """Einsum; the query is scaled beforehand, the mask is added as −∞, and the softmax is written out."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("inputs do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = torch.einsum("...qd,...kd->...qk", q.to(dtype) * q.shape[-1] ** -0.5, k.to(dtype))
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=dtype, device=q.device).masked_fill(~mask, -math.inf)
    highest = scores.amax(dim=-1, keepdim=True).detach().clamp_min(torch.finfo(dtype).min)
    powers = torch.exp(scores - highest)
    total = powers.sum(dim=-1, keepdim=True)
    weights = (powers / torch.where(total == 0, torch.ones_like(total), total)).to(q.dtype)
    return torch.einsum("...qk,...kv->...qv", weights, v), weights


@alternate("attention.scaled_dot_product_attention")
def softmax_from_logsumexp(q, k, v, mask=None):
    """Queries and keys each take half of the scale; weights are the exponential of score minus logsumexp."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("inputs do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    root = q.shape[-1] ** 0.25
    scores = torch.matmul(q.to(dtype) / root, (k.to(dtype) / root).transpose(-1, -2))
    if mask is not None:
        blind = ~mask.any(dim=-1, keepdim=True)
        scores = torch.where(mask | blind, scores, torch.full_like(scores, -math.inf))
    weights = torch.exp(scores - scores.logsumexp(dim=-1, keepdim=True))
    if mask is not None:
        weights = weights * ~blind
    return torch.matmul(weights, v.to(dtype)).to(q.dtype), weights.to(q.dtype)


@alternate("attention.SingleHeadAttention.forward")
def one_matrix_for_three(self, x):
    """The three projections are one product with the matrices on top of each other."""
    q, k, v = torch.split(
        x @ torch.cat([self.query.weight, self.key.weight, self.value.weight]).mT, self.query.out_features, dim=-1
    )
    seq_len = x.shape[-2]
    return scaled_dot_product_attention(q, k, v, causal_mask(seq_len, seq_len, x.device))[0]


@alternate("attention.MultiHeadAttention.forward")
def thirds_by_chunk(self, x, mask=None, return_weights=False):
    """Thirds by chunk, heads by view and transpose, contiguous copies, and dropout on the weights whatever the mode."""
    seq_len, shape = x.shape[-2], (*x.shape[:-1], self.n_heads, self.head_dim)
    q, k, v = (third.reshape(shape).transpose(-2, -3).contiguous() for third in self.qkv(x).chunk(3, dim=-1))
    mask = causal_mask(seq_len, device=x.device) if mask is None else mask
    _, weights = scaled_dot_product_attention(q, k, v, mask[..., None, :, :])
    out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-2, -3).reshape(x.shape))
    return (out, weights) if return_weights else out


@alternate("attention.MultiHeadAttention")
class ThreeSlicesOfOneMatrix(nn.Module):
    """Queries, keys and values come from three slices of the matrix, and the heads by einsum."""

    def __init__(self, d_model, n_heads, dropout=0.0, bias=True):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"{n_heads} heads do not divide {d_model} channels")
        self.n_heads, self.p = n_heads, dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias)
        self.proj = nn.Linear(d_model, d_model, bias)

    def forward(self, x, mask=None, return_weights=False):
        *_, seq_len, d = x.shape
        thirds = []
        for i in range(3):
            third = x @ self.qkv.weight[i * d : (i + 1) * d].T
            if self.qkv.bias is not None:
                third = third + self.qkv.bias[i * d : (i + 1) * d]
            thirds.append(third.reshape(*x.shape[:-1], self.n_heads, d // self.n_heads))
        q, k, v = thirds
        mask = causal_mask(seq_len, device=x.device) if mask is None else mask
        heads = [q.movedim(-2, -3), k.movedim(-2, -3), v.movedim(-2, -3)]
        _, weights = scaled_dot_product_attention(*heads, mask.unsqueeze(-3))
        kept = nn.functional.dropout(weights, self.p, self.training)
        out = self.proj(torch.einsum("...hqk,...khd->...qhd", kept, v).reshape(x.shape))
        return (out, weights) if return_weights else out
