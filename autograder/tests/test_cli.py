"""Each way in which a command ends has its exit status and its sentence, and asking for help imports nothing heavy."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from autograder import cli
from autograder.assignment import Course
from autograder.check.collecting import NothingFits, collect
from autograder.errors import BadInput, GraderFault
from autograder.report.next_step import COMMANDS
from autograder.report.report import Report, empty_rows
from autograder.report.status import Status

HEAVY = ("torch", "numpy", "pytest", "rich", "jinja2", "watchfiles", "autograder.report", "autograder.check")


class NoServer:
    """Stands for the server of workers, because no worker is needed here."""

    def __init__(self, *_: object):
        pass

    def __enter__(self) -> "NoServer":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def report() -> Report:
    """A report of a01 on which nothing has been graded yet."""
    assignment = Course.here().load("a01")
    return Report(assignment, empty_rows(assignment, collect(assignment)), 2)


def grade(monkeypatch, outcome: Report | BaseException, *arguments: str) -> Result:
    """What `grade a01` does when the grade itself comes to this outcome."""

    def grade_it(*_: object) -> Report:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("autograder.sandbox.server_handle.Server", NoServer)
    monkeypatch.setattr(cli, "_grade", grade_it)
    return CliRunner().invoke(cli.app, ["grade", "a01", *arguments])


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BadInput("no such text"), 2, "Error: no such text\n"),
        (GraderFault("no golden values"), 3, "The grader itself is at fault: no golden values\n"),
        (KeyboardInterrupt(), 1, "Interrupted.\n"),
        (ZeroDivisionError("planted"), 3, "The grader itself is at fault: ZeroDivisionError: planted\n"),
        (OSError(28, "No space left on device"), 3, "No space left on device\n"),
    ],
)
def test_an_error_ends_a_command_with_its_status_and_a_sentence(monkeypatch, error, status, words):
    result = grade(monkeypatch, error)
    assert result.exit_code == status and result.stderr.endswith(words) and result.stdout == ""
    foreseen = isinstance(error, BadInput | GraderFault | KeyboardInterrupt)
    assert ("Traceback" in result.stderr) != foreseen  # of a fault that nobody foresaw, the place is of use


def test_somebody_who_stops_reading_is_no_fault(monkeypatch):
    result = grade(monkeypatch, BrokenPipeError(32, "Broken pipe"))
    assert result.exit_code == 1 and "fault" not in result.stderr


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("empty", [False, True])
def test_a_report_decides_the_status(monkeypatch, report, status, empty):
    """A fault of the grader counts more than an empty folder, and that more than lost points."""
    passed = [replace(row, status=Status.PASSED, points=row.max_points) for row in report.rows]
    graded = replace(report, rows=[replace(passed[0], status=status), *passed[1:]], empty=empty)
    result = grade(monkeypatch, graded)
    assert result.exit_code == (3 if status is Status.GRADER_FAULT else 2 if empty else 1 if status.is_open else 0)
    assert "of 100 points" in result.stdout and result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grade", "a77"], "there is no assignment 'a77'"),
        (["grade", "--from", "x"], "--from, --json, --html and --verbose need an assignment"),
        (["grade", "--json", "r.json"], "need an assignment"),
        (["grade", "-v"], "need an assignment"),
        (["grade", "a01", "--device", "tpu"], "--device is cpu, cuda or mps; got 'tpu'"),
        (["grade", "a01", "--json", "no/such/folder/r.json"], "there is no folder no/such/folder"),
        (["grade", "a01", "--html", "."], "it is a folder"),
        (["grade", "a01", "--nonsense"], "No such option: --nonsense"),
        (["reset", "a01", "nothing.py"], "is no file of a01 that you write"),
        (["submission", "a01", "--from", "no/such/folder"], "no/such/folder is not a folder"),
        (["update", "no/such/folder"], "is no release of this course"),
        (["update", str(Course.here().root)], "in a folder of its own"),
        (["watch", "a77"], "there is no assignment 'a77'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_graded(monkeypatch, arguments, words):
    monkeypatch.setattr(cli, "_grade", lambda *_: pytest.fail("it was graded"))
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr, result.stderr


@pytest.fixture
def grade_all(monkeypatch, report):
    """`grade` without a name, where no check of a02 fits, and what it graded."""
    done = []

    def grade_it(_, assignment, *__):
        if assignment.id == "a02":
            raise NothingFits("no check of a02 fits")
        done.append(assignment.id)
        return replace(report, assignment=assignment, interrupted=assignment.id == "a03")

    monkeypatch.setattr("autograder.sandbox.server_handle.Server", NoServer)
    monkeypatch.setattr(cli, "_grade", grade_it)
    return done


def test_without_a_name_each_assignment_has_a_line(grade_all):
    """One without a check that fits is left out, and Ctrl-C ends it all."""
    result = CliRunner().invoke(cli.app, ["grade"])
    lines = result.stdout.splitlines()
    assert grade_all == ["a00", "a01", "a03"] and [line[1:4] for line in lines[1:4]] == grade_all
    assert "interrupted" in lines[3] and lines[-1].endswith("make grade A=a00") and result.exit_code == 1


def test_without_a_name_something_has_to_fit(monkeypatch, grade_all):
    monkeypatch.setattr(Course, "known", lambda self: {"a02": self.assignments / "a02_training"})
    result = CliRunner().invoke(cli.app, ["grade", "--only", "xyzzy"])
    assert result.exit_code == 2 and "no check of any assignment fits 'xyzzy'" in result.stderr


def imported(code: str) -> set[str]:
    """Which heavy modules a process of its own has imported after this code."""
    report = f"import sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=100)
    return set(result.stdout.splitlines()[-1].split()) if result.stdout.splitlines()[-1] else set()


def test_help_imports_nothing_heavy():
    ask = (
        "from autograder.cli import app\ntry:\n    app(['grade', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0"
    )
    assert imported(ask) == set()
    assert imported("import autograder.grading") >= {"numpy", "autograder.check"}  # so the test can fail


def test_options_are_checked_before_the_grader_is_imported():
    """A command reads its options, and then starts the server. What it imports before that is time that torch could use."""
    assert imported("from autograder.session import GradeOptions; GradeOptions()") == set()


def test_the_columns_of_a_pipe_are_those_that_it_was_given(monkeypatch, report):
    for columns, narrower, width in [("60", 0, 60), ("wide", 60, 100), ("", 60, 100), ("200", 100, 200)]:
        monkeypatch.setenv("COLUMNS", columns)
        text = grade(monkeypatch, report).stdout
        lines = [line for line in text.splitlines() if not line.strip().startswith(COMMANDS)]  # a command is never folded
        assert narrower < max(map(len, lines)) <= width, columns


def test_reports_are_written_where_they_were_asked_for(monkeypatch, report, tmp_path):
    result = grade(monkeypatch, report, "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"))
    assert result.exit_code == 1
    assert (
        '"assignment": "a01"' in (tmp_path / "r.json").read_text() and "<!doctype html>" in Path(tmp_path / "r.html").read_text()
    )
