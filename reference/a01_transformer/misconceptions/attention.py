"""These are wrong versions of parts of attention.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
import torch.nn.functional as F

from tools.author.cases import misconception

from .attention import causal_mask, scaled_dot_product_attention


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
