"""A submission as a folder: an archive is opened for a while, also where it lies in a folder in the place of the files."""

import zipfile
from pathlib import Path

import pytest

from autograder.errors import BadInput
from autograder.submission.opening import Opened, archive_of, open_submission

NAMES = ("rope.py", "model.py")


@pytest.fixture
def archive(tmp_path) -> Path:
    (tmp_path / "upload").mkdir()
    with zipfile.ZipFile(tmp_path / "upload" / "a.zip", "w") as file:
        file.writestr("hw/rope.py", b"x")
    return tmp_path / "upload" / "a.zip"


def test_an_archive_serves_as_a_folder_for_a_while(archive):
    with open_submission(archive, NAMES) as opened:
        assert (opened.folder / "hw/rope.py").read_bytes() == b"x" and opened.notes == ()
    assert not opened.folder.exists()


def test_a_folder_is_opened_as_it_is(tmp_path):
    (tmp_path / "model.py").write_text("")
    with open_submission(tmp_path, NAMES) as opened:
        assert opened == Opened(tmp_path)
    with open_submission(tmp_path / "nowhere", NAMES) as opened:  # a later reader says that it is no folder
        assert opened == Opened(tmp_path / "nowhere")


def test_the_only_archive_in_a_folder_without_files_is_the_submission(archive):
    with open_submission(archive.parent, NAMES) as opened:
        assert (opened.folder / "hw/rope.py").read_bytes() == b"x" and opened.notes == ("graded what is in a.zip",)


@pytest.mark.parametrize("name", ["model.py", "hw/model.py", "b.tar"])
def test_an_archive_beside_files_or_another_one_stays_closed(archive, name):
    assert archive_of(archive.parent, NAMES) == archive
    (archive.parent / name).parent.mkdir(exist_ok=True)
    (archive.parent / name).write_bytes(b"")
    assert archive_of(archive.parent, NAMES) is None


def test_the_name_of_an_archive_is_harmless_in_a_note(archive):
    odd = archive.with_name("a\x1b[2J\n" + "b" * 150 + ".zip")
    archive.rename(odd)
    with open_submission(odd.parent, NAMES) as opened:
        assert opened.notes[0].isprintable() and len(opened.notes[0]) < 130


def test_an_archive_that_is_refused_leaves_nothing_open(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    archive.write_bytes(b"PK")
    for source in (archive, archive.parent):
        with pytest.raises(BadInput, match=r"a\.zip cannot be unpacked"), open_submission(source, NAMES):
            raise AssertionError("it was opened")
    assert not any((tmp_path / "temporary").iterdir())
    archive.unlink()
    archive.symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="not a regular file"), open_submission(archive, NAMES):
        raise AssertionError("it was opened")
