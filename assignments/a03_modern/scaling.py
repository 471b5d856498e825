"""Three ways to slow the rotations of RoPE down, so that a sequence longer than any in training stays within known angles.

Each takes the frequencies θ and gives others. Left out: scaling that depends on the length of the sequence at hand, and the few
hundred steps of training on long sequences that each of them needs.
Source: linear: Chen et al., arXiv:2306.15595, §2.3; NTK-aware and YaRN: Peng et al., arXiv:2309.00071, §3.1 to §3.4.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def linear(theta: Float[Tensor, " pairs"], factor: float) -> Float[Tensor, " pairs"]:
    """Every rotation `factor` times slower, as if all positions were divided by it.  Source: arXiv:2306.15595, §2.3."""
    # TODO: new frequencies (handout: scaling, step 1).
    # Watch: slower, not faster.
    raise NotImplementedError("a03_modern/scaling.py: linear() is yours to write (handout: scaling, step 1)")


def ntk(theta: Float[Tensor, " pairs"], factor: float) -> Float[Tensor, " pairs"]:
    """The frequencies of a larger base, base · factor^(d / (d − 2)) with d = 2 · pairs, that is θ_i · factor^(−2i / (d − 2)).

    The fastest pair stays as it is, the slowest becomes `factor` times slower. With a single pair nothing changes.
    Source: arXiv:2309.00071, §3.1.
    """
    # TODO: new frequencies (handout: scaling, step 2).
    # Watch: which pair stays and which is slowed down in full; a single pair divides by zero.
    raise NotImplementedError("a03_modern/scaling.py: ntk() is yours to write (handout: scaling, step 2)")


def yarn(
    theta: Float[Tensor, " pairs"], factor: float, trained_length: int, slow: float = 1.0, fast: float = 32.0
) -> Float[Tensor, " pairs"]:
    """Pairs that rotate often within the trained length stay, those that never come round are divided by `factor`.

    With r_i the full rotations of pair i in trained_length positions and γ_i = (r_i − slow) / (fast − slow), cut to 0 … 1:
    γ_i · θ_i + (1 − γ_i) · θ_i / factor.

    slow, fast: full rotations at which the ramp begins and ends.
    Source: arXiv:2309.00071, §3.2.
    """
    # TODO: new frequencies (handout: scaling, step 3).
    # Watch: a full rotation is 2π; which end of the ramp keeps θ.
    raise NotImplementedError("a03_modern/scaling.py: yarn() is yours to write (handout: scaling, step 3)")


@dataclass(frozen=True)
class Scaling:
    """How to scale. Given.

    kind: "linear", "ntk" or "yarn".
    factor: how many times longer the sequences are, at least 1.
    trained_length: positions seen in training. Only yarn needs it.
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
        if self.kind == "yarn":
            return yarn(theta, self.factor, self.trained_length)
        return {"linear": linear, "ntk": ntk}[self.kind](theta, self.factor)

    @property
    def magnitude(self) -> float:
        """Factor on the rotated queries and keys: 1, but for yarn 0.1 · ln(factor) + 1.  Source: arXiv:2309.00071, §3.4."""
        return 0.1 * math.log(self.factor) + 1 if self.kind == "yarn" else 1.0
