"""What surrounds attention in a block: layer normalisation, the GELU activation, and the two-layer MLP.

Each works on one token at a time. Left out: RMSNorm and gated MLPs, which a later assignment puts in their place.
Source: Layer Normalization, arXiv:1607.06450; GELU, arXiv:1606.08415; the MLP, arXiv:1706.03762, §3.3.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Each token shifted to mean 0 and scaled to variance 1 over its channels, then by a learned weight and bias.

    | state-dict key | shape | |
    |---|---|---|
    | `weight` | (d_model,) | starts at 1 |
    | `bias` | (d_model,) | starts at 0; absent with bias=False |

    eps: added to the variance, so that a constant token does not divide by 0.  Source: arXiv:1607.06450, §3.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """x normalised token by token, in the dtype of x; ValueError if its last axis is not d_model."""
        if x.shape[-1] != self.weight.shape[0]:
            raise ValueError(f"the last axis of x must be d_model = {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        # TODO: normalise, then weight and bias (handout: layers, step 1).
        # Watch: over which axis; which variance; where eps stands; statistics in at least float32; maybe no bias.
        raise NotImplementedError("a01_transformer/layers.py: LayerNorm.forward() is yours to write (handout: layers, step 1)")


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x · Φ(x) with Φ the distribution function of the standard normal, exact; in the dtype of x.

    Computed in at least float32.  Source: arXiv:1606.08415, §2.
    """
    # TODO: the exact form (handout: layers, step 2).
    # Watch: the error function is stated for another variance than the normal distribution's 1.
    raise NotImplementedError("a01_transformer/layers.py: gelu() is yours to write (handout: layers, step 2)")


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The approximation of x · Φ(x) by a tanh that GPT-2 was trained with; in the dtype of x.

    Differs from the exact form by up to 5e-4. Computed in at least float32.  Source: arXiv:1606.08415, §2.
    """
    # TODO: the tanh form (handout: layers, step 3).
    # Watch: the cube overflows float16 where x itself does not.
    raise NotImplementedError("a01_transformer/layers.py: gelu_tanh() is yours to write (handout: layers, step 3)")


class MLP(nn.Module):
    """Two linear layers with a GELU between them: each token widened, bent, and brought back.

    | state-dict key | shape | |
    |---|---|---|
    | `expand.weight` | (expansion · d_model, d_model) | |
    | `expand.bias` | (expansion · d_model,) | absent with bias=False |
    | `contract.weight` | (d_model, expansion · d_model) | |
    | `contract.bias` | (d_model,) | absent with bias=False |

    dropout: probability that a channel of the result is dropped in training. approximate: "tanh" (GPT-2) or "none"
    (exact), as PyTorch calls them; anything else is a ValueError.  Source: arXiv:1706.03762, §3.3.
    """

    def __init__(self, d_model: int, dropout: float = 0.0, expansion: int = 4, approximate: str = "tanh", bias: bool = True):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" (exact) or "tanh"; got {approximate!r}')
        self.approximate = approximate
        self.dropout = nn.Dropout(dropout)
        # TODO: the two linear layers, `expand` and `contract` (handout: layers, step 4).
        # Watch: the table above; whose width is multiplied.
        raise NotImplementedError("a01_transformer/layers.py: MLP.__init__() is yours to write (handout: layers, step 4)")

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Each token on its own; dropout comes last."""
        # TODO: the forward pass (handout: layers, step 5).
        # Watch: which of the two forms of GELU this MLP was asked for.
        raise NotImplementedError("a01_transformer/layers.py: MLP.forward() is yours to write (handout: layers, step 5)")
