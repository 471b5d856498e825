"""Every command in a README file of the release can be meant, and runs."""

import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from tools.tests.release.readme_commands import commands, faults, readmes
from tools.tests.release.student_clone import HERE, Clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone.make(tmp_path_factory.mktemp("student") / "clone")


def test_commands_are_found_in_lines_and_between_backquotes():
    text = "Type `make` or `make new`, not `python -m x.…`.\n\n    make grade A=a00     what it does\n    rank 0 lost\n\n```\npytest a -x\n```\n"
    assert list(commands(text)) == ["make", "make new", "make grade A=a00", "pytest a -x"]


@pytest.mark.slow
def test_every_command_of_every_readme_can_be_meant(clone):
    found = {name: list(commands(path.read_text(encoding="utf-8"))) for name, path in readmes(clone).items()}
    assert min(map(len, found.values())) >= 4
    assert [f"{n}: {c}: {fault}" for n, all_of_it in found.items() for c in all_of_it for fault in faults(clone, c)] == []


@pytest.mark.parametrize(("command", "fault"), [
    ("make grade A=a00 ONLY=mask", "no check of a00 fits 'mask'"),
    ("make grade A=a17", "there is no assignment 'a17'"),
    ("make graed A=a01", "there is no target graed"),
    ("make verify A=a01", "there is no target verify"),
    ("make grade A=a00 ARGS=--nonsense", "No such option: --nonsense"),
    ("make reset A=a00 FILE=attention.py", "attention.py is none of its files"),
    ("pytest assignments/a00_transformer -x", "there is no assignments/a00_transformer"),
    ("python -m a00_foundations.dmeo", "there is no a00_foundations/dmeo.py"),
    ("jupytext --to ipynb explore.py", "jupytext is no command of the course"),
])  # fmt: skip
def test_a_command_that_cannot_be_meant_is_found(clone, command, fault):
    assert any(fault in found for found in faults(clone, command))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["README", *HERE.known()])
def test_every_command_of_a_readme_runs(tmp_path, name):
    """In its order and in a clone of its own, without a network. Demos are run above."""
    clone = Clone.make(tmp_path / "clone")
    Clone.make(tmp_path / "newer-release", with_solutions=False)
    for command in commands(readmes(clone)[name].read_text(encoding="utf-8")):
        started = time.monotonic()
        if re.match(r"python -m \w+\.demo\b", command):
            continue
        if command.startswith("make watch"):
            status, said = 0, watched(clone, command)
        else:
            done = clone.run("bash", "-c", command, seconds=1800)
            status, said = done.returncode, done.stdout + done.stderr
        if "--long" in command:
            assert status == 2 and "CORPUS_DIR" in said, f"{command}\n{said}"  # the text that it asks for is not here
        else:
            assert status == 0, f"{command}\n{said}"
        if command.startswith("make grade"):
            assert "100 of 100" in said or "ONLY" in command or "--long" in command, f"{command}\n{said}"
        print(f"{time.monotonic() - started:6.1f} s  {command}")


def watched(clone: Clone, command: str) -> str:
    """Start `make watch`, save a file when the first report is there, and end it by Ctrl-C when the second is."""
    name = re.search(r"A=(\w+)", command)[1]
    path = clone.root / "assignments" / HERE.load(name).package / HERE.load(name).deliverables[0]
    command_line = ["env", "--default-signal=INT", *shlex.split(command)]  # what a shell starts in the background ignores Ctrl-C
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    reports, lines = 0, []
    with subprocess.Popen(command_line, cwd=clone.root, env=clone.surroundings(), start_new_session=True, **pipes) as process:
        for line in process.stdout:
            lines.append(line)
            if " of 100 points" in line:
                reports += 1
                if reports == 1:
                    time.sleep(10)  # it begins to look out for changes
                    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
                else:
                    os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == -signal.SIGINT, "make ends as Ctrl-C ends it"
    return "".join(lines)
