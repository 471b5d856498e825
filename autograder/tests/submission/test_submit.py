"""The zip that a student uploads: complete, the same bytes each time, or refused with every reason at once."""

import hashlib
import json
import zipfile
from io import BytesIO

import pytest

from autograder import assignment
from autograder.errors import BadInput
from autograder.files import write_or_refuse
from autograder.submission.submit import build

TOML = """
title = "Toy"
deliverables = ["rope.py", "model.py", "by_hand.toml"]
forbidden = []
parts = [{name = "rope.rotate", title = "turn", points = 100}]
limits = {seconds = 5, memory_mb = 512}
"""
STUB = 'class Rope:\n    def rotate(self):\n        raise NotImplementedError(\n            "a03_toy/rope.py: Rope.rotate() is yours to write (handout: rope)"\n        )\n'


@pytest.fixture
def one(tmp_path):
    folder = tmp_path / "a03_toy"
    folder.mkdir()
    (folder / "assignment.toml").write_text(TOML)
    (folder / "rope.py").write_text("def rotate(x):\n    return x\n")
    (folder / "model.py").write_bytes(b"\xef\xbb\xbfimport torch\r\n\r\nprint('\\d')\r\n")
    (folder / "by_hand.toml").write_bytes(b'\xef\xbb\xbfangle = "0.54"\r\n')
    (folder / "notes.txt").write_text("not asked for")
    return assignment.read(folder)


def test_the_zip_holds_the_deliverables_and_their_hashes(one, tmp_path):
    upload = build(one.folder, one)
    assert upload.data == build(one.folder, one).data and upload.warnings == () and upload.files == 3
    with zipfile.ZipFile(BytesIO(upload.data)) as archive:
        assert archive.namelist() == ["rope.py", "model.py", "by_hand.toml", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
        for name, sha256 in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == sha256
            assert archive.read(name) == (one.folder / name).read_bytes()
    lines = "".join(f"{h}  {n}\n" for n, h in manifest["files"].items())
    assert manifest["sha256"] == upload.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    (one.folder / "rope.py").write_text("changed = 1\n")
    assert build(one.folder, one).sha256 != upload.sha256
    write_or_refuse(tmp_path / "s.zip", upload.data)
    assert (tmp_path / "s.zip").read_bytes() == upload.data
    with pytest.raises(BadInput, match="cannot be written"):
        write_or_refuse(tmp_path / "no" / "s.zip", upload.data)


def test_what_is_unfinished_is_a_warning(one):
    (one.folder / "rope.py").write_text(STUB)
    (one.folder / "by_hand.toml").write_text('angle = ""\n')
    assert build(one.folder, one).warnings == (
        "rope.py: Rope.rotate still to be written",
        "by_hand.toml: angle still without an answer",
    )


def test_every_reason_is_given_at_once(one, tmp_path):
    (one.folder / "rope.py").unlink()
    (one.folder / "model.py").write_text("x = 1\ndef f(:\n")
    (one.folder / "by_hand.toml").write_text("angle = \n")
    with pytest.raises(BadInput) as caught:
        build(one.folder, one)
    said = str(caught.value)
    assert "rope.py is missing" in said and "model.py:2: syntax error: invalid syntax" in said and "by_hand.toml: Invalid" in said
    with pytest.raises(BadInput, match="is not a folder"):
        build(tmp_path / "nowhere", one)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"#" * (1 << 20) + b"\n", "has 1,048,577 bytes; at most 1,048,576"),
        (b"x = 1\x00", "null bytes"),
        (b"x = '\xff'", "syntax error"),
        (b"(" * 100_000, "rope.py"),
        (b"\xff\xfex\x00", "rope.py"),
    ],
)
def test_a_file_that_no_grader_could_read_is_refused(one, data, words):
    (one.folder / "rope.py").write_bytes(data)
    with pytest.raises(BadInput, match=words):
        build(one.folder, one)


def test_a_link_is_no_file(one, tmp_path):
    (tmp_path / "elsewhere.py").write_text("")
    (one.folder / "rope.py").unlink()
    (one.folder / "rope.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(BadInput, match="not a regular file"):
        build(one.folder, one)
