"""a01 end to end: the reference gets 100, the stubs 0, mistakes are named, and the notebook and demo run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.assignment import ASSIGNMENTS, REFERENCE, ROOT, load

REFERENCE_FOLDER = REFERENCE / "a01_transformer"


def grade(folder: Path, target: Path, *options: str) -> tuple[int, dict, str]:
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "grade", "a01", "--from", str(folder), "--json", str(target), *options],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    return done.returncode, json.loads(target.read_text()), done.stdout


def test_the_reference_gets_all_points(tmp_path):
    status, report, text = grade(REFERENCE_FOLDER, tmp_path / "r.json", "--force-hidden")
    assert (status, report["score"], report["max_score"]) == (0, 100, 100), text
    assert sum(not c["id"].startswith("hidden/") for c in report["checks"]) >= 40
    assert any(c["id"].startswith("hidden/") for c in report["checks"])


def test_the_stubs_get_nothing(tmp_path):
    status, report, text = grade(ASSIGNMENTS / "a01_transformer", tmp_path / "r.json")
    assert (status, report["score"]) == (1, 0), text
    graded = [c for c in report["checks"] if c["max_points"]]
    assert {c["reason"] for c in graded if not c["id"].startswith("hidden/")} == {"todo"}
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mask_after_softmax",
        "heads_by_view_alone",
        "eps_outside_the_root",
        "mask_lets_a_token_see_the_next",
        "head_is_a_copy_of_the_table",
    ],
)
def test_five_mistakes_are_named(tmp_path, name):
    from autograder.cases import load_cases
    from autograder.overlay import replace
    from autograder.submission import working_copy

    case = next(c for c in load_cases(REFERENCE_FOLDER / "misconceptions.py") if c.name == name)
    tree = working_copy(REFERENCE_FOLDER, load("a01"), tmp_path / "tree")
    path = tree.folder / f"{case.module}.py"
    path.write_text(replace(path.read_text(encoding="utf-8"), case.qualname, case), encoding="utf-8")
    status, report, text = grade(tree.folder, tmp_path / "r.json", "--only", case.module)
    assert status == 1 and name in {c["misconception"] for c in report["checks"]}, text
    assert "Looks like: " in text


@pytest.mark.slow
def test_a_missing_file_costs_its_own_points(tmp_path):
    folder = tmp_path / "s"
    shutil.copytree(REFERENCE_FOLDER, folder)
    (folder / "attention.py").unlink()
    status, report, text = grade(folder, tmp_path / "r.json")
    assert status == 1 and "attention.py: the file is missing" in text
    lost = {c["part"].split(".")[0] for c in report["checks"] if c["points"] < c["max_points"]}
    assert lost == {"attention"} and report["score"] == 64, text
    assert any("attention.MultiHeadAttention" in c["given"] for c in report["checks"] if c["part"] == "model.GPT")


def test_points_of_the_parts_are_the_weights_of_their_public_checks():
    from autograder.collect import collect

    assignment = load("a01")
    assert assignment.points == 100
    weights = {}
    for check in collect(assignment):
        weights[check.part] = weights.get(check.part, 0) + check.weight * (check.device is None)
    assert weights == {part.name: part.points for part in assignment.parts}


def test_golden_values_stay_small():
    files = [
        *(ASSIGNMENTS / "a01_transformer" / "tests" / "golden").iterdir(),
        *(REFERENCE_FOLDER / "hidden" / "golden").iterdir(),
    ]
    assert sum(f.stat().st_size for f in files) <= 1_000_000


def _assembled(tmp_path: Path) -> Path:
    """A tree in which the demo and the notebook find the reference as their package."""
    root = tmp_path / "assignments"
    shutil.copytree(ASSIGNMENTS, root, ignore=shutil.ignore_patterns("__pycache__"))
    for path in REFERENCE_FOLDER.glob("*.py"):
        shutil.copy(path, root / "a01_transformer" / path.name)
    return root


@pytest.mark.long
def test_the_demo_shows_something_working(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "a01_transformer.demo"],
        cwd=_assembled(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_demo_of_the_stubs_names_what_is_missing():
    done = subprocess.run(
        [sys.executable, "-m", "a01_transformer.demo"], cwd=ASSIGNMENTS, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1 and "yours to write" in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    root = _assembled(tmp_path)
    notebook = jupytext.read(root / "a01_transformer" / "explore.py")
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(root)}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3
    nbformat.write(notebook, tmp_path / "explore.ipynb")


@pytest.mark.long
def test_verify_finds_no_problem(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools", "verify", "a01", "--json", str(tmp_path / "v.json")],
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout
