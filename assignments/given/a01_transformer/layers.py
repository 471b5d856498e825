"""Working layers, which are PyTorch's own. Names, keys and errors are those of the assignment."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each token. Its state-dict keys are `weight` and `bias`."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__(d_model, eps, bias=bias)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """x normalised token by token, in the dtype of x. ValueError: the last axis of x is not d_model."""
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"the last axis of x must be {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        return super().forward(x.to(torch.promote_types(x.dtype, self.weight.dtype))).to(x.dtype)


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The exact GELU, x · Φ(x), in the dtype of x."""
    return F.gelu(x)


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The approximation of GELU by a tanh, in the dtype of x."""
    return F.gelu(x, approximate="tanh")


class MLP(nn.Module):
    """Two linear layers with a GELU between them. Its state-dict keys are those of `expand` and `contract`.

    dropout: probability that a channel of the result is dropped in training.
    approximate: "tanh" or "none" (exact).
    ValueError: `approximate` is anything else.
    """

    def __init__(self, d_model: int, dropout: float = 0.0, expansion: int = 4, approximate: str = "tanh", bias: bool = True):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh"; got {approximate!r}')
        width, self.approximate = expansion * d_model, approximate
        self.expand, self.contract = nn.Linear(d_model, width, bias), nn.Linear(width, d_model, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Each token on its own. Dropout comes last."""
        return nn.Sequential(self.expand, nn.GELU(self.approximate), self.contract, self.dropout)(x)
