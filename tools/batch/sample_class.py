"""A class of made-up submissions in the layout of a Gradescope export, for benchmarks and for looking at the pages.

Each is the reference with up to five misconceptions in different functions; every tenth is untouched stubs. The same class
for the same seed. It holds solutions: keep it where students cannot read it.
"""

import random
import shutil
from pathlib import Path

import yaml

from autograder.assignment import Assignment
from tools.author.reference_runs import cases_of
from tools.author.replace_definition import replace_definition
from tools.batch.export import METADATA


def write_class(assignment: Assignment, to: Path, size: int, seed: int = 0) -> None:
    """Write `size` submissions below `to`, a new folder."""
    stream, source = random.Random(seed), assignment.reference
    cases = cases_of(assignment, "misconceptions")
    table = {}
    for number in range(1, size + 1):
        folder = to / f"submission_{1000 + number}"
        folder.mkdir(parents=True)
        for name in assignment.deliverables:
            shutil.copy((assignment.folder if number % 10 == 0 else source) / name, folder / name)
        if number % 10:
            _mistaken(folder, stream.sample(cases, stream.randrange(6)))
        table[folder.name] = {
            ":submitters": [
                {":name": f"Student {number:03d}", ":sid": f"{number:05d}", ":email": f"student{number}@example.org"}
            ],
            ":created_at": f"2026-11-06 07:{number % 60:02d}:47.644186000 Z",
        }
    (to / METADATA).write_text(yaml.safe_dump(table), encoding="utf-8")


def _mistaken(folder: Path, cases: list) -> None:
    """One mistake for a function or class: the overlay of a second one would not find what it replaces."""
    touched: set[str] = set()
    for case in cases:
        place = f"{case.module}.{case.qualname.split('.')[0]}"
        if place not in touched:
            touched.add(place)
            file = folder / f"{case.module}.py"
            file.write_text(replace_definition(file.read_text(encoding="utf-8"), case.qualname, case), encoding="utf-8")
