"""Golden observations: what the reference was seen to do, how far float32 may lie from it, and what mistakes look like.

One pair of files a test file, beside the checks: `golden/test_rope.json` (structure, noise, tolerances, fingerprints) and
`golden/test_rope.safetensors` (the values). Written by `python -m tools golden`, read here; the reference never ships.
"""

from dataclasses import dataclass, field

from autograder.observation.leaf import Leaf


@dataclass
class Expected:
    """One golden leaf. value: Array or plain value; noise and tolerance: absolute; random: only shape and dtype count."""

    value: Leaf
    noise: float = 0.0
    tolerance: float = 0.0
    random: bool = False


@dataclass
class Fingerprint:
    """What one misconception looks like in one check: a projection of each float leaf, anything else in short.

    One that raises has the single leaf "raised", the exception's type and message. distance: the largest distance of a
    float32 or float64 leaf in units of its tolerance; inf where something else tells.
    """

    case: str
    leaves: dict[str, list | str]
    distance: float


@dataclass
class Golden:
    """What one check expects."""

    leaves: dict[str, Expected] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)
