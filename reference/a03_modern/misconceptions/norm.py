"""These are wrong versions of parts of norm.py, one mistake each. A docstring is the hint that a student reads."""

import torch

from tools.author.cases import misconception


def wide_tokens(norm, x):
    """The argument check of RMSNorm, which every version keeps; x in at least float32."""
    if x.shape[-1] != norm.weight.shape[0]:
        raise ValueError("the width does not fit")
    return x.to(torch.promote_types(x.dtype, torch.float32))


@misconception("norm.RMSNorm.forward", pitfall=1, ask="Which of the two steps of LayerNorm is left?")
def mean_is_taken_off(self, x):
    """The mean is subtracted first, as LayerNorm does."""
    wide = wide_tokens(self, x)
    wide = wide - wide.mean(dim=-1, keepdim=True)
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=2, ask="What is the slope of the root at 0?")
def eps_outside_the_root(self, x):
    """eps is added to the root, and not to what stands under it."""
    wide = wide_tokens(self, x)
    return (wide / (wide.square().mean(dim=-1, keepdim=True).sqrt() + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=2, ask="What becomes of a token of zeros?")
def eps_is_forgotten(self, x):
    """There is no eps, so that a token of zeros becomes NaN."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True)) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=3, ask="What is 300 squared in float16?")
def squares_in_low_precision(self, x):
    """Squares are taken in the dtype that came in, and in float16 they overflow."""
    wide = wide_tokens(self, x)
    mean_square = x.square().mean(dim=-1, keepdim=True).to(wide.dtype)
    return (wide * torch.rsqrt(mean_square + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=4, ask="How many roundings does a channel see?")
def rounded_before_the_weight(self, x):
    """The normalised token is rounded, and the weight comes after that."""
    wide = wide_tokens(self, x)
    out = (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)).to(x.dtype)
    return (out * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=4, ask="Does the weight change the root mean square?")
def weight_before_the_norm(self, x):
    """The weight is applied first, so that the norm takes its size away again."""
    wide = wide_tokens(self, x) * self.weight
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=5, ask="What is the norm of (1, 1, 1, 1), and its root mean square?")
def norm_of_the_vector(self, x):
    """The sum of the squares stands under the root, not their mean."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().sum(dim=-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=6, ask="Whom does a token's norm depend on?")
def all_tokens_share_a_norm(self, x):
    """The mean runs over tokens as well as channels, so that each token depends on the others."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().mean() + self.eps) * self.weight).to(x.dtype)
