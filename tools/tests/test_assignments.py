"""Every assignment end to end: the reference gets 100, the stubs 0, and mistakes are named.

Demos and notebooks run where students run them, in a release (`release/test_what_ships_runs.py`).

Each assignment has one warm server for all of its grades. A new assignment needs no line here: what differs stands in its
`tests/facts.toml` (see `assignment_facts.py`). Checks that train are a matter of `make long`, but for one.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.grading import grade, substitute
from autograder.judge.judge import Drive
from autograder.report.report import Report
from autograder.report.status import Status
from autograder.source.given_parts import GivenParts
from autograder.submission.working_copy import Tree, working_copy
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.replace_definition import replace_definition
from tools.author.verify import verify
from tools.tests.assignment_facts import Facts, sample, seed
from tools.tests.snapshots import terminal, unmeasured, views

HERE = Course.here()
ALTERNATES, MISCONCEPTIONS = 2, 5  # of an assignment, in each run


@dataclass
class Warm:
    """An assignment with its server.

    checks: all of them.
    quick: those that do not train.
    plain: those of one worker in one go, so without those that measure time or memory.
    """

    assignment: Assignment
    runs: ReferenceRuns
    checks: list[Check]
    facts: Facts

    @property
    def quick(self) -> list[Check]:
        return [check for check in self.checks if check.judge.drive != Drive.TRAIN]

    @property
    def plain(self) -> list[Check]:
        return [check for check in self.checks if check.judge.drive == Drive.OBSERVE]

    def grade(self, tree: Tree | Path, checks: list[Check]) -> Report:
        """The report on a tree, or on a folder of deliverables."""
        scratch = Path(tempfile.mkdtemp(dir=self.runs.scratch))
        scratch.chmod(0o711)  # the user of the submission passes through
        copy = tree if isinstance(tree, Tree) else working_copy(tree, self.assignment, scratch / "tree")
        return grade(self.runs.runner, copy, checks, scratch)


@pytest.fixture(
    scope="module", params=[pytest.param(name, id=name, marks=[pytest.mark.slow] * (name != "a01")) for name in HERE.known()]
)
def warm(request) -> Iterator[Warm]:
    """Each assignment in turn; the quick tests have one of them."""
    assignment = HERE.load(request.param)
    with reference_runs(assignment) as runs:
        yield Warm(assignment, runs, collect(assignment, hidden=True), Facts.of(assignment))


@pytest.fixture(scope="module")
def reference(warm) -> Report:
    return warm.grade(warm.runs.reference, warm.quick)


@pytest.fixture(scope="module")
def stubs(warm) -> Report:
    return warm.grade(warm.assignment.folder, warm.quick)


@pytest.fixture(scope="module")
def mixed(warm, tmp_path_factory) -> Report:
    """The reference with the first misconception of all, and with the last module still to be written."""
    assignment, folder = warm.assignment, tmp_path_factory.mktemp("mixed")
    last = [name for name in assignment.deliverables if name.endswith(".py")][-1]
    for name in assignment.deliverables:
        shutil.copy((assignment.folder if name == last else assignment.reference) / name, folder)
    case = warm.runs.cases("misconceptions")[0]
    path = folder / f"{case.module}.py"
    path.write_text(replace_definition(path.read_text(encoding="utf-8"), case.qualname, case), encoding="utf-8")
    return warm.grade(folder, warm.quick)


def lost(report: Report) -> list[str]:
    """The checks that took points, each with the first line of its message."""
    return [
        f"{row.id}: {row.message.partition(chr(10))[0]}"
        for row in report.rows
        if row.points < row.max_points or row.status == Status.GRADER_FAULT
    ]


def test_the_reference_gets_all_points(warm, reference):
    assert lost(reference) == [] and reference.exit_status == 0, terminal(reference)
    public = [check for check in warm.checks if not check.hidden]
    assert len(public) >= 40 and len(public) < len(warm.checks)


def test_the_reference_trains(warm):
    """One of the checks that train, another one for another commit."""
    training = [check for check in warm.checks if check.judge.drive == Drive.TRAIN]
    if not training:
        pytest.skip("no check of this assignment trains")
    report = warm.grade(warm.runs.reference, [random.Random(seed()).choice(training)])
    assert lost(report) == [], f"sample of {seed()}\n{terminal(report)}"


@pytest.mark.parametrize("kind", ["reference", "stubs", "mixed"])
def test_reports_are_as_they_were(warm, kind, request, snapshot):
    """Terminal, page, JSON and Gradescope's results; `make snapshots` renews them, and its differences are to be read."""
    for extension, text in views(unmeasured(request.getfixturevalue(kind))).items():
        assert text == snapshot(extension_class=extension, name=extension.__name__.lower())


