"""Working layers: torch's own under the names, keys and errors of the assignment."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Keys `weight`, `bias`."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__(d_model, eps, bias=bias)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"the last axis of x must be {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        return super().forward(x.to(torch.promote_types(x.dtype, self.weight.dtype))).to(x.dtype)


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Exact GELU."""
    return F.gelu(x)


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """GELU by a tanh."""
    return F.gelu(x, approximate="tanh")


class MLP(nn.Module):
    """Keys `expand.weight`, `expand.bias`, `contract.weight`, `contract.bias`."""

    def __init__(self, d_model: int, dropout: float = 0.0, expansion: int = 4, approximate: str = "tanh", bias: bool = True):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh"; got {approximate!r}')
        width, self.approximate = expansion * d_model, approximate
        self.expand, self.contract = nn.Linear(d_model, width, bias), nn.Linear(width, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return nn.Sequential(self.expand, nn.GELU(self.approximate), self.contract, self.dropout)(x)
