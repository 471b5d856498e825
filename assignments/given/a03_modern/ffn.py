"""A working SwiGLU over PyTorch's SiLU."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x · σ(x), in the dtype of x."""
    return F.silu(x)


def hidden_size(d_model: int, multiple_of: int = 8) -> int:
    """8/3 · d_model, rounded up to a multiple. ValueError: a number is not positive."""
    if min(d_model, multiple_of) < 1:
        raise ValueError(f"needed: positive numbers; got {d_model} and {multiple_of}")
    return next(h for h in range(multiple_of, 8 * d_model + multiple_of, multiple_of) if 3 * h >= 8 * d_model)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)). State-dict keys: `gate.weight`, `up.weight`, `down.weight`."""

    def __init__(self, d_model: int, hidden: int | None = None):
        super().__init__()
        sizes = d_model, hidden or hidden_size(d_model)
        self.gate, self.up = (nn.Linear(*sizes, bias=False) for _ in range(2))
        self.down = nn.Linear(*reversed(sizes), bias=False)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The forward pass through the three layers."""
        return self.down(F.silu(self.gate(x)).mul(self.up(x)))
