"""Working layers, which are PyTorch's own. Names, keys, initialisation and errors are those of the assignment."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def truncated_normal_(weight: Tensor, std: float, cut: float = 2.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill `weight` in place by nn.init.trunc_normal_, so that what is left after cutting has standard deviation `std`.

    ValueError: std or cut is not positive.
    """
    if std <= 0 or cut <= 0:
        raise ValueError(f"std and cut must be positive; got {std} and {cut}")
    grid = torch.linspace(-cut, cut, 20_001, dtype=torch.float64)
    density = torch.distributions.Normal(0.0, 1.0).log_prob(grid).exp()
    wide = std / math.sqrt((grid.square() * density).sum() / density.sum())
    return nn.init.trunc_normal_(weight, 0, wide, -cut * wide, cut * wide, generator=generator)


def kaiming_normal_(
    weight: Float[Tensor, "out in"], gain: float = math.sqrt(2), generator: torch.Generator | None = None
) -> Float[Tensor, "out in"]:
    """Fill `weight` in place by nn.init.kaiming_normal_, with any gain."""
    with torch.no_grad():
        return nn.init.kaiming_normal_(weight, nonlinearity="linear", generator=generator).mul_(gain)


class Linear(nn.Linear):
    """A linear layer. Its state-dict keys are `weight` and, with bias=True, `bias`.

    init: "truncated" or "kaiming".
    ValueError: `init` is anything else.
    """

    def __init__(
        self, d_in: int, d_out: int, bias: bool = False, init: str = "truncated", generator: torch.Generator | None = None
    ):
        if init not in ("truncated", "kaiming"):
            raise ValueError(f'init must be "truncated" or "kaiming"; got {init!r}')
        super().__init__(d_in, d_out, bias)
        if init == "kaiming":
            kaiming_normal_(self.weight, generator=generator)
        else:
            truncated_normal_(self.weight, d_in**-0.5, generator=generator)
        if bias:
            nn.init.zeros_(self.bias)

    def reset_parameters(self) -> None:
        """Do nothing. nn.Linear would draw from the global generator here, and __init__ sets the parameters."""

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """The outputs of every row of x. ValueError: the last axis of x is not d_in."""
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(f"the last axis of x must be {self.in_features}; got shape {tuple(x.shape)}")
        return super().forward(x)


class Embedding(nn.Embedding):
    """A table with one row for each token of the vocabulary. Its state-dict key is `weight`."""

    def __init__(self, vocab_size: int, d_model: int, std: float = 1.0, generator: torch.Generator | None = None):
        super().__init__(
            vocab_size, d_model, _weight=truncated_normal_(torch.empty(vocab_size, d_model), std, generator=generator)
        )

    def forward(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """The row of each token. ValueError: a token is no whole number, or not in [0, vocab_size)."""
        if tokens.is_floating_point() or tokens.dtype == torch.bool:
            raise ValueError(f"tokens must be whole numbers; got {tokens.dtype}")
        if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < self.num_embeddings:
            raise ValueError(f"tokens must be in [0, {self.num_embeddings})")
        return super().forward(tokens.long())
