"""RMSNorm: every token scaled to a root mean square of 1. No mean is taken off, and there is no bias.

Left out: fused kernels, and variants that normalise only part of the channels.
Source: Root Mean Square Layer Normalization, arXiv:1910.07467, §3.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Each token divided by the root of the mean of its squares, then times a learned weight.

    | state-dict key | shape | |
    |---|---|---|
    | `weight` | (d_model,) | starts at 1 |

    eps: added to the mean of the squares, under the root.
    Source: arXiv:1910.07467, eq. 4.
    """

    def __init__(self, d_model: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """x normalised token by token, in the dtype of x.

        All of it, the weight included, is computed in at least float32 and rounded once, at the end.
        ValueError: the last axis of x is not d_model.
        """
        if x.shape[-1] != self.weight.shape[0]:
            raise ValueError(f"the last axis of x must be d_model = {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        # TODO: normalise, then the weight (handout: norm).
        # Watch: what is not subtracted; where eps stands; squares overflow in float16; one rounding, and float64 stays float64.
        raise NotImplementedError("a03_modern/norm.py: RMSNorm.forward() is yours to write (handout: norm)")
