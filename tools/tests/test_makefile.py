"""A word behind a target names an assignment, and a target that does not exist is an error."""

import subprocess

import pytest

from autograder.assignment import Course

ROOT = Course.here().root


def make(*words: str) -> subprocess.CompletedProcess:
    """What make would do."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("grade", "-m autograder grade"),
        ("grade A=a01", "-m autograder grade a01"),
        ("grade a01", "-m autograder grade a01"),
        ("grade 1 ONLY=mask", "-m autograder grade 1 --only 'mask'"),
        ("watch a01_transformer", "-m autograder watch a01_transformer"),
        ("submission a01 TO=a02.zip", "-m autograder submission a01 --to 'a02.zip'"),
        ("reset a00 FILE=device.py", "-m autograder reset a00 device.py"),
        ("golden a02", "-m tools golden a02"),
        ("grade a01 A=a02", "-m autograder grade a02"),
    ],
)
def test_a_word_may_name_the_assignment(words, command):
    done = make(*words.split())
    lines = [" ".join(line.split()) for line in done.stdout.splitlines() if f" {command.split()[1]} " in f"{line} "]
    assert done.returncode == 0 and lines, done.stderr
    assert f"{lines[-1].removesuffix('|| [ $? -eq 1 ]').strip()}".endswith(command), lines


@pytest.mark.parametrize("words", ["graed", "graed a01", "a01", "grade transformer"])
def test_a_target_that_does_not_exist_is_an_error(words):
    done = make(*words.split())
    assert done.returncode == 2 and "No rule to make target" in done.stderr
