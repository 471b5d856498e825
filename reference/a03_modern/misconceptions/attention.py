"""These are wrong versions of parts of attention.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
from torch import nn

from tools.author.cases import misconception

from .attention import grouped_attention, window_mask
from .rope import rotate


def fits_window(window, sinks):
    """The argument check of window_mask."""
    if (window is not None and window < 1) or sinks < 0:
        raise ValueError("no such window")


@misconception("attention.window_mask", pitfall=1, ask="What does a window of 1 see?")
def window_leaves_the_query_out(queries, keys, window=None, sinks=0):
    """A window of W holds W positions besides that of the query, one too many."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & ((query - key <= window) | (key < sinks))


@misconception("attention.window_mask", pitfall=1, ask="What does a window of 1 see?")
def window_is_one_short(queries, keys, window=None, sinks=0):
    """A window of W holds W − 1 positions, one too few."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & ((query - key < window - 1) | (key < sinks))


@misconception("attention.window_mask", pitfall=2, ask="Was position 3 there when position 0 was read?")
def sinks_of_the_future(queries, keys, window=None, sinks=0):
    """Sinks are seen by everybody, also by queries that stand before them."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key <= query) if window is None else (key <= query) & (query - key < window)
    return (key >= 0) & (mask | (key < sinks))


@misconception("attention.window_mask", ask="What does a head look at that has nothing to say?")
def sinks_are_forgotten(queries, keys, window=None, sinks=0):
    """The window hides the sinks too."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & (query - key < window)


@misconception("attention.window_mask", pitfall=3, ask="Is −1 ≤ 5?")
def padding_is_seen(queries, keys, window=None, sinks=0):
    """Padding is seen by everybody: its position −1 is less than all others."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = key <= query
    return mask if window is None else mask & ((query - key < window) | (key < sinks))


@misconception("attention.window_mask", ask="Which positions come after the query?")
def window_looks_both_ways(queries, keys, window=None, sinks=0):
    """The window reaches into the future as far as into the past."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    near = (key <= query) if window is None else ((query - key).abs() < window) | ((key < sinks) & (key <= query))
    return (key >= 0) & (query >= 0) & near


@misconception("attention.window_mask", pitfall=7, ask="Do positions stand in the order of the tensor?")
def columns_for_positions(queries, keys, window=None, sinks=0):
    """The mask is made from indices in the tensor, as if these were the positions."""
    fits_window(window, sinks)
    query = torch.arange(queries.shape[-1])[:, None] + keys.shape[-1] - queries.shape[-1]
    key = torch.arange(keys.shape[-1])[None]
    mask = (key <= query) & (keys >= 0).unsqueeze(-2)
    return mask if window is None else mask & ((query - key < window) | (key < sinks))


def repeated(q, k, v, mask, interleave=True, scale=None, blind=True, narrow=False):
    """Attention with a copy of keys and values for each head of queries."""
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads:
        raise ValueError("heads do not fit")
    group, dtype = heads // kv_heads, q.dtype if narrow else torch.promote_types(q.dtype, torch.float32)
    if interleave:
        k, v = (part.repeat_interleave(group, dim=-3) for part in (k, v))
    else:
        k, v = (torch.cat([part] * group, dim=-3) for part in (k, v))
    scores = q.to(dtype) @ k.to(dtype).mT / (math.sqrt(q.shape[-1]) if scale is None else scale)
    blocked = ~mask.unsqueeze(-3)
    weights = scores.masked_fill(blocked, -math.inf).softmax(dim=-1)
    return (weights.masked_fill(blocked, 0) if blind else weights).to(q.dtype) @ v


@misconception(
    "attention.grouped_attention", pitfall=4, ask="Which head of keys belongs to query head 1, with 4 heads and 2 of keys?"
)
def heads_of_keys_are_tiled(q, k, v, mask):
    """Heads of keys are repeated as 0, 1, 0, 1 where 0, 0, 1, 1 is needed, so that neighbours share nothing."""
    return repeated(q, k, v, mask, interleave=False)


@misconception("attention.grouped_attention", pitfall=5, ask="What is the softmax of nothing but −∞?")
def blind_query_gives_nan(q, k, v, mask):
    """A query that may look at nothing gets NaN."""
    return repeated(q, k, v, mask, blind=False)


@misconception("attention.grouped_attention", pitfall=8, ask="How many products are summed in one score?")
def scale_of_the_model(q, k, v, mask):
    """Scores are divided by the root of the width of all heads together."""
    return repeated(q, k, v, mask, scale=math.sqrt(q.shape[-1] * q.shape[-3]))


@misconception("attention.grouped_attention", pitfall=8, ask="How large is q · k, when head_dim is 64?")
def scores_are_not_scaled(q, k, v, mask):
    """Scores are not scaled."""
    return repeated(q, k, v, mask, scale=1.0)


@misconception("attention.grouped_attention", pitfall=10, ask="What is the largest number that float16 can hold?")
def scores_in_low_precision(q, k, v, mask):
    """Scores are computed in the dtype of the queries, and in float16 they overflow before they are scaled."""
    return repeated(q, k, v, mask, narrow=True)


@misconception("attention.grouped_attention", ask="What is the sum of each row of weights?")
def mask_after_the_softmax(q, k, v, mask):
    """The mask is applied after the softmax, so forbidden keys still take part in the normalisation."""
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads:
        raise ValueError("heads do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    k, v = (part.repeat_interleave(heads // kv_heads, dim=-3) for part in (k, v))
    weights = (q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return weights.masked_fill(~mask.unsqueeze(-3), 0).to(q.dtype) @ v


def heads_of(layer, x):
    """Queries, keys and values of all heads, as the reference has them."""
    heads = layer.qkv(x).unflatten(-1, (-1, layer.head_dim)).transpose(1, 2)
    return heads.split([layer.n_heads, layer.n_kv_heads, layer.n_kv_heads], dim=1)


def positions_of(x, positions):
    """Positions, or 0, 1, 2, … where none are given."""
    return torch.arange(x.shape[1], device=x.device).unsqueeze(0) if positions is None else positions


def rotated(layer, rotation, *parts):
    """Parts after the rotation, one for all heads."""
    if rotation is None:
        return parts
    per_head = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
    return tuple(rotate(part, per_head, layer.layout) for part in parts)


@misconception("attention.GroupedQueryAttention.forward", pitfall=6, ask="Should what a token says depend on where it stands?")
def values_are_rotated_too(self, x, positions=None, rotation=None, cache=None):
    """Values are rotated like queries and keys."""
    positions = there = positions_of(x, positions)
    q, k, v = rotated(self, rotation, *heads_of(self, x))
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception(
    "attention.GroupedQueryAttention.forward", pitfall=6, ask="What does a score of a rotated query and a plain key depend on?"
)
def keys_are_not_rotated(self, x, positions=None, rotation=None, cache=None):
    """Only queries are rotated, so that scores depend on where a query stands and not on the distance."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    (q,) = rotated(self, rotation, q)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", pitfall=6, ask="In which state does the cache expect its keys?")
