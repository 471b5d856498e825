"""Recorded answers are worth next to nothing where inputs are drawn anew, and right code is worth as much as ever."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.assignment import Course
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.check.inputs import Inputs
from autograder.grading import Grader
from autograder.judge.judge import Drive
from autograder.observation.golden import Golden
from autograder.observation.golden_files import save_goldens
from autograder.submission.working_copy import working_copy
from tools.author.golden import record
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.replay import replayed
from tools.tests.assignment_facts import seed
from tools.tests.author.replaying_submission import write_replay

HERE = Course.here()
MOST = 5.0  # points for whoever replays every public golden value
EACH = pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "a00")) for name in HERE.known()])


def under(runs: ReferenceRuns, number: int) -> ReferenceRuns:
    """The same runs with other inputs."""
    return replace(runs, runner=replace(runs.runner, inputs=Inputs(number)))


def right_code_fails(runs: ReferenceRuns, checks: list[Check], goldens: dict[str, Golden], alternates: bool) -> list[str]:
    """What the reference, and every alternate in the checks of its module, lose where these values are expected."""
    grader = Grader(runs.runner, lambda check: goldens[check.id])
    versions = [("the reference", runs.reference, checks)]
    for case in runs.cases("alternates") if alternates else ():
        versions.append((case.name, runs.tree_of(case), [check for check in checks if check.module == case.module]))
    return [
        f"{who}: {check.id}: {judgement.message.partition(chr(10))[0]}"
        for who, tree, own in versions
        for check in own
        if (judgement := grader.judge(check, tree)).share < 1
    ]


@EACH
def test_replayed_answers_are_worth_next_to_nothing_and_right_code_gets_its_points(name):
    """With other inputs for each commit. The control: where the inputs are the public ones, a replay gets nearly all."""
    assignment = HERE.load(name)
    checks = [check for check in collect(assignment) if not check.device and not check.on_request]
    number = random.Random(f"{seed()} {name}").getrandbits(32)
    with reference_runs(assignment) as runs:
        drawn = under(runs, number)
        goldens = record(drawn, checks, fingerprints=False)
        public = Grader(runs.runner)
        worth = replayed(checks, public, goldens)
        assert sum(worth.values()) <= MOST, f"inputs {number}: {worth}"
        control = replayed(checks, public, {check.id: public.golden(check) for check in checks})
        assert sum(control.values()) > 60, control
        plain = [check for check in checks if check.judge.drive == Drive.OBSERVE]
        assert right_code_fails(drawn, plain, goldens, alternates=False) == [], f"inputs {number}"


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", HERE.known())
def test_right_code_gets_all_points_whatever_is_drawn(name):
    """The reference and every alternate, under ten seeds."""
    assignment = HERE.load(name)
    checks = [check for check in collect(assignment, hidden=True) if not check.device and check.judge.drive == Drive.OBSERVE]
    with reference_runs(assignment) as runs:
        for number in random.Random(f"{seed()} {name}").sample(range(2**32), 10):
            drawn = under(runs, number)
            goldens = record(drawn, checks, fingerprints=False)
            assert right_code_fails(drawn, checks, goldens, alternates=True) == [], f"inputs {number}"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow if n == "a01" else pytest.mark.long]) for n in HERE.known()]
)
@pytest.mark.timeout(1800)
def test_a_submission_that_replays_public_values_gets_next_to_nothing(name, tmp_path):
    """It is graded for real. The control: a grade with public inputs pays for it."""
    assignment = HERE.load(name)
    checks = [check for check in collect(assignment) if not check.device and not check.on_request]
    submission = write_replay(assignment, tmp_path)
    with reference_runs(assignment) as runs:
        fooled = runs.grade(working_copy(submission, assignment, runs.scratch / "fooled"), checks)
        assert fooled.score > 40, "the control"
        drawn = under(runs, random.Random(f"{seed()} {name}").getrandbits(32))
        folder = runs.scratch / "official"
        for path, goldens in by_file(record(drawn, checks, fingerprints=False), checks, folder).items():
            save_goldens(path, goldens)
        drawn = replace(runs, runner=replace(runs.runner, inputs=replace(drawn.runner.inputs, golden=folder)))
        report = drawn.grade(working_copy(submission, assignment, runs.scratch / "replayed"), checks)
    assert report.score <= MOST and not report.faults, [f"{row.points} {row.id}" for row in report.rows if row.points]


def by_file(goldens: dict[str, Golden], checks: list[Check], folder: Path) -> dict[Path, dict[str, Golden]]:
    """Golden values as they are stored: by the path of the file, and by the name of the check."""
    files: dict[Path, dict[str, Golden]] = {}
    for check in checks:
        files.setdefault(Inputs(0, folder).golden_of(check), {})[check.name] = goldens[check.id]
    return files
