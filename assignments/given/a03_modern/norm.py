"""A working RMSNorm: torch's own, which computes in the dtype that it is given."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """Key `weight`."""

    def __init__(self, d_model: int, eps: float = 1e-6):
        super().__init__(d_model, eps)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"the last axis of x must be {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        out = nn.functional.rms_norm(x.to(torch.promote_types(x.dtype, weight.dtype)), self.normalized_shape, weight, self.eps)
        return out.to(x.dtype)
