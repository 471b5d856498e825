"""`watch`: each save is graded, also one that comes while a grade is under way. Ctrl-C ends it."""

import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from autograder.assignment import Course
from autograder.submission.saves import Saves
from autograder.tests.toy_course import course_copy, wait_for_worker


@pytest.mark.slow
def test_a_save_ends_the_grade_that_is_under_way(toy, tmp_path):
    """The code loops, and a check may take 1000 s. The save that mends it is graded at once all the same."""
    with course_copy(toy.root, tmp_path / "course", seconds=1000) as course:
        folder = course.root / "assignments/a90_toy"
        course.submission(folder, weighted="open('started', 'w')\n    while True: pass")
        process = subprocess.Popen(
            [sys.executable, "-m", "autograder", "watch", "a90"],
            env=course.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        guard = threading.Timer(100, process.kill)  # a grade that goes on would hold this test for 1000 s
        guard.start()
        family = wait_for_worker(process)
        course.submission(folder)
        saved, shown = time.monotonic(), ""
        while " points" not in shown:
            line = process.stdout.readline()
            assert line, "the save was not graded"
            shown += line
        took = time.monotonic() - saved
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
        guard.cancel()
    assert shown.index("saved: sums.py") < shown.index("100 of 100 points") and took < 60
    assert process.returncode == 0 and "Traceback" not in shown + rest
    assert not psutil.wait_procs(family, timeout=60)[1]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_save_is_told_once_and_files_that_are_not_handed_in_do_not_count(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course, Saves(Course(course.root).load("a90")) as saves:
        folder = course.root / "assignments/a90_toy"

        def save() -> bool:
            (folder / "notes.txt").write_text("not handed in")
            (folder / "sums.py").write_text(f"# {time.monotonic()}")
            return saves.cancelled.wait(1)

        wait_until(save)  # the thread that watches may take a moment to begin
        assert saves.wait() == ["sums.py"] and not saves.cancelled.is_set()


def test_a_folder_that_cannot_be_watched_is_told(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course:
        assignment = Course(course.root).load("a90")
    shutil.rmtree(course.root)
    with Saves(assignment) as saves, pytest.raises(FileNotFoundError):
        saves.wait()
