"""These are other right versions of parts of attention.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .attention import grouped_attention, window_mask
from .rope import rotate


@alternate("attention.window_mask")
def mask_by_distance(queries, keys, window=None, sinks=0):
    """Distances first, and the window as a bound on them."""
    if sinks < 0 or (window is not None and window <= 0):
        raise ValueError(f"no such window or sinks: {window}, {sinks}")
    distance = queries[..., :, None] - keys[..., None, :]
    near = torch.ones_like(distance, dtype=torch.bool) if window is None else distance <= window - 1
    sink = (keys < sinks)[..., None, :]
    return torch.logical_and(torch.logical_and(distance >= 0, keys[..., None, :] > -1), torch.logical_or(near, sink))


@alternate("attention.grouped_attention")
def einsum_with_an_additive_mask(q, k, v, mask):
    """Einsum over groups; the query is scaled beforehand, the mask is added as −∞, and the softmax is written out."""
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(f"{k.shape[-3]} heads of keys do not divide {q.shape[-3]}")
    dtype = torch.promote_types(q.dtype, torch.float32)
    grouped = q.to(dtype).unflatten(-3, (k.shape[-3], -1)) * q.shape[-1] ** -0.5
    scores = torch.einsum("...hgqd,...hkd->...hgqk", grouped, k.to(dtype))
    scores = scores + torch.zeros(mask.shape, dtype=dtype, device=q.device).masked_fill(~mask, -math.inf)[..., None, None, :, :]
    highest = scores.amax(dim=-1, keepdim=True).detach().clamp_min(torch.finfo(dtype).min)
    powers = torch.exp(scores - highest)
    total = powers.sum(dim=-1, keepdim=True)
    weights = (powers / torch.where(total == 0, torch.ones_like(total), total)).to(q.dtype)
    return torch.einsum("...hgqk,...hkv->...hgqv", weights, v).flatten(-4, -3)


@alternate("attention.grouped_attention")
def keys_repeated_for_every_head(q, k, v, mask):
    """Keys and values are repeated for every head of queries, and scores divided before the softmax."""
    heads, kv_heads = q.size(-3), k.size(-3)
    if heads % kv_heads != 0:
        raise ValueError(f"{kv_heads} heads of keys do not divide {heads}")
    k, v = (part.repeat_interleave(heads // kv_heads, dim=-3) for part in (k, v))
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = torch.matmul(q.to(dtype), k.to(dtype).transpose(-1, -2)) / math.sqrt(q.size(-1))
    visible = mask.unsqueeze(-3)
    blind = ~visible.any(dim=-1, keepdim=True)
    weights = torch.where(visible | blind, scores, torch.full_like(scores, -math.inf)).softmax(dim=-1) * ~blind
    return torch.matmul(weights.to(q.dtype), v)


@alternate("attention.GroupedQueryAttention.forward")
def three_slices_of_one_matrix(self, x, positions=None, rotation=None, cache=None):
    """Queries, keys and values from slices of the projection, heads by view and transpose."""
    batch_size, seq_len, _ = x.shape
    if positions is None:
        positions = torch.arange(seq_len, device=x.device)[None]
    widths = [n * self.head_dim for n in (self.n_heads, self.n_kv_heads, self.n_kv_heads)]
    q, k, v = (
        part.reshape(batch_size, seq_len, -1, self.head_dim).transpose(1, 2) for part in torch.split(self.qkv(x), widths, dim=-1)
    )
    if rotation is not None:
        both = rotate(torch.cat([q, k], dim=1), tuple(part[:, None] for part in rotation), self.layout)
        q, k = both[:, : self.n_heads], both[:, self.n_heads :]
    visible = (k, v, positions) if cache is None else cache.append(k, v, positions)
    mask = window_mask(positions, visible[2], window=self.window, sinks=self.sinks)
    out = grouped_attention(q, visible[0], visible[1], mask).permute(0, 2, 1, 3).contiguous()
    return self.proj(out.view(batch_size, seq_len, -1))


@alternate("attention.linear_attention")
def triangle_of_products(q, k, v, rotation=None):
    """The same numbers from a triangle of products, at a cost that grows with the square."""
    q, k = (torch.where(part > 0, part + 1, part.clamp(max=0).exp()) for part in (q, k))
    total = torch.tril(q @ k.mT).sum(dim=-1, keepdim=True)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    return torch.tril(torch.einsum("...qd,...kd->...qk", q, k)) @ v / total
