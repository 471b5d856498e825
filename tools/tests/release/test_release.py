"""The release holds what students need and nothing else, is scanned, appears whole, and grades by itself."""

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from autograder.assignment import Course
from autograder.submission.update import MANIFEST, update
from autograder.tests.toy_course import course_copy
from tools.release.release import contents, notebook, release, student_makefile, student_project
from tools.release.scan import RUN, WORDS
from tools.tests.release.student_clone import environment

HERE = Course.here()
PACKAGE = "assignments/a90_toy"


@pytest.fixture
def course(toy, tmp_path):
    """The toy course in a folder that may be changed, with a handout and a notebook."""
    with course_copy(toy.root, tmp_path / "course") as course:
        (course.root / PACKAGE / "README.md").write_text("# A toy\n\n## sums\n")
        (course.root / PACKAGE / "explore.py").write_text("# %% [markdown]\n# # A look\n\n# %%\nprint(1)\n")
        yield course


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_release_holds_what_a_student_needs_and_nothing_else(course, tmp_path):
    to = tmp_path / "out" / "release"
    (course.root / PACKAGE / "notes_of_staff.py").write_text("x = 1\n")
    (course.root / PACKAGE / "sums.py").write_text("def weighted(x, w):\n    return x @ w\n")  # staff tries it out in place
    (course.root / PACKAGE / "__pycache__").mkdir(exist_ok=True)
    (course.root / PACKAGE / "__pycache__" / "sums.pyc").write_bytes(b"compiled")
    done = course.run("release", "--to", str(to), module="tools")
    assert done.returncode == 0, done.stderr
    found = names(to)
    own = {name.removeprefix(f"{PACKAGE}/") for name in found if name.startswith(PACKAGE)}
    golden = {f"tests/golden/{name}" for name in ("test_sums.json", "test_sums.safetensors", "hints.json")}
    assert own == {"README.md", "assignment.toml", "sums.py", "explore.py", "explore.ipynb", "tests/test_sums.py", *golden}
    stub = (to / PACKAGE / "sums.py").read_text()
    assert "weighted() is yours to write" in stub and "SOLUTION" not in stub and "x @ w" not in stub.split('"""')[-1]
    assert (to / ".release/stubs/a90_toy/sums.py").read_text() == stub
    assert {"Makefile", "README.md", "pyproject.toml", "constraints.txt", ".gitignore", "autograder/setup.sh"} <= found
    assert (to / "autograder/setup.sh").stat().st_mode & 0o111
    assert {"assignments/given/__init__.py", "assignments/given/a90_toy.sealed", "autograder/cli.py"} <= found
    assert "assignments/given/a90_toy/sums.py" not in found, "given parts of what is due are sealed"
    assert not [name for name in found if name.startswith(("tools/", "reference/", ".git/")) or "/hidden/" in name]
    assert not [name for name in found if name.startswith("autograder/tests") or name.endswith((".pyc", ".orig"))]
    assert "| `a90` | [A toy](assignments/a90_toy/README.md) | 100 |" in (to / "README.md").read_text()
    assert not list(to.parent.glob(".*")), "nothing is left beside it"
    everything = b"\n".join((to / name).read_bytes() for name in found)
    assert str(course.root).encode() not in everything and str(HERE.root).encode() not in everything


@pytest.mark.slow
def test_the_manifest_names_every_file(course, tmp_path):
    to = tmp_path / "release"
    assert course.run("release", "--to", str(to), module="tools").returncode == 0
    manifest = json.loads((to / MANIFEST).read_text())
    assert set(manifest["files"]) | {MANIFEST} == names(to)
    assert manifest["yours"] == [f"{PACKAGE}/explore.ipynb", f"{PACKAGE}/explore.py", f"{PACKAGE}/sums.py"]


@pytest.mark.parametrize(
    ("path", "leak", "place"),
    [
        ("README.md", "\nIt is `return weighted(x, w) / x.shape[-1]`.\n", f"{PACKAGE}/README.md:5: "),
        ("explore.py", "\n# %%\nmean = lambda a: weighted(x, w) / x.shape[-1]\n", f"{PACKAGE}/explore.py:8: "),
        ("tests/test_sums.py", "\n# return weighted(x, w) / x.shape[-1]\n", f"{PACKAGE}/tests/test_sums.py:"),
    ],
)
def test_a_release_with_a_solution_in_it_is_refused_with_the_place(course, tmp_path, path, leak, place):
    with (course.root / PACKAGE / path).open("a") as file:
        file.write(leak)
    done = course.run("release", "--to", str(tmp_path / "release"), module="tools")
    assert done.returncode == 2, done.stdout
    assert place in done.stderr and "reference/a90_toy/sums.py:15" in done.stderr
    assert not (tmp_path / "release").exists() and not list(tmp_path.glob(".*"))


