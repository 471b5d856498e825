"""Names in an upload: clutter is passed over, the course's own files are no surprise, and all else is worth a note."""

import pytest

from autograder.submission.ignored import is_clutter, is_unexpected, may_hold_deliverables


@pytest.mark.parametrize("name", ["__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__", ".git", "._rope.py"])
def test_clutter_is_neither_searched_nor_mentioned(name):
    assert is_clutter(name) and not is_unexpected(name) and not may_hold_deliverables(name)


@pytest.mark.parametrize("name", ["README.md", "tests", "manifest.json", "rope.py.mine1", "rope.py.new12"])
def test_what_belongs_to_the_course_is_not_mentioned(name):
    assert not is_unexpected(name) and not is_clutter(name)


@pytest.mark.parametrize("name", ["notes.txt", "rope2.py", "rope.py.mine", ".env", "hw"])
def test_what_a_student_wrote_is_mentioned(name):
    assert is_unexpected(name) and not is_clutter(name)


@pytest.mark.parametrize("name", ["given", "tests", "reference", "hidden", ".hidden"])
def test_folders_with_files_of_the_course_are_not_searched(name):
    assert not may_hold_deliverables(name) and may_hold_deliverables("hw")
