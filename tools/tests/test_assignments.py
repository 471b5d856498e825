"""Every assignment end to end: the reference gets 100, the stubs 0, mistakes are named, and notebook and demo run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.assignment import Assignment, Course


@dataclass(frozen=True)
class Facts:
    """mistakes: some that students make; missing: a file to leave out; demo: what it is called with, in full and to begin with."""

    mistakes: tuple[str, ...]
    missing: str
    demo: tuple[str, ...] = ()
    demo_of_stubs: tuple[str, ...] = ()
    pictures: int = 3
    long: float = 300  # seconds that the demo may take, on a machine that does something else too


HERE = Course.here()
COURSE = {
    "a00": Facts(
        mistakes=(
            "maximum_of_everything",
            "widened_after_the_logarithm",
            "scale_shrinks_by_growth",
            "flat_instead_of_a_bell",
            "folders_are_not_made",
        ),
        missing="numerics.py",
    ),
    "a01": Facts(
        mistakes=(
            "mask_after_softmax",
            "heads_by_view_alone",
            "eps_outside_the_root",
            "mask_lets_a_token_see_the_next",
            "head_is_a_copy_of_the_table",
        ),
        missing="attention.py",
    ),
    "a02": Facts(
        mistakes=(
            "targets_are_not_shifted",
            "averaged_over_padding",
            "always_rescaled",
            "warm_up_starts_at_the_peak",
            "token_that_crosses_p_is_left_out",
        ),
        missing="schedule.py",
        demo=("all",),
        demo_of_stubs=("level1",),
        long=1200,
    ),
    "a03": Facts(
        mistakes=(
            "mean_is_taken_off",
            "halves_for_neighbours",
            "heads_of_keys_are_tiled",
            "sinks_are_evicted",
            "positions_by_column",
        ),
        missing="norm.py",
        demo=("race",),
        demo_of_stubs=("race",),
    ),
    "a04": Facts(
        mistakes=(
            "leftmost_pair_first",
            "divided_by_the_parts",
            "clipped_before_unscaling",
            "snapshot_holds_live_tensors",
            "clipped_before_the_sum",
        ),
        missing="accumulate.py",
        demo=("all",),
        demo_of_stubs=("bpe",),
        pictures=5,
    ),
}

every_assignment = pytest.mark.parametrize("assignment", [HERE.load(name) for name in COURSE], ids=list(COURSE))
# The quick tests grade one of them.
one_quickly = pytest.mark.parametrize(
    "assignment", [pytest.param(HERE.load(name), id=name, marks=[pytest.mark.slow] * (name != "a01")) for name in COURSE]
)


def reference(assignment: Assignment) -> Path:
    return assignment.reference


def grade(assignment: Assignment, folder: Path, target: Path, *options: str) -> tuple[int, dict, str]:
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "grade", assignment.id, "--from", str(folder), "--json", str(target), *options],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    return done.returncode, json.loads(target.read_text()), done.stdout


def test_every_assignment_is_tested():
    assert list(HERE.known()) == list(COURSE)


@one_quickly
def test_the_reference_gets_all_points(assignment, tmp_path):
    status, report, text = grade(assignment, reference(assignment), tmp_path / "r.json", "--force-hidden")
    assert (status, report["score"], report["max_score"]) == (0, 100, 100), text
    assert sum(not c["id"].startswith("hidden/") for c in report["checks"]) >= 40
    assert any(c["id"].startswith("hidden/") for c in report["checks"])


@one_quickly
def test_the_stubs_get_nothing(assignment, tmp_path):
    status, report, text = grade(assignment, assignment.folder, tmp_path / "r.json")
    assert (status, report["score"]) == (1, 0), text
    graded = [c for c in report["checks"] if c["max_points"]]
    assert {c["reason"] for c in graded if not c["id"].startswith("hidden/")} == {"todo"}
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), [(name, mistake) for name, facts in COURSE.items() for mistake in facts.mistakes])
def test_five_mistakes_are_named(tmp_path, name, mistake):
    from autograder.submission.working_copy import working_copy
    from tools.author.cases import load_cases
    from tools.author.replace_definition import replace_definition

    assignment = HERE.load(name)
    case = next(c for c in load_cases(reference(assignment) / "misconceptions") if c.name == mistake)
    tree = working_copy(reference(assignment), assignment, tmp_path / "tree")
    path = tree.folder / f"{case.module}.py"
    path.write_text(replace_definition(path.read_text(encoding="utf-8"), case.qualname, case), encoding="utf-8")
    status, report, text = grade(assignment, tree.folder, tmp_path / "r.json", "--only", case.module)
    assert status == 1 and mistake in {c["misconception"] for c in report["checks"]}, text
    assert "Looks like: " in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "assignment", [pytest.param(HERE.load(name), id=name, marks=[pytest.mark.long] * (name > "a01")) for name in COURSE]
)
def test_a_missing_file_costs_its_own_points(assignment, tmp_path):
    folder, missing = tmp_path / "s", COURSE[assignment.id].missing
    shutil.copytree(reference(assignment), folder)
    (folder / missing).unlink()
    status, report, text = grade(assignment, folder, tmp_path / "r.json")
    assert status == 1 and f"{missing}: the file is missing" in text
    module = missing.removesuffix(".py")
    lost = {c["part"].split(".")[0] for c in report["checks"] if c["points"] < c["max_points"]}
    worth = sum(part.points for part in assignment.parts if part.name.split(".")[0] == module)
    assert lost == {module} and report["score"] == 100 - worth, text
    assert any(c["given"] for c in report["checks"])


@every_assignment
def test_points_of_the_parts_are_the_weights_of_their_public_checks(assignment):
    from autograder.check.collecting import collect

    assert assignment.points == 100
    weights = {}
    for check in collect(assignment):
        weights[check.part] = weights.get(check.part, 0) + check.weight * (check.device is None)
    assert weights == {part.name: part.points for part in assignment.parts}


@every_assignment
def test_golden_values_stay_small(assignment):
    files = [*(assignment.folder / "tests" / "golden").iterdir(), *(reference(assignment) / "hidden" / "golden").iterdir()]
    assert sum(f.stat().st_size for f in files) <= 1_000_000


def _assembled(assignment: Assignment, tmp_path: Path) -> Path:
    """A tree in which the demo and the notebook find the reference as their package."""
    root = tmp_path / "assignments"
    shutil.copytree(HERE.assignments, root, ignore=shutil.ignore_patterns("__pycache__"))
    for path in reference(assignment).glob("*.py"):
        shutil.copy(path, root / assignment.package / path.name)
    return root


def _demo(assignment: Assignment, root: Path, arguments: tuple[str, ...], seconds: float) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"{assignment.package}.demo", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.mark.long
@every_assignment
def test_the_demo_shows_something_working(assignment, tmp_path):
    facts = COURSE[assignment.id]
    done = _demo(assignment, _assembled(assignment, tmp_path), facts.demo, facts.long)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@every_assignment
def test_the_demo_of_the_stubs_names_what_is_missing(assignment):
    done = _demo(assignment, HERE.assignments, COURSE[assignment.id].demo_of_stubs, 100)
    assert done.returncode == 1 and "yours to write" in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
@every_assignment
def test_the_notebook_runs_from_top_to_bottom(assignment, tmp_path):
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    root = _assembled(assignment, tmp_path)
    notebook = jupytext.read(root / assignment.package / "explore.py")
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(root)}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= COURSE[assignment.id].pictures
    nbformat.write(notebook, tmp_path / "explore.ipynb")


@pytest.mark.long
@every_assignment
def test_verify_finds_no_problem(assignment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools", "verify", assignment.id, "--json", str(tmp_path / "v.json")],
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
        cwd=HERE.root,
    )
    assert done.returncode == 0, done.stdout
