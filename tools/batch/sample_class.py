"""A class of made-up submissions in the layout of a Gradescope export, for benchmarks and for looking at the pages.

Each submission is the reference with up to five misconceptions in different functions. Every tenth is the stubs as they
are. The same seed gives the same class. It holds solutions, so keep it where students cannot read it.
"""

import random
import shutil
from pathlib import Path

import yaml

from autograder.assignment import Assignment
from tools.author.cases import Case
from tools.author.reference_runs import cases_of
from tools.author.replace_definition import replace_definition
from tools.batch.export import METADATA


def write_class(assignment: Assignment, to: Path, size: int, seed: int = 0) -> None:
    """Write `size` submissions and their metadata below `to`. FileExistsError if a submission is there already."""
    rng = random.Random(seed)
    cases = cases_of(assignment, "misconceptions")
    table = {}
    for number in range(1, size + 1):
        folder = to / f"submission_{1000 + number}"
        folder.mkdir(parents=True)
        is_untouched = number % 10 == 0
        source = assignment.folder if is_untouched else assignment.reference
        for name in assignment.deliverables:
            shutil.copy(source / name, folder / name)
        if not is_untouched:
            _make_mistakes(folder, rng.sample(cases, rng.randrange(6)))
        table[folder.name] = _metadata(number)
    (to / METADATA).write_text(yaml.safe_dump(table), encoding="utf-8")


def _metadata(number: int) -> dict[str, object]:
    student = {":name": f"Student {number:03d}", ":sid": f"{number:05d}", ":email": f"student{number}@example.org"}
    return {":submitters": [student], ":created_at": f"2026-11-06 07:{number % 60:02d}:47.644186000 Z"}


def _make_mistakes(folder: Path, cases: list[Case]) -> None:
    """Put the cases into the files of a submission, at most one in each function or class.

    A second one in the same definition would not find what it replaces.
    """
    changed: set[str] = set()
    for case in cases:
        definition = f"{case.module}.{case.qualname.split('.')[0]}"
        if definition not in changed:
            changed.add(definition)
            file = folder / f"{case.module}.py"
            file.write_text(replace_definition(file.read_text(encoding="utf-8"), case.qualname, case), encoding="utf-8")
