"""Working positions, built from PyTorch's own functions. Names, shapes, keys and errors are those of the assignment."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal_positions(
    n_positions: int, d_model: int, base: float = 10_000.0, dtype: torch.dtype | None = None
) -> Float[Tensor, "n_positions d_model"]:
    """The fixed table of sines and cosines. Each angle is computed as a point on the complex unit circle.

    ValueError: d_model is odd.
    """
    if d_model % 2:
        raise ValueError(f"d_model must be even; got {d_model}")
    dtype = dtype or torch.get_default_dtype()
    rates = torch.logspace(0, 2 / d_model - 1, d_model // 2, base, dtype=torch.promote_types(dtype, torch.float32))
    circle = torch.exp(1j * torch.outer(torch.arange(n_positions).to(rates), rates))
    return torch.view_as_real(circle).flip(-1).flatten(1).to(dtype)


class LearnedPositions(nn.Embedding):
    """A trained vector for every position: an nn.Embedding that knows which rows to look up. Its state-dict key is `weight`."""

    def __init__(self, n_positions: int, d_model: int):
        super().__init__(n_positions, d_model)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Float[Tensor, "*batch seq_len d_model"], offset: int = 0) -> Float[Tensor, "*batch seq_len d_model"]:
        """x with the vector of each position added. offset: position of the first token.

        ValueError: a token would stand at a position that the table does not have.
        """
        last = offset + x.shape[-2]
        if offset < 0 or last > self.num_embeddings:
            raise ValueError(f"positions up to {last - 1} asked for; the table holds 0 to {self.num_embeddings - 1}")
        return torch.add(x, F.embedding(torch.arange(offset, last, device=x.device), self.weight))
