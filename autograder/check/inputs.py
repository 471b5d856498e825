"""Which inputs the checks of a grade draw, and where the golden values for them lie.

A local grade draws public inputs, and their golden values lie beside the checks. The official grade draws others, which
follow from a secret of the course. Nobody can look up what it expects. Both ask for the same things.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.errors import GraderFault

OFFICIAL = "official"  # the folder of secret and values, beside the solutions
SECRET = "secret"


@dataclass(frozen=True)
class Inputs:
    """What a grade draws.

    seed: is added to the seed of each check.
    golden: a folder with golden values in `tests/` and `hidden/`. None: they lie beside the checks.
    name: "public", or a digest of the secret, by which two grades can be compared.
    """

    seed: int = 0
    golden: Path | None = None
    name: str = "public"

    def golden_of(self, check: Check) -> Path:
        """Where the golden values of a check lie, without suffix."""
        if self.golden is None:
            return check.path.parent / "golden" / check.path.stem
        return self.golden / ("hidden" if check.hidden else "tests") / check.path.stem

    @property
    def are_public(self) -> bool:
        """Whether students can know the inputs."""
        return self.golden is None


PUBLIC = Inputs()


def of_secret(secret: str, golden: Path) -> Inputs:
    """The inputs that follow from a secret. golden: the folder of their golden values."""
    seed = int.from_bytes(hashlib.sha256(f"inputs {secret}".encode()).digest()[:4], "big")
    return Inputs(seed, golden, hashlib.sha256(f"name {secret}".encode()).hexdigest()[:10])


def official(assignment: Assignment) -> Inputs:
    """The inputs of the official grade. They are the public ones where the course has no secret yet.

    GraderFault: there is a secret, and nothing was recorded for it.
    """
    folder = assignment.course.reference / OFFICIAL
    if not (folder / SECRET).is_file():
        return PUBLIC
    golden = folder / assignment.package
    if not golden.is_dir():
        raise GraderFault(f"the official values of {assignment.id} were never recorded; `make gradescope` and `make batch` do it")
    return of_secret((folder / SECRET).read_text(encoding="ascii").strip(), golden)