def test_a_folder_that_is_no_release_is_refused(course, tmp_path):
    to = tmp_path / "thesis"
    to.mkdir()
    (to / "chapter.tex").write_text("years of work\n")
    done = course.run("release", "--to", str(to), module="tools")
    assert done.returncode == 2 and "is there already and is no release" in done.stderr
    assert names(to) == {"chapter.tex"}


@pytest.mark.slow
def test_a_release_in_place_is_brought_up_to_date(course, tmp_path):
    to = tmp_path / "release"
    assert course.run("release", "--to", str(to), module="tools").returncode == 0
    (to / ".git").mkdir()
    (to / ".git" / "config").write_text("theirs\n")
    done = course.run("release", "--to", str(to), module="tools")
    assert done.returncode == 0 and "nothing to do" in done.stdout, done.stderr
    (course.root / PACKAGE / "README.md").write_text("# A toy, mended\n")
    (course.root / PACKAGE / "explore.py").unlink()
    done = course.run("release", "--to", str(to), module="tools")
    assert done.returncode == 0 and "2 removed" in done.stdout, done.stderr
    assert (to / PACKAGE / "README.md").read_text() == "# A toy, mended\n"
    assert not (to / PACKAGE / "explore.ipynb").exists()
    assert (to / ".git" / "config").read_text() == "theirs\n"
    (to / "solutions.zip").write_bytes(b"PK")
    done = course.run("release", "--to", str(to), module="tools")
    assert done.returncode == 2 and "solutions.zip: not on the list" in done.stderr


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{PACKAGE}/explore.py", f"{PACKAGE}/explore.py:1: imports a90_toy.notes_of_staff"),
        ("datasets/corpora/data/tales.bin", "datasets/corpora/data/tales.bin is of a kind that is on no list"),
    ],
)
def test_a_release_that_would_miss_something_is_refused(course, tmp_path, path, words):
    (course.root / PACKAGE / "notes_of_staff.py").write_text("x = 1\n")
    (course.root / path).parent.mkdir(parents=True, exist_ok=True)
    (course.root / path).write_text("from a90_toy.notes_of_staff import x\n")
    done = course.run("release", "--to", str(tmp_path / "release"), module="tools")
    assert done.returncode == 2 and words in done.stderr, done.stdout + done.stderr
    assert not (tmp_path / "release").exists()


@pytest.mark.slow
def test_what_is_not_ready_is_named(course, tmp_path):
    (course.root / PACKAGE / "tests/golden/test_sums.json").unlink()
    done = course.run("release", "--to", str(tmp_path / "release"), module="tools")
    assert done.returncode == 2 and f"{PACKAGE}/tests/golden/test_sums.json is missing: make golden" in done.stderr
    done = course.run("release", "--to", str(tmp_path / "release"), "--only", "a17", module="tools")
    assert done.returncode == 2 and "there is no assignment 'a17'" in done.stderr
    assert not (tmp_path / "release").exists()


@pytest.mark.slow
def test_a_stage_after_another_opens_what_was_due_and_keeps_what_a_student_has_written(tmp_path):
    """From the release through a01 to the one through a02, in the student's folder."""
    stages = {name: tmp_path / name for name in ("a01", "a02")}
    for name, to in stages.items():
        release(HERE, to, through=name)
    first = names(stages["a01"])
    assert "assignments/given/a01_transformer.sealed" in first and "assignments/a01_transformer/model.py" in first
    assert not [name for name in first if "a02" in name or name.startswith("assignments/given/a01_transformer/")]
    assert "assignments/given/a00_foundations/numerics.py" in first
    student = shutil.copytree(stages["a01"], tmp_path / "student")
    mine = student / "assignments/a01_transformer/attention.py"
    mine.write_text("# mine\n", encoding="utf-8")
    changes = update(stages["a02"], student)
    assert mine.read_text(encoding="utf-8") == "# mine\n" and changes.beside == [] and changes.kept == []
    assert names(student) == names(stages["a02"])
    assert not (student / "assignments/given/a01_transformer.sealed").exists()
    opened = (student / "assignments/given/a01_transformer/attention.py").read_bytes()
    assert opened == (HERE.given / "a01_transformer/attention.py").read_bytes()


