"""Archives that students send, and archives that nobody should unpack."""

import gzip
import io
import os
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from autograder.errors import BadInput
from autograder.submission import archive as module
from autograder.submission.archive import extract


def make_zip(
    path: Path, files: dict[str, bytes], kinds: dict[str, int] | None = None, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.compress_type = 3, method
            info.external_attr = ((kinds or {}).get(name, stat.S_IFREG) | 0o777) << 16
            archive.writestr(info, data)
    return path


def make_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_zip_as_macos_makes_it(tmp_path):
    files = {
        "hw/": b"",
        "hw/rope.py": b"x = 1\r\n",
        "hw/.DS_Store": b"\0",
        "__MACOSX/hw/._rope.py": b"\0\5",
        "hw/._rope.py": b"\0",
        "hw/__pycache__/rope.pyc": b"",
    }
    assert extract(make_zip(tmp_path / "a.ZIP", files), tmp_path / "out") == ["hw/rope.py"]
    assert (tmp_path / "out/hw/rope.py").read_bytes() == b"x = 1\r\n"
    assert stat.S_IMODE((tmp_path / "out/hw/rope.py").stat().st_mode) & 0o7111 == 0


def test_a_tar_and_names_with_backslashes(tmp_path):
    archive = make_tar(tmp_path / "a.tar.gz", (member("./hw/rope.py"), b"x"), (member("hw\\model.py"), b"y"))
    assert extract(archive, tmp_path / "out") == ["hw/rope.py", "hw/model.py"]
    assert extract(make_tar(tmp_path / "b.tar", (member("rope.py"), b"x")), tmp_path / "plain") == ["rope.py"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../out.py", "leads out"),
        ("a/../../out.py", "leads out"),
        ("..\\out.py", "leads out"),
        ("/etc/passwd", "leads out"),
        ("C:\\out.py", "leads out"),
        ("a" * 300 + ".py", "too long"),
        ("/".join(["d"] * 500), "too long"),
        ("a\x1b[2J.py", "control characters"),
    ],
)
def test_names_that_lead_out_or_astray_are_refused(tmp_path, name, words):
    for archive in (make_zip(tmp_path / "a.zip", {name: b"x"}), make_tar(tmp_path / "a.tar", (member(name), b"x"))):
        with pytest.raises(BadInput, match=words) as caught:
            extract(archive, tmp_path / "in" / archive.suffix)
        assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 300
    assert not (tmp_path / "out.py").exists() and not (tmp_path / "in" / "out.py").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_zip_holds_plain_files_alone(tmp_path, kind):
    with pytest.raises(BadInput, match="only plain files"):
        extract(make_zip(tmp_path / "a.zip", {"rope.py": b"/etc/passwd"}, {"rope.py": kind}), tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_tar_holds_plain_files_alone(tmp_path, kind):
    with pytest.raises(BadInput, match="only plain files"):
        extract(make_tar(tmp_path / "a.tar", (member("rope.py", kind, "/etc/passwd"), b"")), tmp_path / "out")


def test_a_bomb_is_stopped_early(tmp_path):
    bomb = make_zip(tmp_path / "a.zip", {"rope.py": bytes(80 << 20)})
    with pytest.raises(BadInput, match="more than 200 times"):
        extract(bomb, tmp_path / "zip")
    assert sum(f.stat().st_size for f in (tmp_path / "zip").iterdir()) < 20 << 20
    noise = os.urandom(6 << 20)
    many = make_zip(tmp_path / "b.zip", {f"{i}.bin": noise + bytes(50 << 20) for i in range(3)})
    with pytest.raises(BadInput, match="more than 104,857,600 bytes"):
        extract(many, tmp_path / "many")


def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(300):
            out.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="unpacks to more than"):
            extract(tmp_path / "a.tgz", tmp_path / "out")
        assert tracemalloc.get_traced_memory()[1] < 400 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_hundred_thousand_files_are_refused_before_one_is_unpacked(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", {f"{i}.py": b"" for i in range(100_000)}, method=zipfile.ZIP_STORED)
    few, opened, unpatched = make_zip(tmp_path / "few.zip", {"a.py": b""}), [], zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, *arguments: opened.append(arguments) or unpatched(self, *arguments))
    with pytest.raises(BadInput, match="100,000 entries"):
        extract(archive, tmp_path / "out")
    assert opened == [] and not list((tmp_path / "out").iterdir())
    extract(few, tmp_path / "few")
    assert len(opened) == 1  # the control: unpacking is seen
    many = make_tar(tmp_path / "a.tgz", *((member(f"{i}.py"), b"") for i in range(5_000)))
    with pytest.raises(BadInput, match="more than 2,000 entries"):
        extract(many, tmp_path / "tar")


def test_what_is_no_archive_says_so(tmp_path):
    good = make_zip(tmp_path / "good.zip", {"rope.py": b"x = 1\n" * 100}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(good[:-30])
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "text.tgz").write_text("no tar")
    (tmp_path / "damaged.zip").write_bytes(good.replace(good[45:60], b"\xff" * 15))
    for name in ("cut.zip", "text.zip", "text.tgz", "damaged.zip"):
        with pytest.raises(BadInput, match=name):
            extract(tmp_path / name, tmp_path / "out" / name)
    (tmp_path / "link.zip").symlink_to(tmp_path / "good.zip")
    with pytest.raises(BadInput, match="not a regular file"):
        extract(tmp_path / "link.zip", tmp_path / "out" / "link")


def test_encrypted_large_odd_and_doubled_archives_are_refused(tmp_path):
    data = bytearray(make_zip(tmp_path / "a.zip", {"rope.py": b"x"}).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(BadInput, match="encrypted"):
        extract(tmp_path / "a.zip", tmp_path / "1")
    with pytest.raises(BadInput, match="packed by method 14"):
        extract(make_zip(tmp_path / "b.zip", {"rope.py": b"x"}, method=zipfile.ZIP_LZMA), tmp_path / "2")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("rope.py", "1")
        archive.writestr("rope.py", "2")
    with pytest.raises(BadInput, match="twice"):
        extract(tmp_path / "c.zip", tmp_path / "3")
    with (tmp_path / "d.zip").open("wb") as file:
        file.truncate(module.MAX_ARCHIVE + 1)
    with pytest.raises(BadInput, match="at most 20,971,520 is read"):
        extract(tmp_path / "d.zip", tmp_path / "4")
