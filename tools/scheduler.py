"""The same grades on a cluster: dask.distributed hands submissions to its workers and takes back their reports.

Submissions and reports travel in the open unless TLS is used, so a plain address must be this machine's own. A worker
process keeps one warm server. When a worker dies, dask gives what it had to another one; a report counts once.
Certificates come from dask's own configuration (distributed.comm.tls).
"""

import ipaddress
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from autograder.assignment import Assignment, load
from autograder.errors import BadInput
from autograder.submission import MAX_FILE_BYTES
from autograder.unpack import home, is_archive
from tools.export import Handed

_lock, _timed = threading.Lock(), threading.Lock()
_warm: dict[str, tuple] = {}  # in a worker process: checks and server by assignment


def graded(todo: list[Handed], assignment: Assignment, address: str) -> Iterator[tuple[Handed, tuple]]:
    """(submission, result) as results come in. BadInput if the address is not allowed or no scheduler answers there."""
    from distributed import Client, as_completed

    try:
        client = Client(allowed(address), timeout="10s", set_as_default=False)
    except OSError as error:
        raise BadInput(f"no scheduler answers at {address}: {error}; start one with `dask scheduler`") from error
    with client:
        waiting = {
            client.submit(grade_remote, assignment.id, packed(one.path, assignment), pure=False, retries=3): one for one in todo
        }
        for future in as_completed(list(waiting)):
            yield waiting.pop(future), future.result()


def allowed(address: str) -> str:
    """The address, if nothing travels in the open between machines. BadInput otherwise."""
    parts = urlsplit(address)
    if parts.scheme == "tls":
        return address
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if parts.scheme == "tcp" and loopback:
        return address
    raise BadInput(
        f"{address} would carry submissions and grades in the open; give tls://… (certificates in dask's configuration), "
        "or a scheduler on this machine, tcp://127.0.0.1:8786"
    )


def packed(path: Path, assignment: Assignment) -> tuple[str, dict[str, bytes]]:
    """What travels: the archive as it is, or the deliverables that are plain files of sane size, under their own names."""
    if is_archive(path):
        return path.name, {path.name: path.read_bytes()}
    folder, found = home(path, assignment.deliverables), {}
    for name in assignment.deliverables:
        file = folder / name
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= MAX_FILE_BYTES:
            found[name] = file.read_bytes()
    return "", found


def grade_remote(name: str, submission: tuple[str, dict[str, bytes]]) -> tuple:
    """Runs in a dask worker: the submission on disk again, graded as everywhere."""
    from tools.batch import grade_one

    archive, files = submission
    assignment, checks, server = _warm_server(name)
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        return grade_one(Path(folder) / archive, assignment, checks, server, _timed)


def _warm_server(name: str) -> tuple:
    """Started once a worker process; it ends with the process, whose end closes its sockets."""
    from autograder.session import checks_of
    from autograder.workers import Server

    with _lock:
        if name not in _warm:
            assignment = load(name)
            _warm[name] = assignment, checks_of(assignment), Server(assignment.preload, for_a_class=True)
        return _warm[name]
