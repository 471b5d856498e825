"""Whatever room a file of the grader lies in: it ships, it counts for a stored grade, and its name in a string is right."""

import importlib.util
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import autograder
from autograder.assignment import Course

HERE = Course.here()
GRADER = Path(autograder.__file__).parent


def files_of_the_grader(folder: Path = GRADER) -> set[str]:
    """Every file that the grader consists of, its tests left out, as a path below its folder."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if not {"tests", "__pycache__"} & set(path.parts)}


def test_the_release_holds_every_file_of_the_grader():
    from tools.release.release import contents

    files, _ = contents([HERE.load("a01")])
    shipped = {name.removeprefix("autograder/") for name in files if name.startswith("autograder/")}
    assert shipped == files_of_the_grader()


def test_the_zip_for_gradescope_holds_every_file_of_the_grader_and_no_test(tmp_path):
    import io
    import zipfile

    from tools.gradescope.package import build

    with zipfile.ZipFile(io.BytesIO(build(HERE.load("a01")))) as archive:
        names = archive.namelist()
    shipped = {name.removeprefix("autograder/") for name in names if name.startswith("autograder/")}
    assert shipped == files_of_the_grader()


def test_a_stored_grade_is_taken_over_only_from_the_very_same_grader(tmp_path, monkeypatch):
    from autograder.session import checks_of
    from tools.batch.grade import grader_digest

    grader, assignment = tmp_path / "autograder", HERE.load("a01")
    checks = checks_of(assignment)[:1]
    shutil.copytree(GRADER, grader, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(autograder, "__file__", str(grader / "__init__.py"))
    before, missed = grader_digest(assignment, checks), []
    for name in sorted(files_of_the_grader(grader)):
        path = grader / name
        data = path.read_bytes()
        path.write_bytes(data + b"\n")
        if grader_digest(assignment, checks) == before:
            missed.append(name)
        path.write_bytes(data)
    assert missed == []
    assert grader_digest(assignment, checks) == before  # the control: nothing but the change above told them apart


NAMED = re.compile(r"(?:(?<![\w./@])|(?<=\\n))(?:autograder|tools)(?:\.[a-z_]\w*)+")  # the second: behind a "\\n" in a string
TEXTS = ["*.py", "*.toml", "*.ini", "*.sh", "run_autograder", "Makefile"]


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, _, rest = dotted.partition(".")
    while rest:
        step, _, rest = rest.partition(".")
        try:
            found = importlib.util.find_spec(f"{module}.{step}")
        except ModuleNotFoundError:  # the name before the dot is a module, and no package
            found = None
        if found is None:
            return hasattr(importlib.import_module(module), step)
        module = f"{module}.{step}"
    return True


def names_of_modules() -> dict[str, str]:
    """Every dotted name of ours that any source, setting or script mentions, with a place where it does."""
    found = {}
    for folder in (
        HERE.root / "autograder",
        HERE.root / "tools",
        HERE.root / "assignments",
        HERE.root / "reference",
        HERE.root / "datasets",
    ):
        for path in sorted(p for pattern in TEXTS for p in folder.rglob(pattern)):
            for name in NAMED.findall(path.read_text(encoding="utf-8")):
                found.setdefault(name, path.relative_to(HERE.root).as_posix())
    for name in NAMED.findall((HERE.root / "pyproject.toml").read_text(encoding="utf-8") + (HERE.root / "Makefile").read_text()):
        found.setdefault(name, "pyproject.toml")
    return found


def test_every_module_that_a_string_names_is_there():
    made_up = {"autograder.zip", "autograder.no_such_room.judges"}  # a file on Gradescope; the example of the next test
    wrong = {name: where for name, where in names_of_modules().items() if name not in made_up and not resolves(name)}
    assert wrong == {}


@pytest.mark.parametrize(("name", "there"), [("autograder.errors.BadInput", True), ("autograder.no_such_room.judges", False)])
def test_a_name_that_moved_away_is_noticed(name, there):
    assert resolves(name) is there


def test_the_plug_in_that_pytest_loads_is_there():
    options = tomllib.loads((HERE.root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"].split()
    assert resolves(options[options.index("-p") + 1])
