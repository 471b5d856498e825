"""Nothing in the release through an assignment is worth points in that assignment, handed in as it is or in disguise.

Each release is the real one, and its own copy of the checks, its sealed file and its earlier given parts are graded with.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.assignment import Assignment, Course
from autograder.judge.judge import Drive
from autograder.report.report import Report
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, copies_in, grade_submission
from tools.release.release import contents

HERE = Course.here()
MOST = 5.0  # points

HUNT = '''"""Takes every name from wherever it can be found: imports, other modules, memory, files."""
import gc, importlib, os, pkgutil, sys, types

MODULES = {modules!r}

def _candidates(name):
    for module in MODULES:
        try:
            yield getattr(importlib.import_module(module), name)
        except BaseException:
            pass
    for module in list(sys.modules.values()):
        if "given" in getattr(module, "__name__", ""):
            yield getattr(module, name, None)
    for thing in gc.get_objects():
        if isinstance(thing, (types.FunctionType, type)) and thing.__name__ == name and "given" in str(thing.__module__):
            yield thing
    for folder in {{*sys.path, os.getcwd()}}:
        for path, folders, files in os.walk(folder):
            folders[:] = [f for f in folders if "given" in path or f in ("given", "assignments") or "given" in f]
            for file in files:
                if file.endswith(".py") and "given" in path:
                    space = {{"__name__": "given.found"}}
                    try:
                        exec(open(os.path.join(path, file)).read(), space)
                    except BaseException:
                        pass
                    yield space.get(name)

def __getattr__(name):
    if not name.startswith("__"):
        for found in _candidates(name):
            if found is not None:
                return found
    raise AttributeError(name)
'''


@dataclass
class Due:
    """An assignment as it lies in the release of the day on which it is due, and how it is graded."""

    assignment: Assignment
    server: Server

    def grade(self, submission: Path, timed: bool = False) -> Report:
        """The report on a submission. timed: with the checks that train or time something, which take minutes."""
        checks = [check for check in checks_of(self.assignment) if timed or check.judge.drive == Drive.OBSERVE]
        return grade_submission(submission, self.assignment, checks, self.server)

    @property
    def modules(self) -> list[str]:
        """Every module of given parts of this assignment and of those before."""
        own = [
            f"{self.assignment.package}.{name.removesuffix('.py')}"
            for name in self.assignment.deliverables
            if name.endswith(".py")
        ]
        given = self.assignment.course.given
        earlier = [path.relative_to(given).with_suffix("").as_posix().replace("/", ".") for path in sorted(given.glob("a*/*.py"))]
        return [f"given.{name}" for name in (*own, *earlier)]


@pytest.fixture(scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name != "a01")) for name in HERE.known()])
def due(request, tmp_path_factory) -> Iterator[Due]:
    root = tmp_path_factory.mktemp("release")
    files, _ = contents([HERE.load(name) for name in HERE.known() if name <= request.param])
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    assignment = Course(root).load(request.param)
    with Server(assignment.preload) as server:
        yield Due(assignment, server)


def python_files(assignment: Assignment) -> list[str]:
    return [name for name in assignment.deliverables if name.endswith(".py")]


def paid(report: Report) -> list[str]:
    """The checks that gave points, for the message of a test that fails."""
    return [f"{row.points:g} {row.id} {row.given}" for row in report.rows if row.points]


def files_that_lie_there(due: Due, tmp_path: Path) -> Iterator[Path]:
    """Each folder of the release with files that have the names of deliverables, but for its own stubs, handed in as it is."""
    folders = {path.parent for path in due.assignment.course.root.rglob("*.py") if path.name in due.assignment.deliverables}
    assert due.assignment.folder in folders
    assert due.assignment.course.given / due.assignment.package not in folders
    for number, folder in enumerate(sorted(folder for folder in folders if folder.name != due.assignment.package)):
        yield shutil.copytree(folder, tmp_path / str(number), ignore=shutil.ignore_patterns("tests"))


def everything_exported_again(due: Due, tmp_path: Path) -> Iterator[Path]:
    """Every file imports all that every module of given parts has."""
    lines = [f"try:\n    from {module} import *\nexcept ImportError:\n    pass\n" for module in reversed(due.modules)]
    for name in python_files(due.assignment):
        (tmp_path / name).write_text("".join(lines))
    yield tmp_path


def a_hunt(due: Due, tmp_path: Path) -> Iterator[Path]:
    """Every file looks for every name wherever it can."""
    for name in python_files(due.assignment):
        (tmp_path / name).write_text(HUNT.format(modules=due.modules))
    yield tmp_path


WAYS = pytest.mark.parametrize("way", [files_that_lie_there, everything_exported_again, a_hunt])


@WAYS
def test_nothing_in_the_release_is_worth_points(due, way, tmp_path):
    for submission in way(due, tmp_path):
        report = due.grade(submission)
        assert report.score <= MOST and not report.faults, paid(report)


@WAYS
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nothing_in_the_release_is_worth_points_with_checks_that_take_time(due, way, tmp_path):
    for submission in way(due, tmp_path):
        report = due.grade(submission, timed=True)
        assert report.score <= MOST and not report.faults, paid(report)


def test_the_hunt_would_find_what_is_there(due, tmp_path, monkeypatch):
    """The control: with the given parts in the worker's tree, under the name of another assignment, it finds them."""
    from autograder.submission import working_copy

    original = working_copy._copy_given

    def with_the_due_one(assignment: Assignment, into: Path) -> None:
        original(assignment, into)
        shutil.copytree(HERE.given / assignment.package, into / "a99_left_behind")

    monkeypatch.setattr(working_copy, "_copy_given", with_the_due_one)
    modules = [module.replace(due.assignment.package, "a99_left_behind") for module in due.modules]
    for name in python_files(due.assignment):
        (tmp_path / name).write_text(HUNT.format(modules=modules))
    assert due.grade(tmp_path).score > 4 * MOST


def test_the_given_parts_themselves_would_pay_and_are_named_to_staff(due, tmp_path):
    """The control of all: what is sealed is what is worth something. And whoever hands it in is named."""
    given = HERE.given / due.assignment.package
    for path in given.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert due.grade(tmp_path).score > 4 * MOST
    assert len(copies_in(tmp_path, HERE.load(due.assignment.id))) >= 8
