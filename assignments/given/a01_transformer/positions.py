"""Working positions, with torch doing the work. Same names, shapes, keys and errors as in the assignment."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal_positions(
    n_positions: int, d_model: int, base: float = 10_000.0, dtype: torch.dtype | None = None
) -> Float[Tensor, "time d_model"]:
    """The fixed table, with each angle as a point on the complex circle."""
    if d_model % 2:
        raise ValueError(f"d_model must be even; got {d_model}")
    dtype = dtype or torch.get_default_dtype()
    rates = torch.logspace(0, 2 / d_model - 1, d_model // 2, base, dtype=torch.promote_types(dtype, torch.float32))
    circle = torch.exp(1j * torch.outer(torch.arange(n_positions).to(rates), rates))
    return torch.view_as_real(circle).flip(-1).flatten(1).to(dtype)


class LearnedPositions(nn.Embedding):
    """An nn.Embedding that knows which rows to look up; key `weight`."""

    def __init__(self, n_positions: int, d_model: int):
        super().__init__(n_positions, d_model)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Float[Tensor, "*batch time d_model"], offset: int = 0) -> Float[Tensor, "*batch time d_model"]:
        last = offset + x.shape[-2]
        if offset < 0 or last > self.num_embeddings:
            raise ValueError(f"positions up to {last - 1} asked for; the table holds 0 to {self.num_embeddings - 1}")
        return torch.add(x, F.embedding(torch.arange(offset, last, device=x.device), self.weight))
