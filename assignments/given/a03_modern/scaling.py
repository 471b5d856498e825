"""Working scalings of the frequencies of RoPE."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def linear(theta: Float[Tensor, " pairs"], factor: float) -> Float[Tensor, " pairs"]:
    """Every rotation `factor` times slower."""
    return torch.div(theta, factor)


def ntk(theta: Float[Tensor, " pairs"], factor: float) -> Float[Tensor, " pairs"]:
    """The frequencies of a larger base. The fastest pair stays, the slowest becomes `factor` times slower."""
    return torch.logspace(0, -1 if len(theta) > 1 else 0, len(theta), factor, dtype=theta.dtype, device=theta.device).mul(theta)


def yarn(
    theta: Float[Tensor, " pairs"], factor: float, trained_length: int, slow: float = 1.0, fast: float = 32.0
) -> Float[Tensor, " pairs"]:
    """Pairs that rotate often within the trained length stay, those that never come round are divided by `factor`.

    slow, fast: full rotations at which the ramp begins and ends.
    """
    wavelengths = math.tau / theta
    ramp = torch.clip((trained_length / wavelengths - slow) / (fast - slow), min=0, max=1)
    return torch.lerp(torch.div(theta, factor), theta, ramp)


@dataclass(frozen=True)
class Scaling:
    """How to scale. The fields are explained in the assignment.

    ValueError: the kind is another one, the factor is below 1, or yarn has no trained_length.
    """

    kind: str
    factor: float
    trained_length: int | None = None

    def __post_init__(self):
        if self.kind not in ("linear", "ntk", "yarn") or not self.factor >= 1:
            raise ValueError(f'needed: kind "linear", "ntk" or "yarn" and factor ≥ 1; got {self.kind!r} and {self.factor}')
        if self.kind == "yarn" and not self.trained_length:
            raise ValueError("yarn has to know how many positions the model was trained on; set trained_length")

    def scale(self, theta: Float[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """The scaled frequencies."""
        extra = (self.trained_length,) if self.kind == "yarn" else ()
        return globals()[self.kind](theta, self.factor, *extra)

    @property
    def magnitude(self) -> float:
        """Factor on cosines and sines. It differs from 1 only for yarn."""
        return 1 + math.log(self.factor) / 10 if self.kind == "yarn" else 1.0
