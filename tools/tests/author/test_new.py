"""A new assignment works as it stands: it is made in a course of its own and goes the whole way that an assignment goes."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder import assignment as assignments
from autograder.assignment import Part, read
from autograder.errors import BadInput
from tools.author.new import ROOMS, TEMPLATE, new, package_name
from tools.author.stubs import drifted, write_stubs
from tools.author.verify import minimum_cases

HERE = assignments.Course.here()
ID, TITLE, MODULE, PACKAGE = "a11", "It's a first “naïve” look", "looking", "a11_its_first_naive"


@dataclass(frozen=True)
class Course:
    """A course of one assignment, which is a11."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "assignments" / PACKAGE

    @property
    def reference(self) -> Path:
        return self.root / "reference" / PACKAGE

    def run(self, *command: str, timeout: float = 400) -> subprocess.CompletedProcess:
        environment = {**os.environ, "COURSE_DIR": str(self.root), "NO_COLOR": "1", "PYTHONPATH": str(self.root / "assignments")}
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def grade(self, folder: Path, report: Path, *options: str) -> tuple[int, dict]:
        done = self.run("autograder", "grade", ID, "--from", str(folder), "--json", str(report), *options)
        return done.returncode, json.loads(report.read_text(encoding="utf-8"))


def empty_course(root: Path) -> Path:
    """What a course has before its first assignment."""
    (root / "assignments" / "given").mkdir(parents=True)
    (root / "reference").mkdir()
    shutil.copy(HERE.root / "assignments" / "given" / "__init__.py", root / "assignments" / "given")
    shutil.copy(HERE.root / "reference" / "conftest.py", root / "reference")
    shutil.copy(HERE.root / "pyproject.toml", root)
    return root


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """A new assignment as `python -m tools new` makes it."""
    made = Course(empty_course(tmp_path_factory.mktemp("new") / "course"))
    done = made.run("tools", "new", ID, TITLE, "--module", MODULE)
    assert done.returncode == 0, done.stderr
    assert f"make golden A={ID}" in done.stdout and f"make verify A={ID}" in done.stdout
    return made


@pytest.fixture(scope="module")
def recorded(course, tmp_path_factory) -> Course:
    """The same with golden values, in a folder of its own."""
    copy = Course(tmp_path_factory.mktemp("recorded") / "course")
    shutil.copytree(course.root, copy.root)
    done = copy.run("tools", "golden", ID)
    assert done.returncode == 0, done.stderr
    return copy


def assembled(course: Course, into: Path) -> Path:
    """The folder assignments/ with the reference in the place of the stubs."""
    shutil.copytree(course.root / "assignments", into)
    shutil.copy(course.reference / f"{MODULE}.py", into / PACKAGE)
    return into


@pytest.mark.parametrize(
    ("title", "package"),
    [
        ("A mixture of experts", "a05_mixture_experts"),
        ("Scale up", "a05_scale_up"),
        ("Reinforcement learning from human feedback", "a05_reinforcement"),
        ("Über Größe", "a05_uber_grosse"),
        ("Internationalisation", "a05_internationalisa"),
        ("The a", "a05_the_a"),
    ],
)
def test_the_first_words_of_the_title_name_the_package(title, package):
    assert package_name("a05", title) == package


