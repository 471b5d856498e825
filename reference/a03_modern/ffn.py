"""SwiGLU: an MLP whose hidden layer is a product, of what is there and of how much of it passes.

Left out: other gates (GELU, none), which the source compares, and biases.
Source: GLU Variants Improve Transformer, arXiv:2002.05202, §2; SiLU: arXiv:1606.08415, §2; the hidden size: LLaMA, arXiv:2302.13971, §2.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x · σ(x), with σ(x) = 1 / (1 + e^(−x)). It is computed in at least float32, and the result has the dtype of x."""
    # TODO: the activation (handout: ffn, step 1).
    # Watch: e^(−x) overflows where its gradient should be 0.
    # BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * wide.sigmoid()).to(x.dtype)
    # END SOLUTION


def hidden_size(d_model: int, multiple_of: int = 8) -> int:
    """8/3 · d_model, rounded up to a multiple. Three matrices of this size hold as many weights as two of 4 · d_model.

    ValueError: a number is not positive.
    """
    if d_model < 1 or multiple_of < 1:
        raise ValueError(f"needed: d_model ≥ 1 and multiple_of ≥ 1; got {d_model} and {multiple_of}")
    # TODO: one whole number (handout: ffn, step 2).
    # Watch: 8/3 is no whole number, and is no float either; up, and not at all when it fits.
    # BEGIN SOLUTION
    multiples = -(-8 * d_model // (3 * multiple_of))  # whole numbers only, rounded up
    return multiples * multiple_of
    # END SOLUTION


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)), each token on its own.

    | state-dict key | shape |
    |---|---|
    | `gate.weight`, `up.weight` | (hidden, d_model) |
    | `down.weight` | (d_model, hidden) |

    There are no biases.

    hidden: size of the hidden layer. None: `hidden_size(d_model)`.
    Source: arXiv:2002.05202, eq. 6.
    """

    def __init__(self, d_model: int, hidden: int | None = None):
        super().__init__()
        # TODO: the three linear layers (handout: ffn, step 3).
        # Watch: the table above.
        # BEGIN SOLUTION
        hidden = hidden_size(d_model) if hidden is None else hidden
        self.gate, self.up = (nn.Linear(d_model, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, d_model, bias=False)
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The forward pass through the three layers."""
        # TODO: the forward pass (handout: ffn, step 4).
        # Watch: which branch goes through silu, and when.
        # BEGIN SOLUTION
        return self.down(silu(self.gate(x)) * self.up(x))
        # END SOLUTION
