"""The same grades on a cluster: dask.distributed hands submissions to its workers and takes back their reports.

Submissions and reports travel in the open unless TLS is used, so a plain address must be this machine's own. A worker
process keeps one warm server. When a worker dies, dask gives what it had to another one; a report counts once.
Certificates come from dask's own configuration (distributed.comm.tls).
"""

import ipaddress
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from autograder.assignment import Assignment, Course
from autograder.errors import BadInput, GraderFault
from autograder.submission.archive import MAX_ARCHIVE
from autograder.submission.deliverables import MAX_FILE_BYTES, TooLarge, find_deliverables, read_regular_files
from autograder.submission.opening import archive_of
from tools.batch.export import HandedIn

PATIENCE = 60  # seconds until the first worker is there
_lock = threading.Lock()
_warm: dict[str, tuple] = {}  # in a worker process: checks, their fingerprint and server by assignment


def graded(todo: list[HandedIn], assignment: Assignment, address: str, grader: str) -> Iterator[tuple[HandedIn, tuple]]:
    """(submission, result) as results come in, each once. grader: the fingerprint that a worker must have too.

    BadInput if the address is not allowed, or nobody answers or works there; GraderFault if it is lost on the way.
    """
    from distributed import Client, as_completed

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what goes wrong ends in a sentence of ours
    try:
        client = Client(allowed(address), timeout="10s", set_as_default=False)
    except OSError as error:
        raise BadInput(f"no scheduler answers at {address}: {error}; start one with `dask scheduler`") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise BadInput(f"the scheduler at {address} has no workers; start some with `dask worker {address}`") from None
        waiting = {
            client.submit(grade_remote, assignment.id, packed(one.path, assignment), grader, pure=False): one for one in todo
        }
        for future in as_completed(list(waiting), loop=client.loop):
            yield waiting.pop(future), _result(future, assignment, address)


def _result(future, assignment: Assignment, address: str) -> tuple:
    """What a worker has made of a submission. One that several workers died of is a fault of its own."""
    from distributed import KilledWorker

    from autograder.report.as_json import as_json
    from autograder.session import checks_of
    from tools.batch.batch import faulty

    if future.status in ("cancelled", "lost"):
        raise GraderFault(f"the scheduler at {address} is gone; what is graded is kept: call it again, and it goes on from there")
    try:
        return future.result()
    except KilledWorker as error:
        report, refused = faulty(assignment, checks_of(assignment), error, granted=False)
        return as_json(report), 0.0, refused


def allowed(address: str) -> str:
    """The address, if nothing travels in the open between machines. BadInput otherwise, or without certificates for TLS."""
    parts = urlsplit(address)
    if parts.scheme == "tls":
        _require_certificates(address)
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


def _require_certificates(address: str) -> None:
    from distributed.security import Security

    try:
        found = Security().get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as error:
        raise BadInput(f"the certificates for {address} cannot be read: {error}; see distributed.comm.tls") from error
    if found is None:
        raise BadInput(
            f"there are no certificates for {address}; name them in dask's configuration, distributed.comm.tls: ca-file, and "
            "client.cert and client.key"
        )


def packed(path: Path, assignment: Assignment) -> tuple[str, dict[str, bytes]]:
    """What travels: the archive as it is, or the deliverables that are plain files, under their own names.

    The first of the two is the name of the archive, empty if a folder was handed in. In the place of a file that is too
    large, zeros travel, one more than allowed. That is enough to refuse it.
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
    return ("" if path.is_dir() else path.name), sent


def grade_remote(name: str, submission: tuple[str, dict[str, bytes]], grader: str) -> tuple:
    """Runs in a dask worker: the submission on disk again, graded as everywhere. GraderFault if it has another grader."""
    from tools.batch.batch import grade_one

    archive, files = submission
    assignment, checks, own, server = _warm_server(name)
    if own != grader:
        raise GraderFault(
            f"a worker on {socket.gethostname()} has another grader or other checks than you, or isolates them less; "
            "give every machine the same course and start the workers anew"
        )
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        return grade_one(Path(folder) / archive, assignment, checks, server, others=os.cpu_count() or 1)


def _warm_server(name: str) -> tuple:
    """Started once a worker process; it ends with the process, whose end closes its sockets."""
    from autograder.sandbox.server_handle import Server
    from autograder.session import checks_of
    from tools.batch.batch import grader_digest

    with _lock:
        if name not in _warm:
            assignment = Course.here().load(name)
            checks = checks_of(assignment)
            server = Server(assignment.preload, warm_for_batch=True)
            _warm[name] = assignment, checks, grader_digest(assignment, checks), server
        return _warm[name]