def keys_are_cached_unrotated(self, x, positions=None, rotation=None, cache=None):
    """Keys go into the cache as they are, and only new ones are ever rotated."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    q, new = rotated(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
        k = torch.cat([k[:, :, : -new.shape[2]], new], dim=2)
    else:
        k = new
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", pitfall=7, ask="Where do the keys stand that come from the cache?")
def keys_counted_from_zero(self, x, positions=None, rotation=None, cache=None):
    """Keys from the cache are taken to stand at 0, 1, 2, … in the order in which they come, whatever their positions."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = rotated(self, rotation, q, k)
    if cache is not None:
        k, v, _ = cache.append(k, v, positions)
        there = torch.arange(k.shape[2], device=x.device).unsqueeze(0)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="What may the third token of a chunk see of the fourth?")
def chunk_without_a_mask(self, x, positions=None, rotation=None, cache=None):
    """With a cache there is no mask, though several tokens at once must not see each other's future."""
    positions = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = rotated(self, rotation, q, k)
    mask = window_mask(positions, positions, self.window, self.sinks)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
        mask = (there >= 0).unsqueeze(-2).expand(-1, x.shape[1], -1)
    return self.proj(grouped_attention(q, k, v, mask).transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="Who reads self.window?")
def window_is_not_used(self, x, positions=None, rotation=None, cache=None):
    """Every token sees everything before it, whatever the window."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = rotated(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="What does the layer know of its layout?")
def layout_is_not_used(self, x, positions=None, rotation=None, cache=None):
    """Neighbours rotate as pairs, whatever the layout of the layer."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    if rotation is not None:
        per_head = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
        q, k = rotate(q, per_head), rotate(k, per_head)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="Which axis is left of the channels when heads are joined?")
def heads_are_joined_by_view_alone(self, x, positions=None, rotation=None, cache=None):
    """The heads are joined by reshaping alone, so that tokens and heads are mixed up."""
    positions = there = positions_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = rotated(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.reshape(x.shape))


def features(x):
    """The feature map."""
    return nn.functional.elu(x) + 1


@misconception("attention.linear_attention", pitfall=9, ask="Does φ of a rotated vector know distances?")
def rotated_before_the_feature_map(q, k, v, rotation=None):
    """The rotation comes first and the feature map after it, so that moving all positions on changes the result."""
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    q, k = features(q), features(k)
    total = (q * k.cumsum(dim=-2)).sum(dim=-1, keepdim=True)
    memory = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(dim=-3)
    return (q.unsqueeze(-2) @ memory).squeeze(-2) / total


@misconception("attention.linear_attention", pitfall=9, ask="Can the sum of rotated products be 0?")
def denominator_is_rotated(q, k, v, rotation=None):
    """The denominator sums rotated products, which may be negative."""
    q, k = features(q), features(k)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    total = (q * k.cumsum(dim=-2)).sum(dim=-1, keepdim=True)
    memory = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(dim=-3)
    return (q.unsqueeze(-2) @ memory).squeeze(-2) / total


@misconception("attention.linear_attention", ask="What does token 0 know about token 1?")
def sums_over_the_whole_text(q, k, v, rotation=None):
    """The sums run over the whole sequence, later tokens included."""
    q, k = features(q), features(k)
    total = (q * k.sum(dim=-2, keepdim=True)).sum(dim=-1, keepdim=True)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    return q @ (k.mT @ v) / total
