"""These are wrong versions of parts of ffn.py, one mistake each. A docstring is the hint that a student reads."""

import torch
from torch import nn

from tools.author.cases import misconception

from .ffn import hidden_size, silu


@misconception("ffn.silu", pitfall=5, ask="What is the derivative of x / (1 + e^−x) at −100, computed step by step?")
def exponential_by_hand(x):
    """e^(−x) is computed as it stands; far to the left it is infinite, and the gradient NaN."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (1 + torch.exp(-wide))).to(x.dtype)


@misconception("ffn.silu", ask="What does SiLU multiply the sigmoid with?")
def sigmoid_alone(x):
    """The sigmoid itself is returned, without the factor x."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide.sigmoid().to(x.dtype)


@misconception("ffn.silu", ask="What is the factor in front of x in σ(1.702 x)?")
def gelu_by_a_sigmoid(x):
    """The sigmoid is that of 1.702 x, which approximates GELU."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (1.702 * wide).sigmoid()).to(x.dtype)


def positive(d_model, multiple_of):
    """The argument check of hidden_size."""
    if d_model < 1 or multiple_of < 1:
        raise ValueError("sizes must be positive")


@misconception("ffn.hidden_size", pitfall=3, ask="How many weights are 3 · 4d · d, and how many 2 · 4d · d?")
def hidden_is_four_times(d_model, multiple_of=8):
    """The hidden size is 4 · d_model, as in an MLP with two matrices."""
    positive(d_model, multiple_of)
    return -(-4 * d_model // multiple_of) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="Is 168 at least 8/3 · 64?")
def hidden_is_rounded_down(d_model, multiple_of=8):
    """The size is rounded down to a multiple."""
    positive(d_model, multiple_of)
    return 8 * d_model // (3 * multiple_of) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="What is 8/3 · 48, and what is the next multiple of 8?")
def hidden_grows_though_it_fits(d_model, multiple_of=8):
    """What is a multiple already goes up to the next one."""
    positive(d_model, multiple_of)
    return (8 * d_model // (3 * multiple_of) + 1) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="What is int(8 / 3 * 64)?")
def cut_before_it_is_rounded_up(d_model, multiple_of=8):
    """8/3 · d_model is cut to a whole number first, and only then rounded up."""
    positive(d_model, multiple_of)
    return -(-(8 * d_model // 3) // multiple_of) * multiple_of


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="Which branch do the keys of the state dict call the gate?")
def gate_on_the_wrong_branch(self, x):
    """silu acts on the branch `up`, so that the gate is the other one."""
    return self.down(self.gate(x) * silu(self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=2, ask="What does the gate do, if silu comes last?")
def silu_after_the_product(self, x):
    """silu acts on the product of the two branches."""
    return self.down(silu(self.gate(x) * self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=2, ask="How many of the branches are bent?")
def silu_on_both_branches(self, x):
    """silu acts on both branches."""
    return self.down(silu(self.gate(x)) * silu(self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="How do two branches become one?")
def branches_are_added(self, x):
    """The branches are added up instead of multiplied."""
    return self.down(silu(self.gate(x)) + self.up(x))


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="What is the difference between a gate and σ of a gate?")
def gate_is_a_sigmoid(self, x):
    """The gate is a sigmoid, as in the first gated linear units."""
    return self.down(self.gate(x).sigmoid() * self.up(x))


@misconception("ffn.SwiGLU.__init__", ask="Which keys does the table list?")
def matrices_have_biases(self, d_model, hidden=None):
    """The linear layers have biases."""
    nn.Module.__init__(self)
    hidden = hidden_size(d_model) if hidden is None else hidden
    self.gate, self.up, self.down = nn.Linear(d_model, hidden), nn.Linear(d_model, hidden), nn.Linear(hidden, d_model)
