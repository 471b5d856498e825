"""Measure the grader of an assignment.

Right code must get all points, and stubs none. Every known mistake must be rejected by a check that is meant for it, and
named. Mechanical mutants must be noticed. Every tolerance must lie well between noise and mistake.

A check is meant for a misconception if it is in the test file of the module that the misconception is about.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.judge.judge import Drive
from autograder.report.report import Report, Row
from autograder.report.status import Status
from autograder.submission.working_copy import working_copy
from tools.author.cases import Case
from tools.author.extra_cases import grade_extra
from tools.author.mutant_runs import run_mutants
from tools.author.noise import idle_checks, noise_of_checks
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.seeds import grade_under_seeds
from tools.author.verification import MisconceptionGrade, ReferenceGrade, Verification
from tools.memory import PeakMemory

FULL_SCORE = 100
LARGEST_COLLATERAL = 0.15  # share of the assignment's points that one misconception may cost outside its own checks
MOST_ASKED = {"misconceptions": 12, "alternates": 3}  # of an assignment, however many parts it has
ASKED_PER_PART = {"misconceptions": 3, "alternates": 1}


def verify(assignment: Assignment, extra: Path | None = None, seeds: int = 0, quick: bool = False) -> Verification:
    """Measure the grader of an assignment.

    extra: a folder with more cases, see `grade_extra`.
    seeds: under how many other seeds right code is graded too.
    quick: leave the mutants out, and run a misconception on the checks of its own module alone.
    BadInput: `extra` is no folder.
    GraderFault: golden values were never recorded, or cannot be recorded under another seed.
    """
    checks = collect(assignment, hidden=True)
    problems: list[str] = []
    with reference_runs(assignment) as runs:
        return Verification(
            assignment=assignment.id,
            title=assignment.title,
            checks=len(checks),
            problems=problems,
            noise=noise_of_checks(runs, checks, problems),  # first, so that a missing golden value is reported at once
            idle=idle_checks(runs, checks),
            reference=_grade_reference(runs, checks, problems),
            stubs=_grade_stubs(runs, checks, problems),
            alternates=_grade_alternates(runs, checks, problems),
            misconceptions=_grade_misconceptions(runs, checks, quick, problems),
            mutants=None if quick else run_mutants(runs, checks, problems),
            seeds=grade_under_seeds(runs, checks, seeds, problems) if seeds else None,
            extra=grade_extra(runs, checks, extra, problems) if extra else None,
        )


def _grade_reference(runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> ReferenceGrade:
    started = time.monotonic()
    with PeakMemory(os.getpid()) as memory:
        report = runs.grade(runs.reference, checks)
    seconds = time.monotonic() - started
    problems += _lost_points(report, "the reference")
    return ReferenceGrade(report.score, round(seconds, 1), round(memory.peak / 2**20))


def _grade_stubs(runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> float:
    stubs = runs.grade(working_copy(runs.assignment.folder, runs.assignment, runs.scratch / "stubs"), checks)
    if stubs.score:
        problems.append(f"stubs get {stubs.score}: {[row.id for row in stubs.rows if row.points]}")
    return stubs.score


def _grade_alternates(runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> dict[str, float]:
    scores = {}
    for case in runs.cases("alternates"):
        report = runs.grade(runs.tree_of(case), checks)
        scores[f"{case.target}: {case.name}"] = report.score
        problems += _lost_points(report, f"alternate {case.name}")
    problems += _too_few("alternates", len(scores), runs.assignment)
    return scores


def _too_few(kind: str, count: int, assignment: Assignment) -> list[str]:
    minimum = minimum_cases(assignment)[kind]
    return [f"{count} {kind}, at least {minimum} are asked for"] if count < minimum else []


def minimum_cases(assignment: Assignment) -> dict[str, int]:
    """How many cases of each kind are asked for. Each part in a module counts, sums on paper do not."""
    parts = max(1, sum("." in part.name for part in assignment.parts))
    return {kind: min(most, ASKED_PER_PART[kind] * parts) for kind, most in MOST_ASKED.items()}


def _lost_points(report: Report, who: str) -> list[str]:
    """A sentence for the points that right code lost, and one for each fault of the grader."""
    sentences = []
    if report.score != FULL_SCORE:
        lost = [
            f"{row.id} ({row.message.splitlines()[0] if row.message else row.status})"
            for row in report.rows
            if row.points < row.max_points
        ]
        sentences.append(f"{who} gets {report.score} of {FULL_SCORE}: {lost}")
    return sentences + [f"{who}: fault in {row.id}: {row.message}" for row in report.faults]


def _grade_misconceptions(
    runs: ReferenceRuns, checks: Sequence[Check], quick: bool, problems: list[str]
) -> list[MisconceptionGrade]:
    grades = []
    for case in runs.cases("misconceptions"):
        own_checks = [check for check in checks if check.module == case.module]
        grades.append(_grade_misconception(case, runs, own_checks if quick else checks, problems))
    problems += _too_few("misconceptions", len(grades), runs.assignment)
    return grades


def _grade_misconception(case: Case, runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> MisconceptionGrade:
    report = _report_on(case, runs, checks)
    own, others = _lost_rows(report, case, own=True), _lost_rows(report, case, own=False)
    named = [row for row in own if row.misconception == case.name]
    if not own:
        problems.append(f"misconception {case.name} passes every check of its own module (score {report.score})")
    elif all(row.check.hidden for row in named):
        shown = sorted({row.misconception for row in own if row.misconception})
        problems.append(f"misconception {case.name} is rejected but not named; shown instead: {shown}")
    collateral = sum(row.max_points - row.points for row in others)
    if collateral > LARGEST_COLLATERAL * runs.assignment.points:
        checks_lost = [row.id for row in others]
        problems.append(f"misconception {case.name} costs {collateral:.1f} points outside its own checks: {checks_lost}")
    killed_by, named_by = [row.id for row in own], [row.id for row in named]
    return MisconceptionGrade(case.target, case.name, report.score, killed_by, named_by, round(collateral, 2))


def _report_on(case: Case, runs: ReferenceRuns, checks: Sequence[Check]) -> Report:
    """The report on a misconception. Training checks take seconds, so they run only if no other check of its module fails."""
    tree = runs.tree_of(case)
    fast = [check for check in checks if check.judge.drive != Drive.TRAIN]
    report = runs.grade(tree, fast)
    if _lost_rows(report, case, own=True) or len(fast) == len(checks):
        return report
    return runs.grade(tree, checks)


def _lost_rows(report: Report, case: Case, own: bool) -> list[Row]:
    """Rows that lost points, or that failed without points. own: those of the module of the case, or those of the others."""
    lost = (row for row in report.rows if row.points < row.max_points or row.status == Status.FAILED)
    return [row for row in lost if (row.check.module == case.module) == own]
