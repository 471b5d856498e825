"""No file of an assignment has the name of a module that Python or torch needs.

Whoever runs a file in the folder of an assignment, with an editor's button or as a notebook, has that folder first on Python's
path. A module `inspect.py` there is then taken for Python's own, and `import torch` fails.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from autograder.assignment import Course

COURSE = Course.here()
PACKAGES = [COURSE.load(name).package for name in COURSE.known()]


def taken_names(folder: Path) -> set[str]:
    """Modules of a folder that have the name of one of Python's own."""
    return {path.stem for path in folder.glob("*.py")} & sys.stdlib_module_names


def import_from_inside(folder: Path) -> subprocess.CompletedProcess[str]:
    """Import torch, and what the notebook draws with, in a Python that has this folder first on its path."""
    code = "import sys; assert sys.path[0] == ''; import torch, matplotlib.pyplot"
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_the_name_of_one_of_pythons_own(package):
    for folder in (COURSE.assignments / package, COURSE.given / package):
        assert (folder / "__init__.py").exists() and taken_names(folder) == set(), folder


@pytest.mark.parametrize("package", PACKAGES)
def test_torch_can_be_imported_from_inside_the_folder(package):
    result = import_from_inside(COURSE.assignments / package)
    assert result.returncode == 0, result.stderr


def test_a_module_that_shadows_one_of_pythons_own_is_found(tmp_path):
    (tmp_path / "inspect.py").write_text("", encoding="utf-8")
    assert taken_names(tmp_path) == {"inspect"}
    result = import_from_inside(tmp_path)
    assert result.returncode == 1 and "module 'inspect' has no attribute" in result.stderr
