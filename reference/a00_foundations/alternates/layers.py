"""These are other right versions of parts of layers.py. The tolerances allow for all of these routes."""

import math
from statistics import NormalDist

import torch
from torch import nn

from tools.author.cases import alternate

from .layers import kaiming_normal_, truncated_normal_


@alternate("layers.truncated_normal_")
def drawn_again_until_inside(weight, std, cut=2.0, generator=None):
    """Normal numbers, and those outside are drawn again; the deviation that is left is known from NormalDist."""
    if std <= 0 or cut <= 0:
        raise ValueError("positive numbers, please")
    bell = NormalDist()
    wide = std / math.sqrt(1 - 2 * cut * bell.pdf(cut) / (bell.cdf(cut) - bell.cdf(-cut)))
    values = torch.empty(weight.shape, dtype=weight.dtype).normal_(generator=generator)
    while (outside := values.abs() > cut).any():
        values[outside] = torch.empty(int(outside.sum()), dtype=weight.dtype).normal_(generator=generator)
    weight.data.copy_(values * wide)
    return weight


@alternate("layers.kaiming_normal_")
def scaled_randn(weight, gain=math.sqrt(2), generator=None):
    """Standard normal numbers are scaled and copied in."""
    _, d_in = weight.shape
    weight.data.copy_(torch.randn(weight.shape, generator=generator) * (gain**2 / d_in) ** 0.5)
    return weight


@alternate("layers.Linear")
class LinearByEinsum(nn.Module):
    """Starts on plain tensors that then become parameters; the product is an einsum."""

    def __init__(self, d_in, d_out, bias=False, init="truncated", generator=None):
        super().__init__()
        start = {
            "truncated": lambda w: truncated_normal_(w, d_in**-0.5, generator=generator),
            "kaiming": lambda w: kaiming_normal_(w, generator=generator),
        }
        if init not in start:
            raise ValueError(f"init is one of {list(start)}")
        self.weight = nn.Parameter(start[init](torch.zeros(d_out, d_in)))
        self.bias = nn.Parameter(torch.zeros(d_out)) if bias else None

    def forward(self, x):
        if x.shape[-1] != self.weight.shape[1]:
            raise ValueError("another width")
        out = torch.einsum("...i,oi->...o", x, self.weight)
        if self.bias is not None:
            out = out + self.bias
        return out


@alternate("layers.Embedding.forward")
def rows_by_index_select(self, tokens):
    """The rows of the flat list of tokens, and the shape of the tokens put back."""
    vocab_size, d_model = self.weight.shape
    if tokens.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError("whole numbers, please")
    if not ((tokens >= 0) & (tokens < vocab_size)).all():
        raise ValueError("no such token")
    return self.weight.index_select(0, tokens.reshape(-1).to(torch.int64)).reshape(*tokens.shape, d_model)
