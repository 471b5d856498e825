"""Grade a class on a cluster: dask.distributed hands submissions to its workers and takes back their reports.

Submissions and reports are not encrypted unless TLS is used, so a plain address must be one of this machine. The
certificates come from dask's own configuration (distributed.comm.tls). A worker process keeps one warm server. When a
worker dies, dask gives its submissions to another one. A report counts once.
"""

import contextlib
import ipaddress
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.check.inputs import Inputs, official
from autograder.errors import BadInput, GraderFault
from autograder.report.as_json import as_json
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of
from autograder.submission.archive import MAX_ARCHIVE
from autograder.submission.deliverables import MAX_FILE_BYTES, TooLarge, find_deliverables, read_regular_files
from autograder.submission.opening import archive_of
from tools.batch.export import HandedIn
from tools.batch.grade import Graded, faulty, grade_one, grader_digest

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 60  # seconds until the first worker is there


class Packed(NamedTuple):
    """A submission on its way to a worker.

    archive: the name of the archive that was handed in; empty for a folder.
    files: the contents of the archive, or of each deliverable, by name.
    """

    archive: str
    files: dict[str, bytes]


class WarmAssignment(NamedTuple):
    """What a worker process keeps of an assignment. digest: of its own grader and checks."""

    assignment: Assignment
    checks: list[Check]
    inputs: Inputs
    digest: str
    server: Server


_lock = threading.Lock()
_warm: dict[str, WarmAssignment] = {}  # in a worker process, by the name of the assignment


def graded(submissions: list[HandedIn], assignment: Assignment, address: str, grader: str) -> Iterator[tuple[HandedIn, Graded]]:
    """Each submission once with its grade, as soon as it is graded.

    grader: the digest of grader and checks, which every worker must have too.
    BadInput: the address is not allowed, nobody answers there, or the scheduler has no workers.
    GraderFault: a worker has another grader, or the scheduler is lost on the way.
    """
    from distributed import as_completed

    with _connected(address) as client:
        waiting = {
            client.submit(grade_remote, assignment.id, packed(submission.path, assignment), grader, pure=False): submission
            for submission in submissions
        }
        for future in as_completed(list(waiting), loop=client.loop):
            yield waiting.pop(future), _result(future, assignment, address)


@contextlib.contextmanager
def _connected(address: str) -> Iterator["Client"]:
    """A client of a scheduler that has at least one worker."""
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # our own sentence says what went wrong
    try:
        client = Client(allowed(address), timeout="10s", set_as_default=False)
    except OSError as error:
        raise BadInput(f"no scheduler answers at {address}: {error}; start one with `dask scheduler`") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise BadInput(f"the scheduler at {address} has no workers; start some with `dask worker {address}`") from None
        yield client


def _result(future: "Future", assignment: Assignment, address: str) -> Graded:
    """The grade that a worker sent. A submission that several workers died of gets a report of faults."""
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        raise GraderFault(f"the scheduler at {address} is gone; what is graded is kept: call it again, and it goes on from there")
    try:
        return future.result()
    except KilledWorker as error:
        report, refused = faulty(assignment, checks_of(assignment), error, granted=False)
        return Graded(as_json(report), 0.0, refused)


def allowed(address: str) -> str:
    """The address, if whatever travels there is encrypted or stays on this machine.

    BadInput: it would travel in the open, or there are no certificates for TLS.
    """
    parts = urlsplit(address)
    if parts.scheme == "tls":
        _require_certificates(address)
        return address
    try:
        is_local = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_local = False
    if parts.scheme == "tcp" and is_local:
        return address
    raise BadInput(
        f"{address} would carry submissions and grades in the open; give tls://… (certificates in dask's configuration), "
        "or a scheduler on this machine, tcp://127.0.0.1:8786"
    )


def _require_certificates(address: str) -> None:
    from distributed.security import Security

    try:
        context = Security().get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as error:
        raise BadInput(f"the certificates for {address} cannot be read: {error}; see distributed.comm.tls") from error
    if context is None:
        raise BadInput(
            f"there are no certificates for {address}; name them in dask's configuration, distributed.comm.tls: ca-file, and "
            "client.cert and client.key"
        )


def packed(path: Path, assignment: Assignment) -> Packed:
    """What is sent to a worker: the archive as it is, or the deliverables that are plain files.

    A file that is too large is replaced by zeros, one more than the limit. That is enough for the worker to refuse it.
    """
    if archive := archive_of(path, assignment.deliverables):
        limit, files = MAX_ARCHIVE, read_regular_files(archive.parent, [archive.name], MAX_ARCHIVE)
    else:
        limit, folder = MAX_FILE_BYTES, find_deliverables(path, assignment.deliverables)
        files = read_regular_files(folder, assignment.deliverables)
    sent = {}
    for name, data in files:
        if isinstance(data, bytes):
            sent[name] = data
        elif isinstance(data, TooLarge):
            sent[name] = bytes(limit + 1)
    return Packed("" if path.is_dir() else path.name, sent)


def grade_remote(name: str, submission: Packed, grader: str) -> Graded:
    """Grade a submission in a dask worker: its files are written to disk again and graded as everywhere.

    name: of the assignment.
    GraderFault: this worker has another grader or other checks.
    """
    assignment, checks, inputs, digest, server = _warm_assignment(name)
    if digest != grader:
        raise GraderFault(
            f"a worker on {socket.gethostname()} has another grader, other checks or other official inputs than you, or isolates "
            "them less; give every machine the same course and start the workers anew"
        )
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        for file, data in submission.files.items():
            (Path(folder) / file).write_bytes(data)
        return grade_one(Path(folder) / submission.archive, assignment, checks, server, inputs, others=os.cpu_count() or 1)


def _warm_assignment(name: str) -> WarmAssignment:
    """The assignment with a running server. It is started once in a worker process, and ends with that process."""
    with _lock:
        if name not in _warm:
            assignment = Course.here().load(name)
            checks, inputs = checks_of(assignment), official(assignment)
            server = Server(assignment.preload, warm_for_batch=True)
            _warm[name] = WarmAssignment(assignment, checks, inputs, grader_digest(assignment, checks, inputs), server)
        return _warm[name]