@pytest.mark.parametrize(
    ("name", "title", "module", "sentence"),
    [
        ("b11", "Sound", "", "an a and two digits, as in a11; got 'b11'"),
        ("a1", "Sound", "", "an a and two digits, as in a11; got 'a1'"),
        ("../a11", "Sound", "", "an a and two digits"),
        ("a11", "  ", "", "needs a title"),
        ("a11", "x" * 61, "", "at most 60 characters"),
        ("a11", 'The "new" model', "", "without quotation marks"),
        ("a11", "Two\nlines", "", "one line"),
        ("a11", "学習", "", "no Latin letter"),
        ("a11", "Sound", "Gates", "got 'Gates'"),
        ("a11", "Sound", "class", "got 'class'"),
        ("a11", "Sound", "demo", "is none of by_hand, demo"),
        ("a11", "Sound", "inspect", "Python has a module 'inspect'"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(tmp_path, name, title, module, sentence):
    with pytest.raises(BadInput, match=re.escape(sentence)):
        new(tmp_path, name, title, module)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_number_that_is_taken_is_refused(tmp_path, room):
    (tmp_path / room / "a11_other").mkdir(parents=True)
    with pytest.raises(BadInput, match=f"there is an a11 already: {room}/a11_other"):
        new(tmp_path, "a11", "Sound")
    assert new(tmp_path, "a12", "Sound").package == "a12_sound"  # the control: another number is free


def test_a_course_that_cannot_be_written_to_is_left_as_it_was(tmp_path):
    (tmp_path / "reference").write_text("a file where a folder is needed")
    with pytest.raises(BadInput, match=r"cannot be written .*; nothing was made"):
        new(tmp_path, "a11", "Sound")
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("a11")] == []


def test_every_file_of_the_template_is_made_and_no_placeholder_is_left(course):
    made = {path for room in ("assignments", "reference") for path in (course.root / room).rglob("*") if path.is_file()}
    made = {path for path in made if PACKAGE in path.parts}
    templates = [path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(made) == len(templates) + 1  # the stub
    for path in made:
        words = re.findall(r"(?<![A-Za-z0-9])(?:aNN\w*|Title|distill)(?![A-Za-z0-9_])", f"{path}\n{path.read_text()}")
        assert words == [], path
    assert (course.folder / "README.md").read_text().startswith(f"# {ID} — {TITLE}\n")


def test_the_stub_is_that_of_the_reference(course, tmp_path):
    assert drifted(course.root) == []
    assert "is yours to write" in (course.folder / f"{MODULE}.py").read_text()
    changed = tmp_path / "course"
    shutil.copytree(course.root, changed)
    with (changed / "reference" / PACKAGE / f"{MODULE}.py").open("a") as file:
        file.write("\nLIMIT = 3\n")
    assert write_stubs(changed) == [changed / "assignments" / PACKAGE / f"{MODULE}.py"]


def test_points_are_a_hundred_and_those_of_the_checks(course):
    from autograder.check.collecting import read_checks

    assignment = read(course.folder)
    assert (assignment.title, assignment.points) == (TITLE, 100)
    weights: dict[str, float] = {}
    for path in sorted((course.folder / "tests").glob("test_*.py")):
        for check in read_checks(path):
            weights[check.part] = weights.get(check.part, 0) + check.weight * (check.device is None)
    assert weights == {part.name: part.points for part in assignment.parts}


def test_checks_import_from_one_place(course):
    for path in [*course.folder.glob("tests/*.py"), *course.reference.glob("hidden/*.py")]:
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert {i.module for i in imports if i.module.startswith("autograder")} == {"autograder.check"}, path


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_has_nothing_to_say(course, command):
    done = course.run("ruff", *command, "--no-cache", "--config", f'src = ["{HERE.root}"]', ".")
    assert done.returncode == 0, done.stdout
    files = course.run("ruff", "check", "--no-cache", "--show-files", ".").stdout
    assert f"{PACKAGE}/tests/test_{MODULE}.py" in files  # the control: it has looked at them


def test_the_longest_name_fits_the_lines_too(tmp_path):
    made = Course(empty_course(tmp_path / "course"))
    assert new(made.root, ID, "Internationalisation").package == "a11_internationalisa"
    done = made.run("ruff", "format", "--check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("parts", "misconceptions", "alternates"), [(0, 3, 1), (1, 3, 1), (2, 6, 2), (3, 9, 3), (26, 12, 3)])
def test_small_assignments_are_asked_for_fewer_cases(course, parts, misconceptions, alternates):
    from dataclasses import replace

    named = tuple(Part(f"{MODULE}.part_{i}", "", 1, i) for i in range(parts))
    assignment = replace(read(course.folder), parts=(*named, Part("by_hand", "", 1, parts)))
    assert minimum_cases(assignment) == {"misconceptions": misconceptions, "alternates": alternates}


@pytest.mark.slow
def test_the_reference_gets_all_points_and_the_stubs_none(recorded, tmp_path):
    status, report = recorded.grade(recorded.reference, tmp_path / "reference.json", "--force-hidden")
    assert (status, report["score"], report["max_score"]) == (0, 100, 100)
    assert any(check["id"].startswith("hidden/") for check in report["checks"])
    status, report = recorded.grade(recorded.folder, tmp_path / "stubs.json")
    assert (status, report["score"]) == (1, 0)
    graded = [check for check in report["checks"] if check["max_points"] and not check["id"].startswith("hidden/")]
    assert {check["reason"] for check in graded} == {"todo"}


@pytest.mark.slow
def test_verify_finds_no_problem(recorded, tmp_path):
    done = recorded.run("tools", "verify", ID, "--quick", "--json", str(tmp_path / "v.json"))
    assert done.returncode == 0 and done.stdout.rstrip().endswith("No problems."), done.stdout + done.stderr
    figures = json.loads((tmp_path / "v.json").read_text())[ID]
    assert (figures["reference"]["score"], figures["stubs"], set(figures["alternates"].values())) == (100, 0, {100})
    assert [m["name"] for m in figures["misconceptions"] if not (m["killed_by"] and m["named_by"])] == []
    assert len(figures["misconceptions"]) >= 6 and len(figures["alternates"]) >= 2


@pytest.mark.slow
def test_it_is_released_without_its_solutions(recorded, tmp_path):
    done = recorded.run("tools", "release", "--to", str(tmp_path / "release"))
    assert done.returncode == 0, done.stderr
    package = tmp_path / "release" / "assignments" / PACKAGE
    names = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {
        "README.md",
        "demo.py",
        "explore.ipynb",
        f"{MODULE}.py",
        f"tests/test_{MODULE}.py",
        "tests/golden/hints.json",
    } <= names
    assert "is yours to write" in (package / f"{MODULE}.py").read_text()
    assert not (tmp_path / "release" / "reference").exists()


@pytest.mark.slow
def test_its_zip_for_gradescope_runs(recorded, tmp_path):
    built = recorded.run("tools", "gradescope", ID, "--to", str(tmp_path / "a11.zip"))
    assert built.returncode == 0, built.stderr
    for name, folder, score in (("reference", recorded.reference, 100), ("stubs", recorded.folder, 0)):
        results = tmp_path / name
        options = ("--submission", str(folder), "--results", str(results))
        done = recorded.run("tools", "dry-run", str(tmp_path / "a11.zip"), *options)
        assert done.returncode == 0 and "results.json keeps the contract" in done.stdout, done.stdout + done.stderr
        assert f"score {score:.1f} of 100.0" in done.stdout


@pytest.mark.slow
def test_reference_and_given_agree_with_torch(course):
    folder = course.reference / "tests"
    done = course.run("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(course.root), str(folder))
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_the_demo_names_what_is_missing_or_shows_it_working(course, tmp_path):
    done = course.run(f"{PACKAGE}.demo")
    assert done.returncode == 1 and "yours to write" in done.stdout and "Traceback" not in done.stderr
    whole = Course(tmp_path / "course")
    assembled(course, whole.root / "assignments")
    done = whole.run(f"{PACKAGE}.demo")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_the_notebook_draws_its_picture(course, tmp_path):
    import jupytext
    from nbclient import NotebookClient

    root = assembled(course, tmp_path / "assignments")
    notebook = jupytext.read(root / PACKAGE / "explore.py")
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(root)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 1


@pytest.mark.long
def test_its_mutants_die(recorded, tmp_path):
    done = recorded.run("tools", "verify", ID, "--json", str(tmp_path / "v.json"), timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    mutants = json.loads((tmp_path / "v.json").read_text())[ID]["mutants"]
    assert mutants["tried"] > 50 and mutants["share"] >= 0.95