@pytest.mark.long
def test_the_reference_gets_all_points_with_every_check_that_trains(warm):
    report = warm.grade(warm.runs.reference, warm.checks)
    assert (report.score, report.max_score) == (100, 100), terminal(report)


def test_the_stubs_get_nothing(stubs):
    text = terminal(stubs)
    assert (stubs.score, stubs.exit_status) == (0, 1), text
    assert {row.reason for row in stubs.rows if row.max_points and not row.check.hidden} == {"todo"}
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


def test_alternates_get_all_points(warm):
    """Some of them; `make verify` has all."""
    for case in sample(warm.assignment, "alternates", ALTERNATES):
        report = warm.grade(warm.runs.tree_of(case), [check for check in warm.plain if check.module == case.module])
        assert lost(report) == [], f"alternate {case.name}, sample of {seed()}\n{terminal(report)}"


def test_mistakes_are_named(warm):
    """Some misconceptions; `make verify` has all. Those that no plain check finds run the others of their module too."""
    for case in sample(warm.assignment, "misconceptions", MISCONCEPTIONS):
        tree = warm.runs.tree_of(case)
        own = [check for check in warm.checks if check.module == case.module]
        report = warm.grade(tree, [check for check in own if check in warm.plain])
        if report.score == report.max_score:
            report = warm.grade(tree, own)
        named = {row.misconception for row in report.rows if row.status == "failed" and not row.check.hidden}
        text = terminal(report)
        assert report.score < report.max_score, f"{case.name} is not killed, sample of {seed()}\n{text}"
        if case.name not in warm.facts.unnamed:  # these are named on the machine where golden values were recorded
            assert case.name in named and "Looks like: " in text, f"{case.name}, sample of {seed()}\n{text}"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_verify_finds_no_problem(warm):
    """Every alternate, every misconception, and mutants."""
    assert verify(warm.assignment)["problems"] == []


def test_a_missing_file_costs_its_own_points(warm, tmp_path):
    """Whatever imports from it is judged with the given one."""
    for name in warm.assignment.deliverables:
        if name != warm.facts.missing:
            shutil.copy(warm.assignment.reference / name, tmp_path)
    report = warm.grade(tmp_path, warm.plain)
    module = warm.facts.missing.removesuffix(".py")
    assert report.exit_status == 1 and f"{module}.py: the file is missing" in terminal(report)
    without = [row for row in report.rows if row.points < row.max_points]
    assert {row.check.part.partition(".")[0] for row in without} == {module}, terminal(report)
    assert all(row.points == 0 for row in report.rows if row.check.module == module)


def test_a_given_part_reaches_a_worker_with_all_that_it_is_made_of(warm, monkeypatch):
    """The checks of a part that pass with all of the given code pass also with what is left of it."""
    given = [part.name for part in warm.assignment.parts if warm.runs.runner.given.has(part.name)]
    assert len(given) >= 10
    for name in given:
        tree = substitute(warm.runs.reference, frozenset({name}), warm.runs.runner, warm.runs.scratch / f"with given {name}")
        checks = [check for check in warm.plain if check.part == name]
        alone = lost(warm.grade(tree, checks))
        with monkeypatch.context() as patched:
            patched.setattr(GivenParts, "only", lambda parts, names: parts.whole())
            whole = lost(warm.grade(tree, checks))
        assert set(alone) <= set(whole), name


def test_points_of_the_parts_are_the_weights_of_their_public_checks(warm):
    assert warm.assignment.points == 100
    weights: dict[str, float] = {}
    for check in warm.checks:
        if not check.hidden:
            weights[check.part] = weights.get(check.part, 0) + check.weight * (check.device is None)
    assert weights == {part.name: part.points for part in warm.assignment.parts}


def test_golden_values_stay_small(warm):
    folders = warm.assignment.folder / "tests" / "golden", warm.assignment.hidden / "golden"
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) <= 1_000_000


@pytest.mark.slow
def test_the_demo_of_the_stubs_names_what_is_missing(warm):
    command = [sys.executable, "-m", f"{warm.assignment.package}.demo", *warm.facts.demo_of_stubs]
    result = subprocess.run(command, cwd=HERE.assignments, capture_output=True, text=True, timeout=600, check=False)
    said = result.stdout + result.stderr
    assert result.returncode == 1 and "yours to write" in said and "Traceback" not in result.stderr, said
