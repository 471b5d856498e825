"""Absolute positions: a vector for every position in the sequence, fixed (sines and cosines) or learned.

Attention by itself sees a set, not a sequence; what is added here is all that a model knows about order. Left out:
positions that act inside attention (rotary, relative), which come with a later assignment.
Source: Attention Is All You Need, arXiv:1706.03762, §3.5; GPT-2 (learned), Radford et al. 2019, §2.3.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal_positions(
    n_positions: int, d_model: int, base: float = 10_000.0, dtype: torch.dtype | None = None
) -> Float[Tensor, "n_positions d_model"]:
    """Row p holds sin(p · base^(−2i / d_model)) in channel 2i and the cosine of the same angle in channel 2i + 1.

    n_positions: rows, for positions 0, 1, 2, …  d_model: channels, an even number.  base: the longest wavelength is
    close to 2π · base positions.  dtype: of the result; torch's default when None. Angles are computed in at least
    float32. ValueError if d_model is odd.  Source: arXiv:1706.03762, §3.5.
    """
    if d_model % 2:
        raise ValueError(f"d_model must be even, because every angle fills two channels, a sine and a cosine; got {d_model}")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    # TODO: the whole table (handout: positions, step 1).
    # Watch: which channels share an angle; the exponent; compute in at least float32, return `dtype`.
    raise NotImplementedError(
        "a01_transformer/positions.py: sinusoidal_positions() is yours to write (handout: positions, step 1)"
    )


class LearnedPositions(nn.Module):
    """A trained vector for every position up to `n_positions`, added to the tokens.

    | state-dict key | shape |
    |---|---|
    | `weight` | (n_positions, d_model) |

    Source: GPT-2; also row (E) of table 3 in arXiv:1706.03762, where it did as well as the sines.
    """

    def __init__(self, n_positions: int, d_model: int):
        super().__init__()
        self.n_positions = n_positions
        self.weight = nn.Parameter(0.02 * torch.randn(n_positions, d_model))

    def forward(self, x: Float[Tensor, "*batch seq_len d_model"], offset: int = 0) -> Float[Tensor, "*batch seq_len d_model"]:
        """x with row `offset` of the table added to its first token, the next row to the next token, and so on.

        offset: position of the first token, above 0 when earlier tokens are already in a cache. `x` itself is left as
        it is. ValueError if a token would stand at a position that the table does not have.
        """
        seq_len = x.shape[-2]
        if offset < 0 or offset + seq_len > self.n_positions:
            raise ValueError(
                f"positions {offset} to {offset + seq_len - 1} were asked for, and the table holds 0 to "
                f"{self.n_positions - 1}; shorten the sequence or build the model with a larger n_positions"
            )
        # TODO: add the right rows to the tokens (handout: positions, step 2).
        # Watch: any number of leading axes, and every one of their entries; where counting starts.
        raise NotImplementedError(
            "a01_transformer/positions.py: LearnedPositions.forward() is yours to write (handout: positions, step 2)"
        )