def test_students_get_the_targets_that_call_the_grader_alone():
    text = student_makefile((HERE.root / "Makefile").read_text(encoding="utf-8"))
    targets = set(text.split(".PHONY:")[1].splitlines()[0].split())
    assert targets == {"help", "setup", "grade", "watch", "submission", "reset", "update"}
    assert "tools" not in text and "pytest" not in text and "ruff" not in text


def test_students_get_the_project_without_what_staff_needs():
    before = (HERE.root / "pyproject.toml").read_text(encoding="utf-8")
    text = student_project(before)
    project = tomllib.loads(text)
    assert project["project"]["dependencies"] == tomllib.loads(before)["project"]["dependencies"]
    assert "optional-dependencies" not in project["project"]
    assert project["tool"]["pytest"]["ini_options"]["testpaths"] == ["assignments"]
    assert "tools*" not in text and "tools/" not in text and "reference" not in text


def test_a_notebook_has_no_outputs_and_is_the_same_each_time():
    source = (HERE.assignments / "a01_transformer" / "explore.py").read_text(encoding="utf-8")
    book = json.loads(notebook(source))
    assert notebook(source) == notebook(source)
    assert len(book["cells"]) > 5 and {cell["cell_type"] for cell in book["cells"]} == {"code", "markdown"}
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in book["cells"] if cell["cell_type"] == "code")


def test_no_oracle_of_the_corpora_is_released():
    files, _ = contents([HERE.load("a01")])
    corpora = [name for name in files if name.startswith("datasets/")]
    assert {"datasets/corpora/__init__.py", "datasets/corpora/data/tales.json.gz"} <= set(corpora)
    assert not [name for name in corpora if "sources" in name or "/tests/" in name]


@pytest.mark.slow
def test_the_release_grades_in_a_clone_with_nothing_else(tmp_path):
    done = release(HERE, tmp_path / "release")
    assert done.shared["renamed"][0] < RUN and done.shared["as it stands"][0] < WORDS

    def run(*command: str, cwd: Path) -> subprocess.CompletedProcess:
        clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=600)

    git = ["git", "-c", "user.name=Course", "-c", "user.email=course@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Release"]):
        assert run(*git, *command, cwd=tmp_path / "release").returncode == 0
    clone = tmp_path / "clone"
    assert run("git", "clone", "-q", str(tmp_path / "release"), str(clone), cwd=tmp_path).returncode == 0
    assert names(clone) - {n for n in names(clone) if n.startswith(".git/")} == {
        n for n in names(tmp_path / "release") if not n.startswith(".git/")
    }
    environment(clone)
    graded = run("make", "grade", "A=a01", cwd=clone)
    assert graded.returncode == 0 and " 0 of 100 points" in graded.stdout, graded.stdout + graded.stderr
    assert "a01_transformer/positions.py" in graded.stdout
    package = clone / "assignments" / "a01_transformer"
    for name in HERE.load("a01").deliverables:
        shutil.copy(HERE.reference / "a01_transformer" / name, package / name)
    graded = run("make", "grade", "A=a01", cwd=clone)
    assert graded.returncode == 0 and "100 of 100 points" in graded.stdout, graded.stdout + graded.stderr
    where = run(".venv/bin/python", "-I", "-c", "import autograder; print(autograder.__file__)", cwd=clone)
    assert where.stdout.strip() == str(clone / "autograder/__init__.py"), "the release's own grader has graded"
    assert run("make", "submission", "A=a01", cwd=clone).returncode == 0
    tested = run(".venv/bin/python", "-m", "pytest", "-q", "-k", "causal", "assignments/a01_transformer", cwd=clone)
    assert tested.returncode == 0, tested.stdout
    assert run("make", "reset", "A=a01", "FILE=model.py", cwd=clone).returncode == 0
    assert "init_weights() is yours to write" in (package / "model.py").read_text()
    updated = run("make", "update", f"FROM={tmp_path / 'release'}", cwd=clone)
    assert updated.returncode == 0 and "nothing to do" in updated.stdout, updated.stderr
