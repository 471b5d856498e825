"""An archive that somebody uploaded becomes a folder of regular files, or it is refused with a reason.

The number of files, their sizes and the length of names are bounded. Sizes are counted while the bytes come out, because a
header may lie. Left out: other formats than zip and tar, and any repair of a damaged archive.
"""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from autograder.errors import BadInput
from autograder.submission.ignored import is_clutter

MAX_ARCHIVE = 20 << 20  # bytes of the archive itself
MAX_FILES = 2_000  # entries, folders included
MAX_BYTES = 100 << 20  # of all files together
MAX_RATIO = 200  # unpacked to packed bytes. A page of the same letter reaches 1000, text and tensors stay below 20.
FREE_BYTES = 1 << 20  # that may come out whatever the ratio, because a small file may be as regular as it likes
MAX_NAME, MAX_PATH = 200, 800  # bytes of one name, and of a name with its folders
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name. The file is not looked at."""
    return path.name.lower().endswith(SUFFIXES)


def extract(archive: Path, into: Path) -> list[str]:
    """Write the files of a zip or tar below `into`, a new folder, and return their names.

    What macOS, Windows and git add is left out.
    BadInput says what is wrong with the archive. Some files may be written by then, and none of them is to be trusted.
    """
    if not stat.S_ISREG(archive.lstat().st_mode):
        raise BadInput(f"{archive.name} is not a regular file")
    if archive.stat().st_size > MAX_ARCHIVE:
        raise BadInput(f"{archive.name} has {archive.stat().st_size:,} bytes; an archive of at most {MAX_ARCHIVE:,} is read")
    into.mkdir(parents=True, exist_ok=True)
    try:
        members = _zip_members(archive) if archive.name.lower().endswith(".zip") else _tar_members(archive)
        return _write(members, archive, into)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise BadInput(f"{archive.name} cannot be unpacked: {error or type(error).__name__}") from error
    except BadInput:
        raise
    except Exception as error:  # zlib.error, lzma.LZMAError, struct.error, … of a damaged archive
        raise BadInput(f"{archive.name} is damaged: {type(error).__name__}: {error}") from error


class Member(NamedTuple):
    """An entry of an archive.

    kind: "file", "folder", or what it is otherwise, such as "link".
    packed: bytes that it takes in the archive, or an upper bound on them.
    contents: what can be read of it. Only a file has contents.
    """

    name: str
    kind: str
    packed: int
    contents: IO[bytes] | None


_KINDS_OF_MODE = {0: "file", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        if len(file.infolist()) > MAX_FILES:
            raise BadInput(f"{archive.name} holds {len(file.infolist()):,} entries; at most {MAX_FILES:,} are read")
        for info in file.infolist():
            if info.flag_bits & 1:
                raise BadInput(f"{archive.name} is encrypted; upload it without a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(f"{archive.name} is packed by method {info.compress_type}; use the ordinary one, deflate")
            kind = _kind_in_zip(info)
            if kind != "file":
                yield Member(info.filename, kind, 0, None)
                continue
            with file.open(info) as contents:
                yield Member(info.filename, kind, info.compress_size, contents)


def _kind_in_zip(info: zipfile.ZipInfo) -> str:
    if info.is_dir():
        return "folder"
    mode = info.external_attr >> 16 if info.create_system == 3 else 0  # only Unix writes a mode there
    return _KINDS_OF_MODE.get(stat.S_IFMT(mode), "special file")


def _tar_members(archive: Path) -> Iterator[Member]:
    packed = archive.stat().st_size
    with archive.open("rb") as file:
        plain: io.BufferedIOBase = file if archive.name.lower().endswith(".tar") else gzip.GzipFile(fileobj=file)
        with tarfile.open(fileobj=_Bounded(plain, archive), mode="r|") as tar:
            for member in tar:
                kind = _kind_in_tar(member)
                yield Member(member.name, kind, packed, tar.extractfile(member) if kind == "file" else None)


def _kind_in_tar(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "link"
    if member.issparse():
        return "sparse file"
    return "file" if member.isreg() else "folder" if member.isdir() else "special file"


class _Bounded(io.RawIOBase):
    """What comes out of a compressed tar, up to a size. tarfile reads names and headers before we see any member."""

    def __init__(self, plain: io.BufferedIOBase, archive: Path):
        self._plain, self._archive, self._left = plain, archive, MAX_BYTES + MAX_FILES * 4096

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as of any file. BadInput once there are too many."""
        data = self._plain.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BadInput(f"{self._archive.name} unpacks to more than {MAX_BYTES:,} bytes")
        return data


def _write(members: Iterator[Member], archive: Path, into: Path) -> list[str]:
    """Write the files below `into` and return their names."""
    written: list[str] = []
    total = 0
    for number, member in enumerate(members, 1):
        if number > MAX_FILES:
            raise BadInput(f"{archive.name} holds more than {MAX_FILES:,} entries")
        path = _safe(member.name, archive)
        if member.kind not in ("file", "folder"):
            raise BadInput(f"{archive.name}: {_shown(member.name)} is a {member.kind}; only plain files and folders are read")
        if path is not None and member.contents is not None:
            total = _write_file(into / path, member, archive, total)
            written.append(str(path))
    return written


def _write_file(target: Path, member: Member, archive: Path, total: int) -> int:
    """Write one file. total: bytes that were written before. Returns the bytes that are written now."""
    assert member.contents is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        out = target.open("xb")
    except FileExistsError:
        raise BadInput(f"{archive.name} holds {_shown(member.name)} twice") from None
    most = FREE_BYTES + MAX_RATIO * member.packed
    most_of_all = FREE_BYTES + MAX_RATIO * archive.stat().st_size
    size = 0
    with out:
        while chunk := member.contents.read(1 << 16):
            size, total = size + len(chunk), total + len(chunk)
            if total > MAX_BYTES:
                raise BadInput(f"{archive.name} unpacks to more than {MAX_BYTES:,} bytes")
            if size > most or total > most_of_all:
                raise BadInput(f"{archive.name}: {_shown(member.name)} unpacks to more than {MAX_RATIO} times its packed size")
            out.write(chunk)
    return total


def _safe(name: str, archive: Path) -> PurePosixPath | None:
    """The name as a path below the target, or None for clutter. BadInput if it leads out of the target or is too long."""
    name = name.replace("\\", "/")
    parts = [p for p in name.split("/") if p not in ("", ".")]
    if name.startswith("/") or ".." in parts or (parts and parts[0][1:2] == ":"):
        raise BadInput(f"{archive.name}: the name {_shown(name)} leads out of the archive")
    if not name.isprintable():
        raise BadInput(f"{archive.name}: the name {_shown(name)} holds control characters")
    if len(name.encode()) > MAX_PATH or any(len(p.encode()) > MAX_NAME for p in parts):
        raise BadInput(f"{archive.name}: the name {_shown(name)} is too long ({len(name.encode()):,} bytes)")
    if not parts or any(map(is_clutter, parts)):
        return None
    return PurePosixPath(*parts)


def _shown(name: str) -> str:
    """The name for a message: short, and without what a terminal would obey."""
    return repr("".join(c if c.isprintable() else "�" for c in name[:80]) + (" …" if len(name) > 80 else ""))
