"""`pytest assignments/a90_toy` as a student calls it: the order of the handout, skips, prints, and where a debugger stops."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import autograder
from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.report.next_step import debug_command
from autograder.sandbox.device import has_device
from autograder.tests.toy_course import RIGHT, Toy, course_copy

MORE_CHECKS = '''"""Its name comes before test_sums.py, and its part after the other one. One check is for a device."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import answers_by_hand, matches_reference, needs, on_device, part


@part("sums.mean")
@needs("sums.weighted")
@weight(40)
@matches_reference
def test_early(solution, draw):
    """The mean of ones is the mean of the weights."""
    return {"out": solution.sums.mean(draw.normal(3, 5), draw.normal(5))}


@part("sums.mean")
@weight(1)
@on_device("mps")
@matches_reference
def test_early_on_mps(solution, draw):
    """The same on another device."""
    return {"out": solution.sums.mean(draw.normal(3, 5), draw.normal(5))}


@part("sums.mean")
@weight(1)
@answers_by_hand("angle", digits=1)
def test_on_paper(solution, draw):
    """A problem that is solved on paper."""
    return {"answer": solution.by_hand["angle"]}
'''
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def course(toy, tmp_path_factory) -> Iterator[Toy]:
    """The toy course with more checks, and with right code of the student's."""
    with course_copy(toy.root, tmp_path_factory.mktemp("plugin") / "course", seconds=2) as course:
        folder = course.root / "assignments/a90_toy"
        (folder / "tests/test_early.py").write_text(MORE_CHECKS)
        (course.root / "reference/a90_toy/by_hand.toml").write_text('angle = "0.5"\n')
        settings = folder / "assignment.toml"
        settings.write_text(settings.read_text().replace('["sums.py"]', '["sums.py", "by_hand.toml"]'))
        recorded = course.run("golden", "a90", module="tools")
        assert recorded.returncode == 0, recorded.stderr
        yield course


def run(course: Toy, *options: str, typed: str = "", answer: str = "0.5", head: str = "", **bodies: str) -> str:
    """What pytest prints of a submission whose functions have these bodies. typed: what is typed at the debugger."""
    folder = course.root / "assignments/a90_toy"
    course.submission(folder, head, **bodies)
    (folder / "by_hand.toml").write_text(f'angle = "{answer}"\n')
    start = ["-m", "pytest", "-p", "autograder.plugin", "-c", "/dev/null", f"--rootdir={course.root}", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *start, *options, "assignments/a90_toy"],
        env={name: value for name, value in course.environment().items() if name != "CI"},  # there pytest says more at the end
        cwd=course.root,
        input=typed,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_check_that_does_not_pass_is_explained_without_a_traceback(course):
    shown = run(course, "-v", "-k", "value or (mean and not early)", **dict.fromkeys(RIGHT, 'raise NotImplementedError("a")'))
    assert "sums.weighted: Every value is weighted" in shown and "NotImplementedError: a" in shown
    assert "Traceback" not in shown and "2 failed" in shown


@pytest.mark.skipif(has_device("mps"), reason="this machine has the device that must be missing")
def test_what_needs_a_device_that_is_not_there_is_skipped_with_the_reason(course):
    shown = run(course, "-rs", "-x")
    assert "6 passed, 1 skipped" in shown and "not graded here, for want of a MPS device" in shown


def test_checks_run_in_the_order_of_the_handout(course):
    shown = run(course, "-v", "-k", "not on_mps and not paper", **dict.fromkeys(RIGHT, "return None"))
    order = [line.partition("::")[2].split()[0] for line in shown.splitlines() if "::" in line and "%]" in line]
    assert order == ["test_value", "test_speed", "test_memory", "test_early", "test_mean"]
    assert "test_value" in run(course, "-x", **dict.fromkeys(RIGHT, "return None")).splitlines()[-3]


def test_what_code_prints_is_shown(course):
    assert "seen (2, 3, 5)" in run(course, "-k", "value", weighted="print('seen', tuple(x.shape), end=''); return x")
    shown = run(course, "-s", "-k", "value", weighted="print('seen', tuple(x.shape)); return x @ w")
    assert "seen (2, 3, 5)" in shown and "1 passed" in shown


def test_after_a_time_out_the_rest_of_the_part_is_not_tried(course):
    shown = run(course, "-k", "not on_mps and not paper", weighted="while True: pass")
    assert shown.count("No answer after 2 s") == 1 and "5 failed" in shown
    assert "not tried, because test_value of sums.weighted ran into its time limit; `-k test_mean` tries it" in shown
    assert "No answer after 2 s" in run(course, "-k", "speed", weighted="while True: pass")


def test_after_an_exception_the_debugger_stops_in_the_students_code(course):
    """The exception comes from deep in torch, whose frames are of no use."""
    shown = run(course, "--pdb", "-k", "value", typed="p 'I see', x.shape\nq\n", weighted="return torch.nn.Linear(7, 1)(x)")
    assert "sums.py(5)weighted()" in shown and "('I see', torch.Size([2, 3, 5]))" in shown
    assert "plugin.py" not in shown and "linear.py" not in shown.partition("entering PDB")[2]


def test_after_an_exception_in_the_check_the_debugger_stops_there(course):
    shown = run(course, "--pdb", "-k", "value", typed="p 'I see', type(out)\nq\n", weighted="return [x @ w]")
    assert "test_value()" in shown.partition("entering PDB")[2] and "('I see', <class 'list'>)" in shown


@pytest.mark.parametrize("check", ["value", "speed"])
def test_on_a_wrong_value_the_debugger_steps_through_the_check_once_more(course, check):
    shown = run(course, "--pdb", "-k", check, typed="c\np 'I see', x.shape[-1]\nq\n", weighted="return (x @ w) * 2")
    assert "is the first value that differs" in shown.partition("(Pdb)")[0]
    assert f"test_{check}()" in shown and "sums.py(5)weighted()" in shown and "('I see'," in shown
    assert "plugin.py(" not in shown and "the debugger was left" in shown


def test_the_methods_of_a_class_are_where_its_part_begins(course):
    head = "class weighted:\n    def __new__(cls, x, w):\n        return x @ w * 2"
    folder = course.root / "assignments/a90_toy"
    shown = run(course, "--pdb", "-k", "value", typed="c\nq\n", mean=f"pass\n\n{head}")
    assert (folder / "sums.py").read_text().count("weighted") == 2 and "__new__()" in shown


@pytest.mark.parametrize("option", ["-v", "--pdb"])
def test_a_problem_on_paper_has_nothing_to_debug(course, option):
    shown = run(course, option, "-k", "paper", answer="0.9")
    assert "work the problem once more" in shown and "Debug it" not in shown and "Pdb" not in shown
    assert "Debug it" in run(course, "-v", "-k", "value", weighted="return (x @ w) * 2")


def test_the_command_that_is_shown_works_where_the_course_lies():
    """It names one check, which `-k` would not: some names are part of others. Nothing needs to be active."""
    root = Path(autograder.__file__).parents[1]
    assignment = Course.here().load("a01")
    command = shlex.split(debug_command(assignment.package, collect(assignment, "test_parameters")[0].id))
    assert command[0] == ".venv/bin/python" and len(collect(assignment, "test_parameters")) > 1
    done = subprocess.run(
        [sys.executable, *command[1:], "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "1 test collected" in done.stdout, done.stdout + done.stderr
