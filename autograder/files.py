"""Files that a reader never sees half written."""

import os
from pathlib import Path

from autograder.errors import BadInput


def write_atomically(path: Path, data: bytes | str, mode: int | None = None) -> None:
    """Write a file atomically: whoever reads sees what was there before, or all of the new. OSError if it cannot be written.

    Text becomes UTF-8, and what UTF-8 does not have becomes "?". mode: its rights, by default those of the umask.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(path)


def write_or_refuse(path: Path, data: bytes | str) -> None:
    """The same for a place that somebody named: BadInput if it cannot be written."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); give another place") from error
