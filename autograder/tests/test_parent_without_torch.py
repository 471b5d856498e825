"""The parent of a grade never imports torch, which takes seconds: only the server does, once."""

import pkgutil
import subprocess
import sys

import pytest

import autograder
from autograder.assignment import Course

WITH_TORCH = {"autograder.check.draw", "autograder.sandbox.forbidden_calls", "autograder.sandbox.worker"}  # run in workers alone
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(autograder.__path__, "autograder.")
    if ".tests" not in module.name and not module.name.endswith("__main__")
)
# A check file that needs torch while it is read is named, with the line, by the exception that this raises.
COLLECT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        assert name != "torch", "torch is imported while checks are collected"

sys.meta_path.insert(0, Refuse())

from autograder.assignment import Course
from autograder.check.collecting import read_checks
from autograder.session import GradeOptions, checks_of

for name in Course.here().known():
    assignment = Course.here().load(name)
    for folder in (assignment.folder / "tests", assignment.hidden):
        for path in sorted(folder.glob("test_*.py")):
            assert read_checks(path)
    assert checks_of(assignment, GradeOptions(force_hidden=True))
"""
GRADE = f"""
from autograder.cli import app

try:
    app(["grade", "a01", "--from", {str(Course.here().reference / "a01_transformer")!r}, "--only", "causal_mask"])
except SystemExit as end:
    assert end.code == 0, end.code
"""


def imports_torch(code: str) -> bool:
    """Whether torch is imported when a process of its own has run this code."""
    report = "import sys; print('with torch' if 'torch' in sys.modules else 'without')"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "with torch"


def test_no_module_of_the_parent_imports_torch():
    assert len(MODULES) > 50 and set(MODULES) > WITH_TORCH
    assert not imports_torch("\n".join(f"import {name}" for name in MODULES if name not in WITH_TORCH))


@pytest.mark.parametrize("name", sorted(WITH_TORCH))
def test_the_exceptions_do_import_it(name):
    """So the test above can fail, and the list of exceptions is no longer than it must be."""
    assert imports_torch(f"import {name}")


def test_collecting_every_check_of_every_assignment_leaves_torch_out():
    assert not imports_torch(COLLECT)


@pytest.mark.slow
def test_a_grade_from_the_command_line_leaves_torch_out():
    assert not imports_torch(GRADE)
