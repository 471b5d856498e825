"""What somebody handed in, as a folder: a folder, an archive, or a folder in which an archive lies instead of files."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.submission.archive import extract, is_archive
from autograder.submission.deliverables import find_deliverables
from autograder.text import sanitize


@dataclass(frozen=True)
class Opened:
    """A submission that can be read. folder: its files lie in it or below it. notes: sentences for the report."""

    folder: Path
    notes: tuple[str, ...] = ()


def archive_of(source: Path, deliverables: tuple[str, ...]) -> Path | None:
    """The archive that holds the submission: `source` itself, or the only one in a folder without deliverables."""
    if not source.is_dir():
        return source if is_archive(source) and source.is_file() else None
    archives = [path for path in sorted(source.iterdir()) if is_archive(path)]
    inner = find_deliverables(source, deliverables)
    if len(archives) != 1 or any((inner / name).exists() for name in deliverables):
        return None
    return archives[0]


@contextlib.contextmanager
def open_submission(source: Path, deliverables: tuple[str, ...]) -> Iterator[Opened]:
    """What was handed in as a folder. An archive is extracted into a temporary one, which goes when the context ends.

    An archive in the archive stays closed. BadInput if the archive is refused.
    """
    archive = archive_of(source, deliverables)
    if archive is None:
        yield Opened(source)
        return
    with tempfile.TemporaryDirectory(prefix="unpacked-") as folder:
        extract(archive, Path(folder) / "files")
        beside = archive != source
        notes = (f"graded what is in {sanitize(archive.name[:100], kept='')}",) if beside else ()
        yield Opened(Path(folder) / "files", notes)
