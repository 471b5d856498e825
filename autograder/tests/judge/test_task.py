"""A training task comes back from its golden leaves as it went in, and its losses are what they are called."""

import math

import numpy as np
import pytest

from autograder.errors import GraderFault
from autograder.judge.task import VOCABULARY, Task
from autograder.observation.golden import Golden
from autograder.observation.golden_files import load_goldens, save_goldens


@pytest.fixture
def task() -> Task:
    exact = np.zeros((2, VOCABULARY))
    exact[0, [97, 98]], exact[1, 99] = [0.25, 0.75], 1.0
    return Task(b"abc \xff" * 20, (b"", b"a\xe9"), exact, text_floor=0.5, document_sd=0.1)


def test_a_task_survives_its_golden_file(task, tmp_path):
    save_goldens(tmp_path / "test_x", {"test_trains": task.as_golden()})
    again = Task.of(load_goldens(tmp_path / "test_x")["test_trains"])
    assert (again.text, again.prefixes) == (task.text, task.prefixes)
    assert np.array_equal(again.exact, task.exact)
    assert (again.text_floor, again.document_sd) == (task.text_floor, task.document_sd)


@pytest.mark.parametrize("leaf", ["text", "prefixes", "rows", "bytes", "chances", "text_floor", "document_sd"])
def test_a_task_with_a_missing_leaf_is_the_graders_fault(task, leaf):
    leaves = task.as_golden().leaves
    assert Task.of(Golden(dict(leaves))).text == task.text
    del leaves[leaf]
    with pytest.raises(GraderFault, match=f"{leaf} is missing"):
        Task.of(Golden(leaves))


def test_the_floor_is_the_entropy_and_no_prediction_is_better(task):
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / 2
    assert task.floor == pytest.approx(entropy)
    uniform = task.loss(np.full((2, VOCABULARY), -math.log(VOCABULARY)))
    assert uniform == pytest.approx(math.log(VOCABULARY))
    assert task.floor < task.unigram_loss < uniform


def test_the_way_goes_from_the_unigram_loss_to_the_floor(task):
    assert task.fraction_of_gap(task.floor) == 1
    assert task.fraction_of_gap(task.unigram_loss) == 0
    assert task.fraction_of_gap(task.unigram_loss + 1) < 0


def test_a_task_on_a_text_needs_more_text_than_its_context():
    task = Task.of_text(b"0123456789", context=9, count=50, seed=1)
    assert {task.text[len(prefix) :][:1] != b"" for prefix in task.prefixes} == {True}
    followers = [bytes([row.argmax()]) for row in task.exact]
    assert all(prefix + follower in task.text for prefix, follower in zip(task.prefixes, followers, strict=True))
    with pytest.raises(ValueError, match="more than 10 bytes"):
        Task.of_text(b"0123456789", context=10, count=1, seed=1)
