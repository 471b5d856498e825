"""Grade right code under many seeds, to see whether a check ever fails it by chance."""

from collections.abc import Sequence
from dataclasses import replace

from autograder.check.check import Check
from autograder.check.inputs import Inputs
from autograder.grading import Grader
from autograder.judge.judge import Drive
from autograder.observation.golden import Golden
from tools.author.golden import record
from tools.author.reference_runs import ReferenceRuns
from tools.author.verification import SeedGrades

TRAINED = 10  # grades in which training checks run too


def grade_under_seeds(runs: ReferenceRuns, checks: Sequence[Check], seeds: int, problems: list[str]) -> SeedGrades:
    """Grade the reference and the alternates in turn under the seeds 1 to `seeds`. Problems are appended.

    Golden values are recorded anew for each seed. Training checks keep theirs: they run in the first TRAINED grades, on
    the text that is recorded, from another start and with other batches. Other stepwise checks do not run.
    GraderFault: a check cannot be recorded under a seed.
    """
    plain = [check for check in checks if check.judge.drive == Drive.OBSERVE and not check.device]
    training = [check for check in checks if check.judge.drive == Drive.TRAIN]
    trees = [("reference", runs.reference)] + [(case.name, runs.tree_of(case)) for case in runs.cases("alternates")]
    on_disk = Grader(runs.runner)
    goldens_of_training = {check.id: on_disk.golden(check) for check in training}
    flaky = []
    for seed in range(1, seeds + 1):
        seeded = replace(runs, runner=replace(runs.runner, inputs=Inputs(seed)))
        grader = _grader(seeded, record(seeded, plain, fingerprints=False) | goldens_of_training)
        name, tree = trees[seed % len(trees)]
        flaky += [
            f"seed {seed}, {name}: {check.id}: {judgement.message.splitlines()[0]}"
            for check in (plain + training if seed <= TRAINED else plain)
            if (judgement := grader.judge(check, tree)).share < 1
        ]
    problems += [f"flaky: {line}" for line in flaky]
    return SeedGrades(seeds, flaky)


def _grader(runs: ReferenceRuns, goldens: dict[str, Golden]) -> Grader:
    """A grader that expects these golden values, by the id of the check."""
    return Grader(runs.runner, lambda check: goldens[check.id])
