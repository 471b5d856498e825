"""A server that is gone is started anew, and where that is impossible, the submission is to blame and not the grader."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.errors import GraderFault
from autograder.sandbox import server_handle
from autograder.sandbox.outcome import Ending, ServerLost
from autograder.sandbox.server_handle import Server
from autograder.sandbox.worker_handle import Worker


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        assert serves(server)
        yield server


def serves(server: Server) -> bool:
    """Whether a worker is forked. It gets a request without content, so it ends itself."""
    with Worker(server, {}) as worker:
        outcome = worker.finish(20)
    return outcome.kind == Ending.DIED and "KeyError" in outcome.output


def kill(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server._process.wait()


def test_a_server_that_was_killed_is_started_anew(server):
    before = server.pid
    kill(server)
    assert serves(server) and server.pid != before


def test_a_server_that_cannot_be_started_anew_is_lost_for_this_check_alone(server, monkeypatch):
    def no_room(*arguments, **options):
        raise BlockingIOError("no process can be forked")

    kill(server)
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", no_room)
        with pytest.raises(ServerLost):
            serves(server)
    assert serves(server)


def test_a_server_that_never_ran_is_the_graders_fault(monkeypatch):
    monkeypatch.setattr(server_handle.sys, "executable", "/bin/false")
    with Server() as broken, pytest.raises(GraderFault, match="the worker server does not run"):
        serves(broken)


def test_other_random_streams_are_the_graders_fault(monkeypatch):
    monkeypatch.setattr(server_handle, "STREAM", "of another platform")
    with Server() as server, pytest.raises(GraderFault, match="random streams"):
        serves(server)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_server_gets_few_variables_and_one_thread(server, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    kill(server)
    assert serves(server)
    proc = Path(f"/proc/{server.pid}")
    variables = dict(entry.split("=", 1) for entry in (proc / "environ").read_text().split("\0") if entry)
    assert "SECRET" not in variables and variables["OMP_NUM_THREADS"] == "1" and "PATH" in variables
    *_, settings, _ = (proc / "cmdline").read_text().split("\0")
    assert json.loads(settings)["huge_pages"] is False
