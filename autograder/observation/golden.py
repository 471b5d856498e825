"""Golden observations: what the reference returned, how far float32 may lie from it, and what mistakes look like.

`python -m tools golden` writes them, and `golden_files.py` reads them. The reference itself never ships.
"""

from dataclasses import dataclass, field

from autograder.observation.leaf import Leaf


@dataclass
class Expected:
    """One golden leaf.

    noise: largest absolute difference between right versions.
    tolerance: absolute difference up to which a value is right.
    random: only shape and dtype count.
    """

    value: Leaf
    noise: float = 0.0
    tolerance: float = 0.0
    random: bool = False


@dataclass
class Fingerprint:
    """What one misconception looks like in one check.

    case: name of the misconception.
    leaves: for each leaf, what `fingerprint.fingerprint` makes of it. A mistake that raises has the single leaf "raised",
        with type and message of the exception.
    distance: the largest distance of a float32 or float64 leaf in units of its tolerance. inf where something else differs.
    """

    case: str
    leaves: dict[str, list | str]
    distance: float


@dataclass
class Golden:
    """What one check expects.

    inputs: digests of the drawn inputs, as they should be afterwards.
    """

    leaves: dict[str, Expected] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)
