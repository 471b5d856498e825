"""Wrong versions of parts of this assignment, one mistake each; the docstring is the hint that a student reads.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tools.author.cases import misconception

from .attention import MultiHeadAttention, causal_mask, scaled_dot_product_attention
from .block import Block
from .layers import MLP, LayerNorm, gelu, gelu_tanh

# positions


@misconception("positions.sinusoidal_positions", pitfall=1, ask="Which two channels share an angle?")
def sines_first_then_cosines(n_positions, d_model, base=10_000.0, dtype=None):
    """All sines stand in the first half of the channels and all cosines in the second."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(0, d_model, 2, dtype=wide) / d_model)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=2, ask="What is the exponent of the last pair, when d_model is 4?")
def exponent_counts_pairs(n_positions, d_model, base=10_000.0, dtype=None):
    """The exponent grows by 1/d_model from pair to pair, so that the rates end near 1/√base."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(d_model // 2, dtype=wide) / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=2, ask="Do channels 2i and 2i + 1 turn equally fast?")
def every_channel_has_its_own_rate(n_positions, d_model, base=10_000.0, dtype=None):
    """Each channel has a rate of its own, so that a sine and the cosine beside it turn at different speeds."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    angles = torch.arange(n_positions, dtype=wide)[:, None] * base ** (-torch.arange(d_model, dtype=wide) / d_model)
    return torch.stack([angles[:, ::2].sin(), angles[:, 1::2].cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", ask="What should stand in row 0?")
def positions_count_from_one(n_positions, d_model, base=10_000.0, dtype=None):
    """The first row is that of position 1."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    positions = torch.arange(1, n_positions + 1, dtype=wide)
    angles = positions[:, None] * base ** (-torch.arange(0, d_model, 2, dtype=wide) / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.sinusoidal_positions", pitfall=5, ask="What is torch.tensor(257, dtype=torch.bfloat16)?")
def angles_in_low_precision(n_positions, d_model, base=10_000.0, dtype=None):
    """Positions are counted in the dtype of the result, where many of them are the same number."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    even = torch.arange(0, d_model, 2, dtype=dtype)
    angles = torch.arange(n_positions).to(dtype)[:, None] * base ** (-even / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


@misconception("positions.LearnedPositions.forward", pitfall=3, ask="What does the second text of the batch know about order?")
def positions_for_the_first_text_alone(self, x, offset=0):
    """Only the first text of a batch gets its positions."""
    time = x.shape[-2]
    if offset < 0 or offset + time > self.n_positions:
        raise ValueError("no such position")
    rows = self.weight[offset : offset + time].expand_as(x)
    first = torch.zeros(x.shape[:-2], device=x.device)
    first[(0,) * first.ndim] = 1
    return x + rows * first[..., None, None].to(x.dtype)


@misconception("positions.LearnedPositions.forward", pitfall=4, ask="At which position does x[..., 0, :] stand?")
def offset_is_ignored(self, x, offset=0):
    """Counting starts at 0 in every call, whatever the offset."""
    time = x.shape[-2]
    if offset < 0 or offset + time > self.n_positions:
        raise ValueError("no such position")
    return x + self.weight[:time]


@misconception("positions.LearnedPositions.forward", ask="What does the caller's x hold afterwards?")
def positions_are_added_in_place(self, x, offset=0):
    """The rows are added to the caller's own tensor."""
    time = x.shape[-2]
    if offset < 0 or offset + time > self.n_positions:
        raise ValueError("no such position")
    x += self.weight[offset : offset + time]
    return x


# attention


@misconception("attention.causal_mask", pitfall=4, ask="Which tokens may token 0 look at?")
def mask_lets_a_token_see_the_next(n_queries, n_keys=None, device=None):
    """Every token sees one token too many: the one that comes next."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError("more queries than keys")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries + 1)


@misconception("attention.causal_mask", pitfall=4, ask="Which tokens may token 0 look at?")
def token_does_not_see_itself(n_queries, n_keys=None, device=None):
    """A token sees those before it, and not itself; the first sees nothing."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError("more queries than keys")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries - 1)


@misconception("attention.causal_mask", pitfall=6, ask="Whose keys are in the cache: those before the queries, or after?")
def queries_are_the_first_positions(n_queries, n_keys=None, device=None):
    """With more keys than queries, the queries are taken for the first positions."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError("more queries than keys")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril()


@misconception("attention.causal_mask", pitfall=10, ask="What does True say here?")
def mask_is_true_where_forbidden(n_queries, n_keys=None, device=None):
    """The mask is True where a query may not look."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError("more queries than keys")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).triu(n_keys - n_queries + 1)


def check_attention(q, k, v, mask):
    """The argument checks of scaled_dot_product_attention, which every version keeps."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("inputs do not fit")
    return torch.promote_types(q.dtype, torch.float32)


@misconception("attention.scaled_dot_product_attention", pitfall=1, ask="What is the sum of each row of weights?")
def mask_after_softmax(q, k, v, mask=None):
    """The mask is applied after the softmax, so forbidden keys still take part in the normalisation."""
    dtype = check_attention(q, k, v, mask)
    weights = (q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights.to(q.dtype) @ v, weights.to(q.dtype)


def attend(scores, v, mask, dtype, dim=-1):
    """Softmax and average of given scores, as the reference has them."""
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=dim)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights.to(dtype) @ v, weights.to(dtype)


@misconception("attention.scaled_dot_product_attention", pitfall=2, ask="How large is q · k, when d_k is 64?")
def scores_are_not_scaled(q, k, v, mask=None):
    """The scores are not scaled, so they grow with the width of a head and the softmax saturates."""
    dtype = check_attention(q, k, v, mask)
    return attend(q.to(dtype) @ k.to(dtype).mT, v, mask, q.dtype)


@misconception("attention.scaled_dot_product_attention", pitfall=2, ask="Should wider heads have larger or smaller scores?")
def scores_are_multiplied_by_the_root(q, k, v, mask=None):
    """The scores are multiplied by √d_k."""
    dtype = check_attention(q, k, v, mask)
    return attend(q.to(dtype) @ k.to(dtype).mT * math.sqrt(q.shape[-1]), v, mask, q.dtype)


@misconception("attention.scaled_dot_product_attention", pitfall=2, ask="How does the deviation of a sum of d_k products grow?")
def scores_are_divided_by_the_width(q, k, v, mask=None):
    """The scores are divided by d_k itself."""
    dtype = check_attention(q, k, v, mask)
    return attend(q.to(dtype) @ k.to(dtype).mT / q.shape[-1], v, mask, q.dtype)


@misconception("attention.scaled_dot_product_attention", pitfall=3, ask="Which sums are 1: those of rows or of columns?")
def softmax_over_the_queries(q, k, v, mask=None):
    """The softmax runs over the queries, so it is each column of weights that sums to 1."""
    dtype = check_attention(q, k, v, mask)
    return attend(q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1]), v, mask, q.dtype, dim=-2)


@misconception("attention.scaled_dot_product_attention", pitfall=7, ask="What is the softmax of nothing but −∞?")
def blind_query_gives_nan(q, k, v, mask=None):
    """A query that may look at nothing gets NaN."""
    dtype = check_attention(q, k, v, mask)
    scores = q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1).to(q.dtype)
    return weights @ v, weights


@misconception("attention.scaled_dot_product_attention", pitfall=7, ask="What does a row look like that is −10⁹ throughout?")
def blind_query_averages_everything(q, k, v, mask=None):
    """Forbidden scores are very low instead of −∞, so a query that may look at nothing looks everywhere."""
    dtype = check_attention(q, k, v, mask)
    scores = q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = scores.softmax(dim=-1).to(q.dtype)
    return weights @ v, weights


@misconception("attention.scaled_dot_product_attention", pitfall=10, ask="What does True say here?")
def mask_forbids_where_true(q, k, v, mask=None):
    """The mask is read the other way round: keys are forbidden where it is True."""
    dtype = check_attention(q, k, v, mask)
    return attend(q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1]), v, None if mask is None else ~mask, q.dtype)


@misconception("attention.scaled_dot_product_attention", ask="What is the largest number that float16 can hold?")
def scores_in_low_precision(q, k, v, mask=None):
    """The scores are computed in the dtype of the queries, and in float16 they overflow before they are scaled."""
    check_attention(q, k, v, mask)
    return attend(q @ k.mT / math.sqrt(q.shape[-1]), v, mask, q.dtype)


@misconception("attention.scaled_dot_product_attention", ask="What is exp(100) in float32?")
def softmax_without_shift(q, k, v, mask=None):
    """The exponential is taken of the scores as they are, and large ones overflow."""
    dtype = check_attention(q, k, v, mask)
    powers = (q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])).exp()
    if mask is not None:
        powers = powers.masked_fill(~mask, 0)
    weights = (powers / powers.sum(dim=-1, keepdim=True).clamp_min(1e-30)).to(q.dtype)
    return weights @ v, weights


@misconception("attention.SingleHeadAttention.forward", ask="What does token 0 know about token 1?")
def single_head_without_mask(self, x):
    """Every token looks at every other, later ones included."""
    return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))[0]


@misconception("attention.SingleHeadAttention.forward", pitfall=8, ask="Who asks, and who answers?")
def single_head_keys_ask(self, x):
    """Queries and keys have changed places."""
    mask = causal_mask(x.shape[-2], device=x.device)
    return scaled_dot_product_attention(self.key(x), self.query(x), self.value(x), mask)[0]


def heads_of(module, x):
    """Queries, keys and values of all heads, as the reference has them."""
    return module.qkv(x).unflatten(-1, (3, module.n_heads, module.head_dim)).transpose(-4, -2).unbind(-3)


@misconception("attention.MultiHeadAttention.forward", pitfall=5, ask="Where in memory do the channels of one head lie?")
def heads_by_view_alone(self, x, mask=None, return_weights=False):
    """Heads are cut out by reshaping alone, so that each is made of whole tokens instead of some channels of every token."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    shape = (*x.shape[:-2], self.n_heads, x.shape[-2], self.head_dim)
    q, k, v = (part.reshape(shape) for part in self.qkv(x).chunk(3, dim=-1))
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", pitfall=5, ask="Which axis is left of the channels when heads are joined?")
def heads_are_joined_by_view_alone(self, x, mask=None, return_weights=False):
    """The outputs of the heads are joined by reshaping alone, so that tokens and heads are mixed up."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.reshape(x.shape))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", pitfall=2, ask="How many products are summed in one score?")
def scores_scaled_by_the_model_width(self, x, mask=None, return_weights=False):
    """The scores of each head are divided by √d_model."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q / math.sqrt(self.n_heads), k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", pitfall=8, ask="What do the first d_model rows of qkv.weight make?")
def keys_come_before_queries(self, x, mask=None, return_weights=False):
    """The first third of `qkv` is taken for the keys and the second for the queries."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    k, q, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception(
    "attention.MultiHeadAttention.forward", pitfall=8, ask="Which comes first in the rows of qkv: the third or the head?"
)
def each_head_has_its_three_parts_together(self, x, mask=None, return_weights=False):
    """The rows of `qkv` are read head by head, each with its query, key and value."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = self.qkv(x).unflatten(-1, (self.n_heads, 3, self.head_dim)).movedim(-4, -2).unbind(-3)
    q, k, v = (part.transpose(-3, -2) if part.shape[-3] != self.n_heads else part for part in (q, k, v))
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", ask="What mixes what the heads have found?")
def heads_are_not_mixed(self, x, mask=None, return_weights=False):
    """What the heads found is returned side by side, and `proj` is never used."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = out.transpose(-3, -2).flatten(-2)
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", ask="What is `mask` for, when it is not None?")
def mask_of_the_caller_is_ignored(self, x, mask=None, return_weights=False):
    """The causal mask is used whatever mask the caller gives."""
    q, k, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q, k, v, causal_mask(x.shape[-2], device=x.device))
    if self.training and self.dropout.p > 0:
        out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", pitfall=9, ask="How does F.dropout know that training is over?")
def dropout_stays_on_in_evaluation(self, x, mask=None, return_weights=False):
    """Attention weights are dropped in evaluation too."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    _, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    out = F.dropout(weights, self.dropout.p) @ v
    out = self.proj(out.transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


@misconception("attention.MultiHeadAttention.forward", pitfall=9, ask="What is dropped: a weight, or a channel?")
def dropout_on_the_output(self, x, mask=None, return_weights=False):
    """Channels of the output are dropped, and no attention weights."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    out, weights = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
    out = self.dropout(self.proj(out.transpose(-3, -2).flatten(-2)))
    return (out, weights) if return_weights else out


@misconception(
    "attention.MultiHeadAttention.forward", pitfall=9, ask="What is the sum of a row of the weights returned in training?"
)
def dropped_weights_are_returned(self, x, mask=None, return_weights=False):
    """The weights that are returned are those after dropout."""
    mask = causal_mask(x.shape[-2], device=x.device) if mask is None else mask
    q, k, v = heads_of(self, x)
    weights = self.dropout(scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))[1])
    out = self.proj((weights @ v).transpose(-3, -2).flatten(-2))
    return (out, weights) if return_weights else out


# layers


def wide_and_checked(norm, x):
    """x in at least float32, after LayerNorm's own check of its shape."""
    if x.shape[-1] != norm.weight.shape[0]:
        raise ValueError("the last axis of x must be d_model")
    return x.to(torch.promote_types(x.dtype, torch.float32))


@misconception("layers.LayerNorm.forward", pitfall=1, ask="By how much is Tensor.var off when d_model is 4?")
def variance_divides_by_one_less(self, x):
    """The variance divides by d − 1."""
    wide = wide_and_checked(self, x)
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / max(x.shape[-1] - 1, 1)
    out = centred * torch.rsqrt(variance + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", pitfall=2, ask="What is the gradient of √σ² at σ = 0?")
def eps_outside_the_root(self, x):
    """eps is added to the deviation, not to the variance."""
    wide = wide_and_checked(self, x)
    centred = wide - wide.mean(dim=-1, keepdim=True)
    out = centred / (centred.square().mean(dim=-1, keepdim=True).sqrt() + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", pitfall=3, ask="May one token's norm depend on the token after it?")
def norm_over_the_wrong_axis(self, x):
    """Mean and variance are taken over the tokens of a text instead of the channels of a token."""
    wide = wide_and_checked(self, x)
    axis = -2 if x.ndim > 1 else -1
    centred = wide - wide.mean(dim=axis, keepdim=True)
    out = centred * torch.rsqrt(centred.square().mean(dim=axis, keepdim=True) + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", pitfall=7, ask="What is 300 squared in float16?")
def norm_in_low_precision(self, x):
    """Mean and variance are computed in the dtype that came in; in float16 the squares overflow."""
    wide_and_checked(self, x)
    centred = x - x.mean(dim=-1, keepdim=True)
    out = centred * torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", pitfall=8, ask="What is self.bias with bias=False?")
def norm_needs_a_bias(self, x):
    """The bias is added also where there is none."""
    wide = wide_and_checked(self, x)
    centred = wide - wide.mean(dim=-1, keepdim=True)
    out = centred * torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight
    return (out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", ask="How many digits are left of 100,000,001 − 100,000,000 in float32?")
def variance_as_a_difference_of_squares(self, x):
    """The variance is the mean square minus the squared mean, two large numbers that cancel where the mean is large."""
    wide = wide_and_checked(self, x)
    mean = wide.mean(dim=-1, keepdim=True)
    variance = (wide.square().mean(dim=-1, keepdim=True) - mean.square()).clamp_min(0)
    out = (wide - mean) * torch.rsqrt(variance + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.LayerNorm.forward", ask="What is the mean of a token afterwards?")
def mean_stays(self, x):
    """The mean is not taken away: each token is divided by its root mean square."""
    wide = wide_and_checked(self, x)
    out = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight
    return (out if self.bias is None else out + self.bias).to(x.dtype)


@misconception("layers.gelu", pitfall=6, ask="Which of the two forms needs no approximation?")
def exact_gelu_by_tanh(x):
    """The exact form is computed by the tanh of the other."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (0.5 * wide * (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))).to(x.dtype)


@misconception("layers.gelu", ask="What is Φ(1), and what is erf(1)?")
def erf_without_root_two(x):
    """The error function is taken of x itself, as if the normal distribution had variance 1/2."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (0.5 * wide * (1 + torch.erf(wide))).to(x.dtype)


@misconception("layers.gelu", pitfall=7, ask="Which dtype does the next layer of a float16 model expect?")
def gelu_stays_wide(x):
    """The result keeps the wide dtype of the computation instead of the one that came in."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return 0.5 * wide * (1 + torch.erf(wide / math.sqrt(2)))


@misconception("layers.gelu_tanh", pitfall=6, ask="Which of the two forms needs no approximation?")
def tanh_gelu_by_erf(x):
    """The approximation is the exact form."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (0.5 * wide * (1 + torch.erf(wide / math.sqrt(2)))).to(x.dtype)


@misconception("layers.gelu_tanh", pitfall=7, ask="What is 41 cubed in float16, and what is its slope?")
def cube_in_low_precision(x):
    """The cube is computed in the dtype that came in; in float16 it overflows, and the slope is NaN."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@misconception("layers.gelu_tanh", ask="What are the constants of the paper, and what do they multiply?")
def gelu_by_sigmoid(x):
    """It is the other approximation of the paper, x · sigmoid(1.702 x)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid(1.702 * wide)).to(x.dtype)


@misconception("layers.MLP.__init__", pitfall=5, ask="Whose width is multiplied?")
def hidden_layer_four_times_a_head(self, d_model, dropout=0.0, expansion=4, approximate="tanh", bias=True):
    """The hidden layer is a multiple of something smaller than the token, as the width of a head is."""
    nn.Module.__init__(self)
    if approximate not in ("none", "tanh"):
        raise ValueError("no such form")
    self.approximate, self.dropout = approximate, nn.Dropout(dropout)
    head_dim = max(d_model // 2, 1)
    self.expand = nn.Linear(d_model, expansion * head_dim, bias=bias)
    self.contract = nn.Linear(expansion * head_dim, d_model, bias=bias)


@misconception("layers.MLP.forward", pitfall=4, ask="What are two linear layers in a row, taken together?")
def mlp_without_activation(self, x):
    """Nothing bends between the two linear layers, so that together they are a single one."""
    return self.dropout(self.contract(self.expand(x)))


@misconception("layers.MLP.forward", pitfall=4, ask="Can this MLP take something away from the stream?")
def activation_behind_both_layers(self, x):
    """There is an activation behind the second layer too."""
    activation = gelu_tanh if self.approximate == "tanh" else gelu
    return self.dropout(activation(self.contract(activation(self.expand(x)))))


@misconception("layers.MLP.forward", pitfall=6, ask='What does "none" mean: no activation, or no approximation?')
def mlp_swaps_the_gelus(self, x):
    """ "tanh" gives the exact form and "none" the approximation."""
    activation = gelu if self.approximate == "tanh" else gelu_tanh
    return self.dropout(self.contract(activation(self.expand(x))))


@misconception("layers.MLP.forward", pitfall=9, ask="How does F.dropout know that training is over?")
def mlp_drops_in_evaluation(self, x):
    """Channels are dropped in evaluation too."""
    activation = gelu_tanh if self.approximate == "tanh" else gelu
    return F.dropout(self.contract(activation(self.expand(x))), self.dropout.p)


@misconception("layers.MLP.forward", ask="On which tensor does the docstring put dropout?")
def mlp_drops_hidden_channels(self, x):
    """Dropout acts on the hidden layer, and not on the result."""
    activation = gelu_tanh if self.approximate == "tanh" else gelu
    return self.contract(self.dropout(activation(self.expand(x))))


# block


@misconception("block.Block.forward", pitfall=1, ask="Is there a path from input to output without a norm on it?")
def norm_stands_on_the_stream(self, x, mask=None):
    """The norm acts on the sum, as in 2017, instead of on what a branch reads."""
    x = self.norm_attention(x + self.dropout(self.attention(x, mask)))
    return self.norm_mlp(x + self.mlp(x))


@misconception("block.Block.forward", pitfall=2, ask="What is added to what a branch returns?")
def normalised_stream_is_added(self, x, mask=None):
    """The branch is added to the normalised tokens, not to the stream."""
    x = self.norm_attention(x)
    x = x + self.dropout(self.attention(x, mask))
    x = self.norm_mlp(x)
    return x + self.mlp(x)


@misconception("block.Block.forward", pitfall=3, ask="Does the MLP know what attention has just found?")
def both_branches_read_the_same(self, x, mask=None):
    """The MLP reads the stream as it was before attention added to it."""
    return x + self.dropout(self.attention(self.norm_attention(x), mask)) + self.mlp(self.norm_mlp(x))


@misconception("block.Block.forward", pitfall=4, ask="What does the caller's x hold afterwards?")
def stream_is_changed_in_place(self, x, mask=None):
    """The branches are added to the caller's own tensor."""
    x += self.dropout(self.attention(self.norm_attention(x), mask))
    x += self.mlp(self.norm_mlp(x))
    return x


@misconception("block.Block.forward", pitfall=5, ask="Can a block above see a channel that was dropped here?")
def dropout_on_the_stream(self, x, mask=None):
    """The stream itself is dropped, with what earlier blocks have written on it."""
    x = self.dropout(x + self.attention(self.norm_attention(x), mask))
    return x + self.mlp(self.norm_mlp(x))


@misconception("block.Block.forward", ask="What is self.dropout for?")
def attention_branch_is_not_dropped(self, x, mask=None):
    """What attention adds to the stream is never dropped."""
    x = x + self.attention(self.norm_attention(x), mask)
    return x + self.mlp(self.norm_mlp(x))


@misconception("block.Block.forward", pitfall=6, ask="Which parameters get no gradient?")
def one_norm_for_both_branches(self, x, mask=None):
    """Both branches read through the norm of attention."""
    x = x + self.dropout(self.attention(self.norm_attention(x), mask))
    return x + self.mlp(self.norm_attention(x))


@misconception("block.Block.forward", ask="Which argument of forward is never used?")
def mask_does_not_reach_attention(self, x, mask=None):
    """The mask stays in the block, and attention uses the causal one."""
    x = x + self.dropout(self.attention(self.norm_attention(x)))
    return x + self.mlp(self.norm_mlp(x))


@misconception("block.Block.forward", ask="What is left of x when a branch returns 0?")
def second_residual_is_missing(self, x, mask=None):
    """What the MLP returns takes the place of the stream instead of being added to it."""
    x = x + self.dropout(self.attention(self.norm_attention(x), mask))
    return self.mlp(self.norm_mlp(x))


@misconception("block.Block.__init__", pitfall=6, ask="Which submodules have an eps?")
def eps_stays_in_the_block(self, d_model, n_heads, dropout=0.0, bias=True, eps=1e-5):
    """The norms are built with their own eps, not with the block's."""
    nn.Module.__init__(self)
    self.dropout = nn.Dropout(dropout)
    self.norm_attention, self.norm_mlp = LayerNorm(d_model, bias=bias), LayerNorm(d_model, bias=bias)
    self.attention = MultiHeadAttention(d_model, n_heads, dropout, bias)
    self.mlp = MLP(d_model, dropout, bias=bias)


@misconception("block.Block.__init__", pitfall=6, ask="Which submodules drop something in training?")
def dropout_stays_in_the_block(self, d_model, n_heads, dropout=0.0, bias=True, eps=1e-5):
    """Attention and the MLP are built without dropout."""
    nn.Module.__init__(self)
    self.dropout = nn.Dropout(dropout)
    self.norm_attention, self.norm_mlp = LayerNorm(d_model, eps, bias), LayerNorm(d_model, eps, bias)
    self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
    self.mlp = MLP(d_model, bias=bias)


# model


@misconception("model.GPT.forward", pitfall=1, ask="How large is the stream behind the last block?")
def final_norm_is_missing(self, tokens):
    """The head reads the stream as it is, without the last norm."""
    refuse(self, tokens)
    x = self.dropout(self.positions(self.token_embedding(tokens)))
    for block in self.blocks:
        x = block(x)
    return self.head(x)


def refuse(model, tokens):
    """The argument checks of GPT.forward, which every version keeps."""
    fits = tokens.ndim == 2 and not tokens.is_floating_point() and tokens.shape[1] <= model.config.n_positions
    if not fits or ((tokens < 0) | (tokens >= model.config.vocab_size)).any():
        raise ValueError("tokens do not fit")


@misconception("model.GPT.forward", pitfall=4, ask="Which parameters get no gradient?")
def positions_are_forgotten(self, tokens):
    """The position vectors are never added."""
    refuse(self, tokens)
    x = self.dropout(self.token_embedding(tokens))
    for block in self.blocks:
        x = block(x)
    return self.head(self.norm(x))


@misconception("model.GPT.forward", pitfall=4, ask="What is self.dropout for?")
def embedding_is_not_dropped(self, tokens):
    """There is no dropout on the sum of token and position vectors."""
    refuse(self, tokens)
    x = self.positions(self.token_embedding(tokens))
    for block in self.blocks:
        x = block(x)
    return self.head(self.norm(x))


@misconception("model.GPT.forward", ask="What does the handout's figure show behind the last block, and what between blocks?")
def norm_behind_every_block(self, tokens):
    """The last norm acts behind every block."""
    refuse(self, tokens)
    x = self.dropout(self.positions(self.token_embedding(tokens)))
    for block in self.blocks:
        x = self.norm(block(x))
    return self.head(x)


@misconception("model.GPT.__init__", pitfall=2, ask="Is it one tensor with two names, or two tensors with the same values?")
def head_is_a_copy_of_the_table(self, config):
    """The head starts with the numbers of the token table, but is a tensor of its own."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList(
        Block(config.d_model, config.n_heads, config.dropout, config.bias) for _ in range(config.n_layers)
    )
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.init_weights()
    self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())


@misconception("model.GPT.__init__", pitfall=8, ask="How many different blocks are there?")
def one_block_many_times(self, config):
    """The stack is one and the same block, many times."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList([Block(config.d_model, config.n_heads, config.dropout, config.bias)] * config.n_layers)
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.GPT.__init__", pitfall=7, ask="What does list(model.parameters()) show?")
def blocks_in_a_plain_list(self, config):
    """The blocks are in a plain list, so that the model does not know their parameters."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = [Block(config.d_model, config.n_heads, config.dropout, config.bias) for _ in range(config.n_layers)]
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.GPT.__init__", ask="Which arguments does a block take, besides its sizes?")
def configuration_stays_in_the_model(self, config):
    """Dropout and bias of the configuration do not reach the blocks."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList(Block(config.d_model, config.n_heads) for _ in range(config.n_layers))
    self.norm = LayerNorm(config.d_model)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


def start(model, residual_std, vectors=True):
    """GPT-2's start with another deviation where a branch ends."""
    for name, parameter in model.named_parameters():
        if name.endswith(("attention.proj.weight", "mlp.contract.weight")):
            nn.init.normal_(parameter, std=residual_std)
        elif parameter.ndim == 2:
            nn.init.normal_(parameter, std=model.config.init_std)
        elif vectors:
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)


@misconception("model.GPT.init_weights", pitfall=3, ask="How does the variance of the stream grow from block to block?")
def residual_scale_is_missing(self):
    """Where a branch ends, the weights start as large as everywhere."""
    start(self, self.config.init_std)


@misconception("model.GPT.init_weights", pitfall=3, ask="How many branches add to the stream in N blocks?")
def residual_scale_counts_blocks(self):
    """Where a branch ends, the deviation is init_std / √N."""
    start(self, self.config.init_std / math.sqrt(self.config.n_layers))


@misconception("model.GPT.init_weights", pitfall=6, ask="What does a norm with weight 0.02 do to what it reads?")
def norms_are_drawn_at_random(self):
    """Everything that is called weight is drawn at random, norms included."""
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers))
    for name, parameter in self.named_parameters():
        if parameter.ndim == 1 and name.endswith("weight"):
            nn.init.normal_(parameter, std=self.config.init_std)


@misconception("model.GPT.init_weights", ask="What are the biases of a fresh nn.Linear?")
def vectors_are_left_alone(self):
    """Biases and norms keep what they had before."""
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers), vectors=False)


@misconception("model.GPT.init_weights", pitfall=6, ask="What kind of module is self.positions?")
def positions_keep_their_own_start(self):
    """A loop over linear layers and embeddings does not meet the position table."""
    places = self.positions.weight.detach().clone()
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers))
    with torch.no_grad():
        self.positions.weight.copy_(places)


@misconception("model.GPT.n_parameters", pitfall=5, ask="How many tensors are there for the two names?")
def shared_table_is_counted_twice(self, include_positions=True):
    """The shared table is counted under both of its names."""
    total = sum(parameter.numel() for _, parameter in self.named_parameters(remove_duplicate=False))
    return total if include_positions else total - self.positions.weight.numel()


# inspect


@misconception("inspect.attention_maps", pitfall=1, ask="What is model.training before, and what afterwards?")
def model_stays_in_evaluation(model, tokens):
    """The model is left in evaluation mode."""
    model.eval()
    return maps_of(model, tokens)


def maps_of(model, tokens):
    """The weights of each layer in the mode the model is in."""
    maps = []
    with torch.no_grad():
        if tokens.shape[1] > model.config.n_positions:
            raise ValueError("too many tokens")
        x = model.dropout(model.positions(model.token_embedding(tokens)))
        for block in model.blocks:
            maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
            x = block(x)
    return torch.stack(maps)


@misconception("inspect.attention_maps", pitfall=1, ask="Was every submodule in training before?")
def everything_is_set_to_training(model, tokens):
    """Afterwards the whole model is in training mode, also what was not before."""
    model.eval()
    try:
        return maps_of(model, tokens)
    finally:
        model.train()


@misconception("inspect.attention_maps", pitfall=1, ask="Do two calls give the same maps?")
def maps_of_training(model, tokens):
    """The maps are made in the mode the model is in, with dropout if that is training."""
    return maps_of(model, tokens)


@misconception("inspect.attention_maps", pitfall=3, ask="What does layer 1 read?")
def every_layer_reads_the_embeddings(model, tokens):
    """Every layer is shown the embedded tokens, and not what the layers below made of them."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            if tokens.shape[1] > model.config.n_positions:
                raise ValueError("too many tokens")
            x = model.positions(model.token_embedding(tokens))
            return torch.stack([block.attention(block.norm_attention(x), return_weights=True)[1] for block in model.blocks])
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("inspect.attention_maps", pitfall=3, ask="What stands between the stream and attention?")
def maps_of_the_stream_before_its_norm(model, tokens):
    """Attention is shown the stream itself, and not what the norm makes of it."""
    modes, maps = [(module, module.training) for module in model.modules()], []
    try:
        model.eval()
        with torch.no_grad():
            if tokens.shape[1] > model.config.n_positions:
                raise ValueError("too many tokens")
            x = model.positions(model.token_embedding(tokens))
            for block in model.blocks:
                maps.append(block.attention(x, return_weights=True)[1])
                x = block(x)
            return torch.stack(maps)
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("inspect.attention_maps", pitfall=4, ask="What happens at the model's next forward pass?")
def hooks_stay_on_the_model(model, tokens):
    """The hooks that caught the maps stay registered."""
    modes, seen = [(module, module.training) for module in model.modules()], []
    for block in model.blocks:
        block.attention.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        model.eval()
        with torch.no_grad():
            model(tokens)
            return torch.stack([b.attention(x, return_weights=True)[1] for b, x in zip(model.blocks, list(seen), strict=False)])
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("inspect.attention_maps", pitfall=4, ask="What do the maps keep in memory?")
def maps_hold_on_to_the_graph(model, tokens):
    """The maps are made with gradients, and keep everything alive that they were computed from."""
    modes, maps = [(module, module.training) for module in model.modules()], []
    try:
        model.eval()
        if tokens.shape[1] > model.config.n_positions:
            raise ValueError("too many tokens")
        x = model.positions(model.token_embedding(tokens))
        for block in model.blocks:
            maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
            x = block(x)
        return torch.stack(maps)
    finally:
        for module, mode in modes:
            module.training = mode


def gradients_of(model):
    """Gradients in at least float32, layer by layer."""
    layers = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(f"{name} has no gradient")
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        layers.setdefault(layer, []).append(parameter.grad.to(torch.promote_types(parameter.grad.dtype, torch.float32)))
    return layers


@misconception("inspect.gradient_norms", pitfall=2, ask="How long is the way of 3 east and 4 north?")
def norms_are_added_up(model):
    """The norms of the parameters of a layer are added up."""
    return {layer: sum(g.norm().item() for g in gradients) for layer, gradients in gradients_of(model).items()}


@misconception("inspect.gradient_norms", pitfall=2, ask="Does a layer with more parameters have a longer gradient?")
def norms_are_averaged(model):
    """The squares are averaged instead of added up."""
    return {
        layer: math.sqrt(sum(g.square().mean().item() for g in gradients) / len(gradients))
        for layer, gradients in gradients_of(model).items()
    }


@misconception("inspect.gradient_norms", ask="What has happened to the root?")
def squares_are_not_rooted(model):
    """The sum of the squares is returned, without its root."""
    return {layer: sum(g.square().sum().item() for g in gradients) for layer, gradients in gradients_of(model).items()}


@misconception("inspect.gradient_norms", ask='Which parameters belong to "embedding"?')
def positions_are_left_out_of_the_embedding(model):
    """The gradient of the position table belongs to no layer."""
    gradients_of(model)
    squares = {}
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        if head != "positions":
            squares[layer] = (
                squares.get(layer, 0) + parameter.grad.to(torch.promote_types(parameter.grad.dtype, torch.float32)).square().sum()
            )
    return {layer: square.sqrt().item() for layer, square in squares.items()}


@misconception("inspect.gradient_norms", ask="What is 300 squared in float16?")
def squares_in_low_precision(model):
    """The squares are summed in the dtype of the gradients, and in float16 they overflow."""
    gradients_of(model)
    squares = {}
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        squares[layer] = squares.get(layer, 0) + parameter.grad.square().sum()
    return {layer: square.sqrt().item() for layer, square in squares.items()}
