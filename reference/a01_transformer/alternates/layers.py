"""These are other right versions of parts of layers.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .layers import gelu, gelu_tanh


@alternate("layers.LayerNorm.forward")
def statistics_by_var(self, x):
    """Variance by torch.var with correction 0, and a division by its root."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    out = (wide - wide.mean(-1, keepdim=True)) / torch.sqrt(wide.var(-1, correction=0, keepdim=True) + self.eps)
    out = self.weight * out
    if self.bias is not None:
        out = out + self.bias
    return out.to(x.dtype)


@alternate("layers.LayerNorm.forward")
def mean_of_squares_in_double(self, x):
    """Mean square minus squared mean, in float64, where that is no loss."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.double()
    mean = wide.mean(-1, keepdim=True)
    variance = (wide.pow(2).mean(-1, keepdim=True) - mean.pow(2)).clamp_min(0)
    out = (wide - mean) * (variance + self.eps).pow(-0.5)
    out = out * self.weight + (0 if self.bias is None else self.bias)
    return out.to(x.dtype)


@alternate("layers.gelu")
def gelu_by_ndtr(x):
    """The distribution function as torch.special has it."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.special.ndtr(wide)).to(x.dtype)


@alternate("layers.gelu_tanh")
def tanh_as_sigmoid(x):
    """(1 + tanh u) / 2 is the sigmoid of 2u, and the cube is factored out."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid((8 / math.pi) ** 0.5 * wide * (1 + 0.044715 * wide * wide))).to(x.dtype)


@alternate("layers.MLP.forward")
def products_written_out(self, x):
    """The linear layers as products with their transposed weights."""
    hidden = x @ self.expand.weight.T
    if self.expand.bias is not None:
        hidden = hidden + self.expand.bias
    hidden = {"tanh": gelu_tanh, "none": gelu}[self.approximate](hidden)
    out = hidden @ self.contract.weight.T
    return self.dropout(out if self.contract.bias is None else out + self.contract.bias)
