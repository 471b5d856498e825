"""A run that was killed goes on where it was, and a change of the files starts anew."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.assignment import Course
from tools.tests.resumable import fingerprint

TESTS = """
import os, time, pytest

def test_one(): pass
def test_two(): assert not os.path.exists("fails")
def test_three():
    open("started", "w")
    while os.path.exists("hangs"): time.sleep(0.05)
def test_four(): pytest.skip("not here")
@pytest.fixture
def untidy():
    yield
    assert not os.path.exists("untidy")
def test_five(untidy): pass
"""
GIT = ["git", "-c", "user.name=Course", "-c", "user.email=course@example.org"]


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / ".gitignore").write_text("started\nhangs\nfails\nuntidy\n.pytest_cache\n__pycache__\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Tests"]):
        subprocess.run([*GIT, *command], cwd=tmp_path, check=True)
    return tmp_path


def start(project: Path, *options: str) -> subprocess.Popen:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Course.here().root),
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugin = ["-p", "tools.tests.resumable", "-c", os.devnull, f"--rootdir={project}", "-o", f"cache_dir={project}/.pytest_cache"]
    command = [sys.executable, "-m", "pytest", *plugin, "test_it.py", *options]
    return subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(project: Path, *options: str) -> str:
    """What pytest prints; the last line has the exit status."""
    with start(project, *options) as process:
        return process.communicate()[0] + f"status {process.returncode}"


def test_what_has_passed_is_left_out_and_what_has_not_runs_again(project):
    (project / "fails").touch()
    (project / "untidy").touch()
    first = run(project, "--resume")
    assert "0 of 5 done at this commit, 5 left" in first and "2 of 5 done at this commit, 3 left" in first
    (project / "fails").unlink()
    (project / "untidy").unlink()
    second = run(project, "--resume")
    assert "collected 5 items / 2 deselected / 3 selected" in second
    assert "4 of 5 done at this commit, 1 left" in second and "status 0" in second  # one is skipped each time


def test_a_run_that_is_killed_goes_on_where_it_was(project):
    (project / "hangs").touch()
    with start(project, "--resume") as process:
        while not (project / "started").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    (project / "hangs").unlink()
    assert "2 of 5 done at this commit, 3 left" in run(project, "--resume")


def test_nothing_left_is_a_success(project):
    selected = ("--resume", "-k", "one or two")
    assert "2 of 2 done at this commit, 0 left" in run(project, *selected)
    again = run(project, *selected)
    assert "5 deselected" in again and "2 of 2 done at this commit, 0 left" in again and "status 0" in again


def test_again_starts_anew_and_so_does_a_change(project):
    assert "4 of 5 done" in run(project, "--resume")
    assert "0 of 5 done at this commit, 5 left" in run(project, "--resume", "--again")
    before = fingerprint(project)
    (project / "test_it.py").write_text(TESTS + "\n")
    changed = fingerprint(project)
    assert "0 of 5 done at this commit, 5 left" in run(project, "--resume")
    (project / "new.txt").write_text("1")
    added = fingerprint(project)
    (project / "new.txt").write_text("2")
    assert len({before, changed, added, fingerprint(project)}) == 4
    (project / "new.txt").unlink()
    (project / "test_it.py").write_text(TESTS)
    assert fingerprint(project) == before  # the control: nothing but the changes tells them apart
    assert "4 of 5 done at this commit, 1 left" in run(project, "--resume")


def test_without_the_option_everything_runs(project):
    run(project, "--resume")
    assert "4 passed, 1 skipped" in run(project)


def test_without_git_every_run_is_a_whole_one(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    for _ in range(2):
        assert "0 of 5 done at this commit, 5 left; without git" in run(tmp_path, "--resume")
    assert fingerprint(tmp_path) is None
