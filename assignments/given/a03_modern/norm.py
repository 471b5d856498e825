"""A working RMSNorm: PyTorch's own, with at least float32."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """RMSNorm of PyTorch, computed in at least float32. State-dict key: `weight`."""

    def __init__(self, d_model: int, eps: float = 1e-6):
        super().__init__(d_model, eps)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """x normalised token by token, in the dtype of x. ValueError: the last axis of x is not d_model."""
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"the last axis of x must be {self.weight.shape[0]}; got shape {tuple(x.shape)}")
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        out = nn.functional.rms_norm(x.to(torch.promote_types(x.dtype, weight.dtype)), self.normalized_shape, weight, self.eps)
        return out.to(x.dtype)
