"""Files that a reader never sees half written."""

import os
from pathlib import Path

from autograder.errors import BadInput


def write_atomically(path: Path, data: bytes | str, mode: int | None = None) -> None:
    """Write a file so that a reader sees either what was there before, or all of what is new.

    data: text becomes UTF-8, and what UTF-8 cannot represent becomes "?".
    mode: permissions of the file, by default those that the umask leaves.
    OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(path)


def write_or_refuse(path: Path, data: bytes | str) -> None:
    """Write a file atomically at a place that somebody named. BadInput if it cannot be written."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); give another place") from error
