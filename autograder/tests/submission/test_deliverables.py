"""Where deliverables are found, and which files are read."""

import os
import threading

import pytest

from autograder.submission.deliverables import (
    MAX_FILE_BYTES,
    TooLarge,
    Unreadable,
    find_deliverables,
    read_regular_file,
    read_regular_files,
)


def test_the_deliverables_are_found_where_they_lie(tmp_path):
    names = ("rope.py", "model.py")
    repository = tmp_path / "repository"
    for folder, files in [
        ("assignments/given/a03", names),
        ("assignments/a03", names),
        ("old", names[:1]),
        (".git/x", names),
        ("a/b/c/d/e/f", names),
    ]:
        (repository / folder).mkdir(parents=True)
        for name in files:
            (repository / folder / name).write_text("")
    assert find_deliverables(repository, names) == repository / "assignments/a03"
    assert find_deliverables(repository / "assignments/a03", names) == repository / "assignments/a03"
    assert find_deliverables(repository / "a", names) == repository / "a/b/c/d/e/f"
    (tmp_path / "deep").mkdir()
    (repository / "a").rename(tmp_path / "deep" / "a")
    assert find_deliverables(tmp_path / "deep", names) == tmp_path / "deep"  # the sixth level is not looked at
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "to").symlink_to(repository / "old")
    assert find_deliverables(tmp_path / "links", names) == tmp_path / "links"


def test_what_has_the_name_of_a_deliverable_ends_the_search(tmp_path):
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "rope.py").write_text("")
    assert find_deliverables(tmp_path, ("rope.py",)) == tmp_path / "hw"
    (tmp_path / "rope.py").symlink_to(tmp_path / "nowhere")
    assert find_deliverables(tmp_path, ("rope.py",)) == tmp_path


def test_a_regular_file_is_read_byte_for_byte(tmp_path):
    data = b"\xef\xbb\xbfx = 1\r\n" + bytes(MAX_FILE_BYTES - 10)
    (tmp_path / "rope.py").write_bytes(data)
    assert read_regular_file(tmp_path / "rope.py") == data
    (tmp_path / "empty.py").touch()
    assert read_regular_file(tmp_path / "empty.py", limit=0) == b""


def test_a_file_that_is_too_large_says_its_size(tmp_path):
    (tmp_path / "rope.py").write_bytes(bytes(1001))
    assert read_regular_file(tmp_path / "rope.py", limit=1001)
    with pytest.raises(TooLarge, match=r"it has 1,001 bytes, at most 1,000 are read") as caught:
        read_regular_file(tmp_path / "rope.py", limit=1000)
    assert caught.value.refusal == "has 1,001 bytes; at most 1,000 are graded"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "the file is missing"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.symlink_to("/etc/hostname"), "not a regular file"),
        (lambda path: path.symlink_to(path), "not a regular file"),
        (os.mkfifo, "not a regular file"),
    ],
    ids=["missing", "folder", "link", "loop", "fifo"],
)
def test_what_is_no_regular_file_is_not_read(tmp_path, make, words):
    make(tmp_path / "rope.py")
    with pytest.raises(Unreadable, match=words):
        read_regular_file(tmp_path / "rope.py")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_file_that_becomes_a_pipe_meanwhile_does_not_stop_the_grader(tmp_path, monkeypatch):
    """`lstat` sees a file, and `open` finds a pipe that nobody writes to."""
    (tmp_path / "before.py").write_text("x = 1\n")
    os.mkfifo(tmp_path / "rope.py")
    before = (tmp_path / "before.py").lstat()
    monkeypatch.setattr(type(tmp_path), "lstat", lambda path: before)
    errors: list[Unreadable] = []

    def read() -> None:
        try:
            read_regular_file(tmp_path / "rope.py")
        except Unreadable as error:
            errors.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and "not a regular file" in str(errors)


def test_every_name_comes_with_its_bytes_or_the_reason(tmp_path):
    (tmp_path / "rope.py").write_bytes(b"x")
    (tmp_path / "large.py").write_bytes(b"xyz")
    found = dict(read_regular_files(tmp_path, ["rope.py", "large.py", "none.py"], limit=2))
    assert found["rope.py"] == b"x" and isinstance(found["large.py"], TooLarge) and "missing" in str(found["none.py"])
