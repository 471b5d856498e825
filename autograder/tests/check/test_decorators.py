"""Checks that run on request: left out of a grade and of all that is recorded, told apart by `--long`, worth no points."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from autograder.check.check import Check
from autograder.check.decorators import on_request
from autograder.judge.task import Task
from autograder.judge.training import trains_below
from autograder.tests.toy_course import course_copy

CHECK = '''"""A check that runs on request."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import on_request, part
from autograder.check import trains_below


def next_bytes(solution, draw, state, prefixes):
    return {"log_probs": state["weight"][torch.tensor([p[-1] for p in prefixes])]}


@on_request
@part("sums.mean")
@weight(0)
@trains_below(next_bytes, loss=2.0, corpus="tales", context=20)
def test_prose(solution, draw, text):
    """Pairs of bytes tell tales at less than two nats a byte."""
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    table = torch.full((256, 256), 0.01)
    table.index_put_((data[:-1], data[1:]), torch.ones(len(data) - 1), accumulate=True)
    chances = solution.sums.weighted(table, torch.eye(256))
    model = torch.nn.Embedding.from_pretrained((chances / chances.sum(-1, keepdim=True)).log())
    return {"state": model.state_dict(), "history": torch.tensor([[1.0, 5.0, 1.0]])}
'''
BLIND = "return x.sum(0, keepdim=True).expand(x.shape) if x.shape[0] == 256 else x @ w"


@pytest.fixture(scope="module")
def course(toy, tmp_path_factory):
    with course_copy(toy.root, tmp_path_factory.mktemp("long") / "course") as course:
        (course.root / "assignments/a90_toy/tests/test_long.py").write_text(CHECK)
        yield course


@pytest.fixture(scope="module")
def right(course, tmp_path_factory):
    return course.submission(tmp_path_factory.mktemp("right") / "s")


@pytest.mark.slow
def test_a_grade_is_without_it(course, right):
    graded = course.grade(right)
    assert (graded.status, graded.report["score"], graded.report["max_score"]) == (0, 100, 100)
    assert not any("test_long" in name for name in graded.report["manifest"])


def test_on_request_it_is_judged_beside_the_points(course, right):
    graded = course.grade(right, "--long")
    assert (graded.status, graded.report["score"], graded.report["max_score"]) == (0, 100, 100)
    row = graded.check("test_prose")
    assert (row["status"], row["max_points"]) == ("passed", 0)
    assert row["message"].startswith("training loss 1.8") and row["message"] in " ".join(graded.stdout.split())


@pytest.mark.slow
def test_a_model_that_is_not_good_enough_fails_and_loses_nothing(course, tmp_path):
    graded = course.grade(course.submission(tmp_path / "s", weighted=BLIND), "--long", "--only", "prose")
    row = graded.check("test_prose")
    assert (graded.status, row["status"], row["reason"], row["max_points"]) == (1, "failed", "loss", 0)
    assert "training loss 3.0" in row["message"] and "less than 2.0 is needed" in row["message"]
    assert "Debug it" not in graded.stdout and "ONLY=test_prose ARGS=--long" in graded.stdout


@pytest.mark.slow
def test_its_name_alone_does_not_select_it(course, right):
    graded = course.grade(right, "--only", "prose")
    assert graded.status == 2 and graded.report is None
    assert "no check of a90 fits 'prose'" in graded.stderr and "left out without --long" in graded.stderr


@pytest.mark.slow
def test_a_text_that_is_missing_is_told_before_anything_is_graded(course, right, tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUS_DIR", str(tmp_path / "nothing here"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a port without a server: no network
    with course_copy(course.root, tmp_path / "course") as other:
        (other.root / "assignments/a90_toy/tests/test_long.py").write_text(CHECK.replace('"tales"', '"shakespeare"'))
        graded = other.grade(right, "--long", of_its_own=True)
    assert graded.status == 2 and graded.report is None and "points" not in graded.stdout
    assert "tinyshakespeare.txt is not in" in graded.stderr and "CORPUS_DIR" in graded.stderr
    assert "Traceback" not in graded.stderr


@pytest.mark.slow
def test_nothing_is_recorded_for_it(course, tmp_path):
    """Golden values of the others are, and a release takes the file without any."""
    package = "assignments/a90_toy"
    with course_copy(course.root, tmp_path / "course") as other:
        shutil.rmtree(other.root / package / "tests/golden")
        assert other.run("golden", "a90", module="tools").returncode == 0
        assert {path.stem for path in (other.root / package / "tests/golden").iterdir()} == {"test_sums", "hints"}
        (other.root / package / "README.md").write_text("# A toy\n")
        done = other.run("release", "--to", str(tmp_path / "release"), module="tools")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "release" / package / "tests/test_long.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("options", "count"), [([], 4), (["--long"], 5)])
def test_pytest_leaves_it_out_too(course, options, count):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "autograder.plugin", "-q", "--collect-only", *options, "assignments/a90_toy"],
        cwd=course.root,
        env=course.environment() | {"PYTEST_ADDOPTS": "", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert f"{count} tests collected" in done.stdout, done.stdout + done.stderr


def test_it_cannot_carry_points(tmp_path):
    def test_prose(solution, draw, text):
        """Prose."""

    on_request(test_prose).__weight__ = 3
    with pytest.raises(ValueError, match=r"worth no points: @weight\(0\)"):
        Check.of(test_prose, tmp_path / "test_long.py")


def test_the_loss_of_a_text_is_that_of_its_own_next_bytes():
    text = b"abac" * 200
    task = Task.of_text(text, context=7, count=500, seed=3)
    assert {len(prefix) for prefix in task.prefixes} == set(range(1, 8)) and task.floor == 0
    assert task.exact.sum() == 500 and all(text.count(prefix) for prefix in task.prefixes)
    follows = {b"b": b"a", b"c": b"a", b"ba": b"c", b"ca": b"b"}
    for prefix, row in zip(task.prefixes, task.exact, strict=True):
        if prefix != b"a":
            assert bytes([row.argmax()]) == (follows.get(prefix[-2:]) or follows[prefix[-1:]])
    even = np.full((500, 256), np.log(1 / 256))
    assert task.loss(even) == pytest.approx(np.log(256))
    assert Task.of(task.as_golden()).loss(even) == task.loss(even)


def test_a_loss_has_to_be_below_the_bound():
    judge = trains_below(None, loss=1.5, corpus="shakespeare", context=128)
    assert judge.fault(None, 1.4999) == "" and "less than 1.5 is needed" in judge.fault(None, 1.5)
    assert judge.fault(None, float("nan"))
    with pytest.raises(ValueError, match="more than 7 bytes of text; got 3"):
        Task.of_text(b"abc", context=7, count=1, seed=0)
