"""The two layers that hold nearly all parameters of a language model, and their initialisation.

A linear layer multiplies, an embedding looks up. Left out: everything with a formula of its own (norms, attention,
activations), which comes with the transformer.
Source: Kaiming He et al., arXiv:1502.01852, §2.2 (variance); the layouts are those of PyTorch.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def truncated_normal_(weight: Tensor, std: float, cut: float = 2.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill `weight` in place with numbers of a normal distribution cut off at ± `cut` of its own deviations; returns it.

    What is left has mean 0 and standard deviation `std`, so the distribution that is cut is wider than that: for cut 2 by
    1/0.8796, and its numbers end at ± 2.274 `std`. generator: where the random numbers come from; PyTorch's global one
    when None. ValueError unless std and cut are positive.
    """
    if std <= 0 or cut <= 0:
        raise ValueError(f"std and cut must be positive; got std {std} and cut {cut}")
    # TODO: the numbers (handout: layers, step 1).
    # Watch: what cutting does to the deviation; numbers moved to the edge are not cut off; no graph, and in place.
    # BEGIN SOLUTION
    inside = math.erf(cut / math.sqrt(2))  # share of a normal distribution within ± cut deviations
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    kept = math.sqrt(1 - 2 * cut * density / inside)  # deviation of what is left of N(0, 1)
    with torch.no_grad():
        weight.uniform_(-inside, inside, generator=generator).erfinv_()  # the inverse distribution function, but for √2
        return weight.mul_(math.sqrt(2) * std / kept).clamp_(-cut * std / kept, cut * std / kept)  # for rounding alone
    # END SOLUTION


def kaiming_normal_(
    weight: Float[Tensor, "out in"], gain: float = math.sqrt(2), generator: torch.Generator | None = None
) -> Float[Tensor, "out in"]:
    """Fill `weight` in place with N(0, gain² / in), so that the layer keeps the mean square of its input; returns it.

    gain: √2 in front of a ReLU, which throws away half; 1 in front of nothing.  Source: arXiv:1502.01852, eq. 10.
    """
    # TODO: the numbers (handout: layers, step 2).
    # Watch: which of the two axes counts; deviation or variance.
    # BEGIN SOLUTION
    with torch.no_grad():
        return weight.normal_(0, gain / math.sqrt(weight.shape[1]), generator=generator)
    # END SOLUTION


class Linear(nn.Module):
    """x Wᵀ (+ b): every output is a weighted sum of all inputs, the same for every leading axis.

    | state-dict key | shape | |
    |---|---|---|
    | `weight` | (d_out, d_in) | |
    | `bias` | (d_out,) | starts at 0; absent unless bias=True |

    init: "truncated" starts from `truncated_normal_` with std 1/√d_in, "kaiming" from `kaiming_normal_`, for a layer in
    front of a ReLU; anything else is a ValueError. generator: as in those.
    """

    def __init__(
        self, d_in: int, d_out: int, bias: bool = False, init: str = "truncated", generator: torch.Generator | None = None
    ):
        super().__init__()
        if init not in ("truncated", "kaiming"):
            raise ValueError(f'init must be "truncated" or "kaiming"; got {init!r}')
        # TODO: the parameters of the table, and their initialisation (handout: layers, step 3).
        # Watch: which axis comes first; what makes a tensor a parameter; a layer without a bias still has that attribute.
        # BEGIN SOLUTION
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
        if init == "kaiming":
            kaiming_normal_(self.weight, generator=generator)
        else:
            truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """The outputs of every row of x; ValueError if its last axis is not d_in."""
        if x.shape[-1:] != self.weight.shape[1:]:
            raise ValueError(f"the last axis of x must be d_in = {self.weight.shape[1]}; got shape {tuple(x.shape)}")
        # TODO: the product (handout: layers, step 4).
        # Watch: x may have no leading axis, or three; maybe no bias.
        # BEGIN SOLUTION
        out = x @ self.weight.mT
        return out if self.bias is None else out + self.bias
        # END SOLUTION


class Embedding(nn.Module):
    """A table with one row for each token of the vocabulary; looking up is all it does.

    | state-dict key | shape | |
    |---|---|---|
    | `weight` | (vocab_size, d_model) | starts from `truncated_normal_` with `std` |

    std: standard deviation of the initial numbers. generator: as in `truncated_normal_`.
    """

    def __init__(self, vocab_size: int, d_model: int, std: float = 1.0, generator: torch.Generator | None = None):
        super().__init__()
        # TODO: the table and its initialisation (handout: layers, step 5).
        # BEGIN SOLUTION
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        truncated_normal_(self.weight, std, generator=generator)
        # END SOLUTION

    def forward(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """The row of each token; ValueError for numbers that are not whole, or not in [0, vocab_size)."""
        # TODO: the rows (handout: layers, step 6).
        # Watch: tokens of any shape; what Python makes of −1, and torch of booleans, as an index; a table of n rows ends
        # at n − 1.
        # BEGIN SOLUTION
        vocab_size = self.weight.shape[0]
        if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise ValueError(f"tokens must be whole numbers, such as torch.int64; got {tokens.dtype}")
        if tokens.numel() and (tokens.min() < 0 or tokens.max() >= vocab_size):
            raise ValueError(f"tokens must be in [0, {vocab_size}); got {tokens.min()} to {tokens.max()}")
        return self.weight[tokens.long()]
        # END SOLUTION
