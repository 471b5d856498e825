"""These are wrong versions of parts of layers.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tools.author.cases import misconception

from .layers import gelu, gelu_tanh


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
    """Mean and variance are taken over the tokens of a sequence instead of the channels of a token."""
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
