"""An assignment as its `assignment.toml` describes it, and where its files lie."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from autograder.errors import BadInput

ROOT = Path(os.environ.get("COURSE_DIR") or Path(__file__).resolve().parent.parent)  # another course's root, for tests
ASSIGNMENTS, REFERENCE = ROOT / "assignments", ROOT / "reference"


@dataclass(frozen=True)
class Part:
    """What a student writes for some points. name: "attention.causal_mask"; number: its place, from 1."""

    name: str
    title: str
    points: float
    number: int


@dataclass(frozen=True)
class Assignment:
    """One assignment. id: "a01"; package: "a01_transformer"; seconds, memory_mb: limits of one check.

    preload: modules to import before workers are forked; processes: how many a check may start besides its own.
    """

    id: str
    package: str
    folder: Path
    title: str
    deliverables: tuple[str, ...]
    parts: tuple[Part, ...]
    seconds: float
    memory_mb: int
    forbidden: tuple[str, ...]
    preload: tuple[str, ...]
    processes: int = 0
    gradescope: dict = field(default_factory=dict, compare=False)  # the optional table; gradescope.py reads it

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)

    @property
    def hidden(self) -> Path:
        """Where the checks lie that never ship to students."""
        return REFERENCE / self.package / "hidden"

    def part(self, name: str) -> Part:
        """The part of that name. BadInput if a check names one that does not exist."""
        for part in self.parts:
            if part.name == name:
                return part
        raise BadInput(f"{self.package}/assignment.toml has no part {name!r}; it has {', '.join(p.name for p in self.parts)}")


def known() -> dict[str, Path]:
    """Folders of the assignments by short name."""
    return {f.name[:3]: f for f in sorted(ASSIGNMENTS.glob("a[0-9][0-9]_*")) if (f / "assignment.toml").exists()}


def load(name: str) -> Assignment:
    """The assignment called "a01", "01", "1" or "a01_transformer". BadInput lists what there is."""
    digits = re.fullmatch(r"a?(\d{1,2})(_\w*)?/?", name.strip())
    folder = known().get(f"a{int(digits[1]):02d}") if digits else None
    if folder is None:
        raise BadInput(f"there is no assignment {name!r}; there are {', '.join(known()) or 'none yet'}")
    return read(folder)


def read(folder: Path) -> Assignment:
    """The assignment in a folder. BadInput when its assignment.toml is not as expected."""
    try:
        table = tomllib.loads((folder / "assignment.toml").read_text(encoding="utf-8"))
        parts = tuple(Part(p["name"], p["title"], p["points"], i) for i, p in enumerate(table["parts"], 1))
        return Assignment(
            folder.name[:3],
            folder.name,
            folder,
            table["title"],
            tuple(table["deliverables"]),
            parts,
            table["limits"]["seconds"],
            table["limits"]["memory_mb"],
            tuple(table["forbidden"]),
            tuple(table.get("preload", ())),
            table["limits"].get("processes", 0),
            dict(table.get("gradescope", {})),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadInput(f"{folder.name}/assignment.toml cannot be used: {type(error).__name__}: {error}") from error
