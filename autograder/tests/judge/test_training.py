"""The judge of training on models that need no training: bigrams counted from the text, and ways to be wrong about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge.evidence import Evidence
from autograder.judge.task import Task, describe_curve, sees_its_target
from autograder.judge.training import trains_to
from autograder.observation.golden_files import load_goldens, save_goldens
from autograder.observation.leaf import Array
from autograder.tests.toy_course import course_copy

CHECK = '''"""A check that trains."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import part
from autograder.check import trains_to


def next_bytes(solution, draw, state, prefixes):
    last = torch.tensor([p[-1] if p else 10 for p in prefixes])
    return {"log_probs": solution.sums.predict(state["table"], last)}


@part("sums.mean")
@weight(10)
@trains_to(next_bytes, share=0.3, corpus={"tales": {"seed": 5, "size": 60_000, "held_out": 20_000}}, prefixes=256)
def test_learns(solution, draw, text):
    """Pairs of bytes go a third of the way."""
    table, losses = solution.sums.train(text)
    history = torch.tensor([[step, loss, 1.0] for step, loss in enumerate(losses)])
    return {"state": {"table": table}, "history": history.reshape(-1, 3)}
'''
RIGHT = """
def train(text):
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    table = torch.zeros(256, 256)
    table.index_put_((data[:-1], data[1:]), torch.ones(len(data) - 1), accumulate=True)
    return table, [3.0 - 0.1 * i for i in range(10)]


def predict(table, last):
    chances = table[last] + 0.01
    return (chances / chances.sum(-1, keepdim=True)).log()
"""


@pytest.fixture(scope="module")
def course(toy, tmp_path_factory):
    pytest.importorskip("corpora.sources.tales")
    with course_copy(toy.root, tmp_path_factory.mktemp("trains") / "course") as course:
        (course.root / "assignments/a90_toy/tests/test_learning.py").write_text(CHECK)
        done = course.run("golden", "a90", module="tools")
        assert done.returncode == 0, done.stderr
        yield course


def graded(course, folder, **changes: str) -> dict:
    code = RIGHT
    for old, new in changes.values():
        assert old in code
        code = code.replace(old, new)
    return course.grade(course.submission(folder, head=code), "--only", "learns").report["checks"][0]


@pytest.mark.slow
def test_counting_pairs_reaches_the_bar(course, tmp_path):
    row = graded(course, tmp_path / "s")
    assert row["status"] == "passed", row["message"]


@pytest.mark.parametrize(
    ("old", "new", "reason", "words"),
    [
        ("table[last] + 0.01", "table.sum(0).expand(len(last), 256) + 0.01", "loss", "30.0 % are needed"),
        ("(data[:-1], data[1:])", "(data[1:], data[:-1])", "loss", "of the way"),
        ("(chances / chances.sum(-1, keepdim=True)).log()", "chances.log()", "value", "sum to"),
        ("(chances / chances.sum(-1, keepdim=True)).log()", "chances * float('nan')", "nonfinite", "predicts NaN"),
        ("(chances / chances.sum(-1, keepdim=True)).log()", "chances[:7]", "shape", "got (7, 256)"),
        ("3.0 - 0.1 * i for", "0.01 for", "leak", "below the exact floor"),
        ("[3.0 - 0.1 * i for i in range(10)]", "[]", "passed", ""),
        ("table = torch.zeros(256, 256)", "raise ValueError('no table')", "raised", "no table"),
        ("table = torch.zeros(256, 256)", "import os; os._exit(0)", "died", "exit status 0"),
        ("chances = table[last] + 0.01", "import os; os._exit(0)", "died", "exit status 0"),
    ],
)
@pytest.mark.slow
def test_each_way_to_be_wrong_is_told(course, tmp_path, old, new, reason, words):
    row = graded(course, tmp_path / "s", change=(old, new))
    assert (row["reason"] or row["status"]) == reason and words in row["message"], row


@pytest.mark.slow
def test_held_out_text_is_not_in_the_training_worker(course, tmp_path):
    """Code that looks through every frame and global for the held-out beginnings does not find them."""
    look = """
import sys

def everything():
    frame, found = sys._getframe(1), b""
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            found += repr(value)[:3_000_000].encode()
        frame = frame.f_back
    return found

"""
    task = Task.of(load_goldens(course.root / "assignments/a90_toy/tests/golden/test_learning")["test_learns"])
    longest = max(task.prefixes, key=len).decode()
    assert longest.encode() not in task.text
    sought = f"table = torch.zeros(256, 256)\n    assert {task.text[:40]!r} in text and {longest!r}.encode() not in everything()"
    row = graded(course, tmp_path / "s", a=("table = torch.zeros(256, 256)", sought), b=("def train", look + "def train"))
    assert row["status"] == "passed", row["message"]


def test_a_task_comes_back_from_its_golden_values_as_it_was(tmp_path):
    task = toy_task()
    save_goldens(tmp_path / "test_x", {"test_x": task.as_golden()})
    again = Task.of(load_goldens(tmp_path / "test_x")["test_x"])
    assert (again.text, again.prefixes, again.text_floor, again.document_sd) == (task.text, task.prefixes, 0.5, 0.1)
    assert np.array_equal(again.exact, task.exact)


def toy_task() -> Task:
    exact = np.zeros((2, 256))
    exact[0, [97, 98]], exact[1, 10] = (0.75, 0.25), 1.0
    return Task(b"aaab\nab\n", (b"", b"ab"), exact, 0.5, 0.1)


@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
def test_nothing_is_better_than_the_floor(seed, scale):
    logits = scale * np.random.RandomState(seed).standard_normal((2, 256))
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    task = toy_task()
    assert task.loss(log_probs) >= task.floor - 1e-12 and task.fraction_of_gap(task.loss(log_probs)) <= 1 + 1e-12


def test_the_ends_of_the_way():
    task = toy_task()
    assert task.floor == pytest.approx(0.5 * -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert (task.fraction_of_gap(task.floor), task.fraction_of_gap(task.unigram_loss)) == (pytest.approx(1), 0)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([3.0, 2.0, 1.0], "step 0: loss 3.000"),
        ([3.0, 2.0, float("nan")], "diverges: step 2: loss nan"),
        ([3.0] * 30, "stalls"),
        ([], ""),
    ],
)
def test_the_course_of_a_run_is_told(losses, words):
    history = np.array([[i, loss, 0.5] for i, loss in enumerate(losses)]).reshape(-1, 3)
    assert words in describe_curve(history)
    assert bool(describe_curve(history)) == bool(losses)


def test_a_loss_below_the_floor_is_a_leak_only_beyond_chance():
    task, rows = toy_task(), lambda loss: np.array([[i, loss, 1.0] for i in range(40)])
    assert "below the exact floor" in sees_its_target(task, rows(0.2))
    assert sees_its_target(task, rows(0.5 - 5 * 0.1 / 8**0.5)) == sees_its_target(task, rows(0.7)) == ""
    assert sees_its_target(task, rows(0.2)[:7]) == ""  # too few to tell


def test_a_history_of_another_shape_is_refused():
    judge = trains_to(None, share=0.5, corpus={})
    log_probs = Array("float32", np.full((2, 256), np.log(1 / 256), np.float32))
    for history in (None, 3.0, Array("float32", np.zeros((4, 2), np.float32))):
        assert judge.compare(Evidence({"history": history, "log_probs": log_probs}), toy_task().as_golden()).leaf == "history"
