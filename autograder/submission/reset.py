"""Put the stub of a file back, as it was in the release. What stood there is kept beside it and never overwritten.

Stubs lie in `.release/stubs/`, so that neither git nor a network is needed. Only a release has them. Who has the reference
makes stubs from it (`make stubs`).
"""

import filecmp
import itertools
import os
from pathlib import Path

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.files import write_atomically

RELEASE = ".release"


def reset(assignment: Assignment, file: str) -> Path | None:
    """Put the stub in the place of a deliverable.

    file: the name of the deliverable, or a path that ends in it.

    Returns where the file that stood there is kept. None if there was none.
    BadInput: the file is no deliverable, it is the stub already, or there are no stubs here.
    """
    name = Path(file).name
    if name not in assignment.deliverables or Path(file).parent.name not in ("", assignment.package):
        raise BadInput(f"{file!r} is no file of {assignment.id} that you write; those are {', '.join(assignment.deliverables)}")
    stub = assignment.course.root / RELEASE / "stubs" / assignment.package / name
    if not stub.is_file():
        raise BadInput(
            f"the stub of {name} is not here ({RELEASE}/stubs/{assignment.package}/{name}): this is no student release, or a "
            f"part of it was deleted. Take the file from your course's release; staff: make stubs"
        )
    path = assignment.folder / name
    if path.is_dir() and not path.is_symlink():
        raise BadInput(f"{path} is a folder; move it away, then reset again")
    if path.is_file() and not path.is_symlink() and filecmp.cmp(path, stub, shallow=False):
        raise BadInput(f"{name} is the stub already; there is nothing to reset")
    kept = keep_beside(path)
    write_atomically(path, stub.read_bytes())
    return kept


def keep_beside(path: Path) -> Path | None:
    """Keep what stands at `path` as `path.mine1`, or under the first number that is free. None if nothing stands there."""
    if path.is_symlink() and not path.exists():
        return None  # a link into nothing holds nothing
    return put_beside(path, "mine", path.read_bytes()) if path.exists() else None


def put_beside(path: Path, kind: str, data: bytes) -> Path:
    """Write `path.kind1`, or the first number that is free, and return that path. A file that holds the same is enough."""
    for number in itertools.count(1):
        beside = path.with_name(f"{path.name}.{kind}{number}")
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return beside
        except FileExistsError:
            if beside.is_file() and beside.read_bytes() == data:
                return beside
    raise AssertionError("numbers do not end")
