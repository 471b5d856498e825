"""Where the deliverables of a submission lie, and how one of them is read. Every way to grade uses these two functions."""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder.submission.ignored import may_hold_deliverables

MAX_FILE_BYTES = 1 << 20
MAX_FOLDERS, MAX_DEPTH = 2_000, 5  # of a search


class Unreadable(Exception):
    """A file that was not read. Its text says why, as a clause for the report.

    refusal: the same for somebody who is about to submit the file, with what to do. It follows the name of the file.
    """

    def __init__(self, why: str, refusal: str):
        super().__init__(why)
        self.refusal = refusal


class TooLarge(Unreadable):
    """A file that has more bytes than are read."""

    def __init__(self, size: int, limit: int):
        super().__init__(
            f"it has {size:,} bytes, at most {limit:,} are read", f"has {size:,} bytes; at most {limit:,} are graded"
        )


def find_deliverables(source: Path, deliverables: tuple[str, ...]) -> Path:
    """The folder at or below `source` that holds most of the deliverables, the nearest of several.

    It is `source` itself if anything has the name of a deliverable there, or if no folder holds one: people zip the
    folder, or the folder above it. Links are not followed. The search ends after MAX_FOLDERS folders, and goes down to
    the level MAX_DEPTH.
    """
    if any(os.path.lexists(source / name) for name in deliverables):
        return source
    best, most = source, 0
    for folder in _folders_below(source):
        count = sum((folder / name).is_file() for name in deliverables)
        if count > most:
            best, most = folder, count
    return best


def _folders_below(source: Path) -> Iterator[Path]:
    """Folders that may hold deliverables, level by level and each level in the order of the names."""
    queue, visited = deque([(source, 0)]), 0
    while queue and visited < MAX_FOLDERS:
        folder, depth = queue.popleft()
        for inner in sorted(_folders_in(folder)):
            visited += 1
            yield inner
            if depth + 1 < MAX_DEPTH:
                queue.append((inner, depth + 1))


def _folders_in(folder: Path) -> list[Path]:
    try:
        return [f for f in folder.iterdir() if f.is_dir() and not f.is_symlink() and may_hold_deliverables(f.name)]
    except OSError:
        return []


def read_regular_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file that somebody handed in: a regular file of at most `limit` bytes.

    Links are not followed, and a pipe is not waited for. Unreadable says why a file was not read.
    """
    try:
        _require_regular(path.lstat(), limit)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            _require_regular(os.fstat(file.fileno()), limit)  # it may have become another file meanwhile
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise Unreadable("the file is missing", "is missing") from None
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise Unreadable(f"it {why}", why) from error
    if len(data) > limit:
        raise TooLarge(len(data), limit)
    return data


def read_regular_files(
    folder: Path, names: Iterable[str], limit: int = MAX_FILE_BYTES
) -> Iterator[tuple[str, bytes | Unreadable]]:
    """Each name with the bytes of its file in `folder`, or with the reason why it was not read."""
    for name in names:
        try:
            yield name, read_regular_file(folder / name, limit)
        except Unreadable as why:
            yield name, why


def _require_regular(status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(
            "it is not a regular file, so it was not read",
            "is not a regular file (a link or a folder); put the file itself there",
        )
    if status.st_size > limit:
        raise TooLarge(status.st_size, limit)
