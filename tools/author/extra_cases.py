"""Grade cases from outside the repository: misconceptions, alternates and whole submissions."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.check.check import Check
from autograder.errors import BadInput
from autograder.report.report import Report
from autograder.report.status import Status
from autograder.submission.working_copy import Tree, working_copy
from tools.author.cases import load_cases
from tools.author.reference_runs import ReferenceRuns
from tools.author.verification import ExtraGrade, ShownFailure


@dataclass(frozen=True)
class _Extra:
    """label: what the page calls it; lowest and highest: the scores that are right."""

    label: str
    tree: Tree
    lowest: float
    highest: float


def grade_extra(runs: ReferenceRuns, checks: Sequence[Check], folder: Path, problems: list[str]) -> list[ExtraGrade]:
    """Grade each case of a folder. Problems are appended.

    The folder may hold `misconceptions.py` or `misconceptions/`, which should lose points; `alternates.py` or
    `alternates/`, which should get all; and `submissions/NAME/`, whose `expect.toml` may hold `min_score` and `max_score`.
    BadInput: there is no such folder.
    ValueError: a case is faulty.
    """
    if not folder.is_dir():
        may_hold = "misconceptions.py or misconceptions/, alternates.py or alternates/, and submissions/NAME/"
        raise BadInput(f"--extra {folder} is no folder; it may hold {may_hold}")
    grades = []
    for extra in [*_cases(runs, folder), *_submissions(runs, folder / "submissions")]:
        report = runs.grade(extra.tree, checks)
        grades.append(ExtraGrade(extra.label, report.score, (extra.lowest, extra.highest), _failures(report)))
        if not extra.lowest <= report.score <= extra.highest:
            problems.append(f"extra {extra.label} gets {report.score}, expected {extra.lowest:g} to {extra.highest:g}")
    return grades


def _cases(runs: ReferenceRuns, folder: Path) -> Iterator[_Extra]:
    for kind, lowest, highest in (("misconceptions", 0.0, 99.99), ("alternates", 100.0, 100.0)):
        for path in filter(Path.exists, (folder / f"{kind}.py", folder / kind)):
            for case in load_cases(path):
                tree = runs.tree_of(case, f"extra_{case.name}")
                yield _Extra(f"{kind.removesuffix('s')} {case.name}", tree, lowest, highest)


def _submissions(runs: ReferenceRuns, folder: Path) -> Iterator[_Extra]:
    for path in sorted(folder.glob("*/")):
        bounds = tomllib.loads((path / "expect.toml").read_text()) if (path / "expect.toml").exists() else {}
        tree = working_copy(path, runs.assignment, runs.scratch / "extra" / path.name)
        yield _Extra(f"submission {path.name}", tree, bounds.get("min_score", 0.0), bounds.get("max_score", 100.0))


def _failures(report: Report) -> list[ShownFailure]:
    return [
        ShownFailure(row.id, row.hint or row.message.split("\n")[0], row.misconception)
        for row in report.rows
        if row.status == Status.FAILED
    ]
