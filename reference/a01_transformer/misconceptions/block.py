"""These are wrong versions of parts of block.py, one mistake each. A docstring is the hint that a student reads."""

from torch import nn

from tools.author.cases import misconception

from .attention import MultiHeadAttention
from .layers import MLP, LayerNorm


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
