"""A course and its assignments: where their files lie, and what each `assignment.toml` says."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from autograder.errors import BadInput


@dataclass(frozen=True)
class Part:
    """What a student writes for some points.

    name: the module and the definition, "attention.causal_mask".
    number: its place in the assignment, from 1.
    """

    name: str
    title: str
    points: float
    number: int


@dataclass(frozen=True)
class Assignment:
    """One assignment.

    id: "a01".
    package: "a01_transformer".
    folder: where it lies, assignments/a01_transformer of its course.
    deliverables: names of the files that students write in.
    seconds, memory_mb: limits of one check.
    forbidden: names of library functions that a submission must not call.
    preload: modules to import before workers are forked.
    processes: how many processes a check may start besides its own.
    gradescope: the table of that name in assignment.toml, as it stands there.
    also: names of further files that ship beside the deliverables and are nobody's to write.
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
    gradescope: dict = field(default_factory=dict, compare=False)
    also: tuple[str, ...] = ()

    @property
    def course(self) -> "Course":
        """The course that the folder lies in."""
        return Course(self.folder.parent.parent)

    @property
    def points(self) -> float:
        """The points of all parts."""
        return sum(part.points for part in self.parts)

    @property
    def reference(self) -> Path:
        """The folder of the solution and its cases. Students do not have it."""
        return self.course.reference / self.package

    @property
    def hidden(self) -> Path:
        """The folder of the checks that students do not get."""
        return self.reference / "hidden"

    def part(self, name: str) -> Part:
        """The part of that name. BadInput: there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise BadInput(f"{self.package}/assignment.toml has no part {name!r}; it has {', '.join(p.name for p in self.parts)}")


@dataclass(frozen=True)
class Course:
    """A course: the folder that holds `assignments/` and, where there is one, `reference/`. root: that folder.

    An entry point makes it once (`Course.here()`) and passes it on, or passes on an assignment, which knows its course.
    """

    root: Path

    @classmethod
    def here(cls) -> "Course":
        """The course in COURSE_DIR, or else the one that this grader lies in."""
        return cls(Path(os.environ.get("COURSE_DIR") or Path(__file__).resolve().parent.parent))

    @property
    def assignments(self) -> Path:
        """The folder of the assignments, as students get them."""
        return self.root / "assignments"

    @property
    def reference(self) -> Path:
        """The folder of the solutions. Students do not have it."""
        return self.root / "reference"

    @property
    def given(self) -> Path:
        """The package of the given parts."""
        return self.assignments / "given"

    def known(self) -> dict[str, Path]:
        """Folders of the assignments by short name, "a01"."""
        folders = sorted(self.assignments.glob("a[0-9][0-9]_*"))
        return {folder.name[:3]: folder for folder in folders if (folder / "assignment.toml").exists()}

    def load(self, name: str) -> Assignment:
        """The assignment called "a01", "01", "1" or "a01_transformer".

        BadInput: there is no such assignment, and these are there. Or its assignment.toml is not as expected.
        """
        digits = re.fullmatch(r"a?(\d{1,2})(_\w*)?/?", name.strip())
        folder = self.known().get(f"a{int(digits[1]):02d}") if digits else None
        if folder is None:
            raise BadInput(f"there is no assignment {name!r}; there are {', '.join(self.known()) or 'none yet'}")
        return read(folder)


def read(folder: Path) -> Assignment:
    """The assignment in a folder. BadInput: its assignment.toml is not as expected."""
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
            tuple(table.get("also", ())),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadInput(f"{folder.name}/assignment.toml cannot be used: {type(error).__name__}: {error}") from error
