"""An archive that someone uploaded becomes a folder: bounded, regular files alone, or refused with a reason.

Left out: other formats than zip and tar, and any repair of a damaged archive. Sizes are counted while the bytes come out,
because a header may lie.
"""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from autograder.errors import BadInput
from autograder.submission.ignored import is_clutter

MAX_ARCHIVE = 20 << 20
MAX_FILES = 2_000
MAX_BYTES = 100 << 20
MAX_RATIO = 200  # a page of the same letter comes to 1000; text and tensors stay below 20
FREE_BYTES = 1 << 20  # a small file may be as regular as it likes
MAX_NAME, MAX_PATH = 200, 800
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def is_archive(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().endswith(SUFFIXES)


def extract(archive: Path, into: Path) -> list[str]:
    """Write the files of a zip or tar below `into`, a new folder; returns their names.

    BadInput says what is wrong with the archive: nothing of it is to be trusted then, though some files may be written.
    What macOS, Windows and git add is left out.
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
    except Exception as error:  # zlib.error, lzma.LZMAError, struct.error, … of a damaged archive
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{archive.name} is damaged: {type(error).__name__}: {error}") from error


Member = tuple[str, str, int, IO[bytes] | None]  # name, what it is ("file", "folder", "link", …), packed size, contents


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        if len(file.infolist()) > MAX_FILES:
            raise BadInput(f"{archive.name} holds {len(file.infolist()):,} entries; at most {MAX_FILES:,} are read")
        for info in file.infolist():
            if info.flag_bits & 1:
                raise BadInput(f"{archive.name} is encrypted; upload it without a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(f"{archive.name} is packed by method {info.compress_type}; use the ordinary one, deflate")
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            what = (
                "folder" if info.is_dir() else {0: "file", stat.S_IFREG: "file", stat.S_IFLNK: "link"}.get(kind, "special file")
            )
            if what == "file":
                with file.open(info) as contents:
                    yield info.filename, what, info.compress_size, contents
            else:
                yield info.filename, what, 0, None


def _tar_members(archive: Path) -> Iterator[Member]:
    unzip = Path.open if archive.name.lower().endswith(".tar") else gzip.open
    with unzip(archive, "rb") as plain, tarfile.open(fileobj=_Bounded(plain, archive), mode="r|") as file:
        packed = archive.stat().st_size
        for member in file:
            what = "file" if member.isreg() else "folder" if member.isdir() else "special file"
            if member.issym() or member.islnk():
                what = "link"
            elif member.issparse():
                what = "sparse file"
            yield member.name, what, packed, file.extractfile(member) if what == "file" else None


class _Bounded(io.RawIOBase):
    """What comes out of a compressed tar, up to a size: names and headers are read before any member is."""

    def __init__(self, plain: IO[bytes], archive: Path):
        self._plain, self._archive, self._left = plain, archive, MAX_BYTES + MAX_FILES * 4096

    def read(self, size: int = -1) -> bytes:
        data = self._plain.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BadInput(f"{self._archive.name} unpacks to more than {MAX_BYTES:,} bytes")
        return data


def _write(members: Iterator[Member], archive: Path, into: Path) -> list[str]:
    written, total = [], 0
    for number, (name, what, packed, contents) in enumerate(members, 1):
        if number > MAX_FILES:
            raise BadInput(f"{archive.name} holds more than {MAX_FILES:,} entries")
        path = _safe(name, archive)
        if what not in ("file", "folder"):
            raise BadInput(f"{archive.name}: {_shown(name)} is a {what}; only plain files and folders are read")
        if path is None or what == "folder":
            continue
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            out = target.open("xb")
        except FileExistsError:
            raise BadInput(f"{archive.name} holds {_shown(name)} twice") from None
        size = 0
        with out:
            while chunk := contents.read(1 << 16):
                size, total = size + len(chunk), total + len(chunk)
                if total > MAX_BYTES:
                    raise BadInput(f"{archive.name} unpacks to more than {MAX_BYTES:,} bytes")
                if size > FREE_BYTES + MAX_RATIO * packed or total > FREE_BYTES + MAX_RATIO * archive.stat().st_size:
                    raise BadInput(f"{archive.name}: {_shown(name)} unpacks to more than {MAX_RATIO} times its packed size")
                out.write(chunk)
        written.append(str(path))
    return written


def _safe(name: str, archive: Path) -> PurePosixPath | None:
    """The name as a path below the target; None for clutter. BadInput for one that leads out, or is too long."""
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
    return repr("".join(c if c.isprintable() else "�" for c in name[:80]) + (" …" if len(name) > 80 else ""))
