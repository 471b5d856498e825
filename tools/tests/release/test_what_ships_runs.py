"""What a student gets runs: every demo and every notebook, in a clone with nothing else.

The clone has the reference's deliverables, so that demos and notebooks have something to show.
"""

import json
import re
import subprocess

import pytest

from autograder.assignment import Assignment
from tools.tests.assignment_facts import Facts
from tools.tests.release.readme_commands import commands, readmes
from tools.tests.release.student_clone import HERE, Clone

EACH = pytest.mark.parametrize("name", list(HERE.known()))
EVERY_DEMO = [pytest.param(a, demo, id=f"{a}-{demo}") for a in HERE.known() for demo in Facts.of(HERE.load(a)).demos]

# Runs a notebook, and prints how many pictures it shows. The kernel is this interpreter, in the notebook's own folder.
NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}}).execute()
print(sum("image/png" in o.get("data", {}) for cell in book.cells for o in cell.get("outputs", [])))
"""
# Imports each demo and what each notebook imports. Prints what a demo says of an argument that it does not know.
IMPORTS = """
import ast, contextlib, importlib, inspect, io, json, sys
usages = {}
for package in sys.argv[1:]:
    demo = importlib.import_module(f"{package}.demo")
    for node in ast.parse(open(f"assignments/{package}/explore.py", encoding="utf-8").read()).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(ast.unparse(node))
    if inspect.signature(demo.main).parameters:
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
            demo.main(["nonsense"])
        usages[package] = said.getvalue()
print(json.dumps(usages))
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone.make(tmp_path_factory.mktemp("student") / "clone")


def test_nothing_of_the_course_can_be_imported_but_what_shipped(clone):
    """The control of all that follows: the environment of these tests has the course on its path."""
    names = ["autograder", "corpora", "given", *(folder.name for folder in HERE.known().values())]
    places = clone.run("python", "-c", f"import sys\nfor name in {names}: print(__import__(name).__file__)")
    assert places.returncode == 0, places.stderr
    assert len(places.stdout.split()) == len(names) and all(p.startswith(f"{clone.root}/") for p in places.stdout.split())
    for name in ("tools", "reference", "tools.tests"):
        assert "No module named" in clone.run("python", "-c", f"import {name}").stderr


@pytest.mark.slow
def test_a_notebook_too_can_import_what_shipped_alone(clone, tmp_path):
    """The control for notebooks, whose kernel is a process of its own."""
    code = f"import given, importlib.util\nassert given.__file__.startswith({str(clone.root)!r})\nassert not importlib.util.find_spec('{{}}')"
    for module, status in (("tools", 0), ("autograder", 1)):
        cell = {
            "cell_type": "code",
            "id": "one",
            "source": code.format(module),
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / "book.ipynb").write_text(json.dumps(book))
        done = clone.run("python", "-c", NOTEBOOK, str(tmp_path / "book.ipynb"), str(tmp_path))
        assert done.returncode == status and ("AssertionError" in done.stderr) == bool(status), done.stderr


@pytest.mark.slow
def test_demos_and_notebooks_find_what_they_import_and_every_form_of_a_demo_is_run(clone):
    """Those that `facts.toml` names are all that a demo offers, and all that a handout shows."""
    packages = [folder.name for folder in HERE.known().values()]
    done = clone.run("python", "-c", IMPORTS, *packages)
    assert done.returncode == 0, done.stderr
    usages = json.loads(done.stdout.splitlines()[-1])
    for name, path in readmes(clone).items():
        for command in commands(path.read_text(encoding="utf-8")):
            if match := re.fullmatch(r"python -m (\w+)\.demo ?(.*)", command):
                assert match[1][:3] == name and match[1] in packages, command
                assert any(demo.split()[:1] == match[2].split()[:1] for demo in Facts.of(HERE.load(name)).demos), command
    for package, usage in usages.items():
        offered = set(re.split(r"[|,]", re.search(r"\w+(?:[|,]\w+)+", usage)[0]))
        run = {demo.split()[0] for demo in Facts.of(HERE.load(package)).demos}
        assert run <= offered and (run == offered or "all" in run), f"{package}: {run} of {offered}"
    assert len(usages) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "demo", "gone"), [
    ("a02", "level1", "datasets/corpora/data/fourletters.json.gz"),
    ("a03", "ablation 1 2", "assignments/a03_modern/extensions.py"),
    ("a03", "race", "datasets/corpora/data/tales.json.gz"),
])  # fmt: skip
def test_a_file_that_did_not_ship_stops_a_demo(clone, name, demo, gone):
    """The control: each of these stayed behind once."""
    path = clone.root / gone
    kept = path.rename(path.with_suffix(".kept"))
    try:
        done = run_demo(clone, HERE.load(name), demo)
    finally:
        kept.rename(path)
    assert done.returncode == 1 and path.name.split(".")[0] in done.stderr, done.stdout + done.stderr


def run_demo(clone: Clone, assignment: Assignment, demo: str) -> subprocess.CompletedProcess:
    seconds = Facts.of(assignment).demo_seconds
    return clone.run("python", "-m", f"{assignment.package}.demo", *demo.split(), seconds=seconds)


@pytest.mark.slow
@EACH
def test_the_shortest_demo_shows_something_working(clone, name):
    done = run_demo(clone, HERE.load(name), Facts.of(HERE.load(name)).demos[0])
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "demo"), EVERY_DEMO)
def test_every_demo_shows_something_working(clone, name, demo):
    done = run_demo(clone, HERE.load(name), demo)
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(3600)
@EACH
def test_the_notebook_runs_from_top_to_bottom(clone, name):
    folder = clone.root / "assignments" / HERE.load(name).package
    done = clone.run("python", "-c", NOTEBOOK, str(folder / "explore.ipynb"), str(folder), seconds=3000)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= Facts.of(HERE.load(name)).pictures
