"""The server's loop, with workers that need no torch. What goes wrong with one worker leaves the server and the others alone."""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set by prlimit")

# A worker obeys the commands in its request pipe; "pid" in a command stands for its process id.
SERVER = """
import os, socket, sys, time
from autograder.sandbox.fork_server import ForkServer

def run_worker(request, result):
    exec(os.read(request, 4096).decode())
    os._exit(0)

parent = socket.socket(fileno=int(sys.argv[1]))
server = ForkServer(parent, run_worker)
BEFORE
parent.send(b"ready")
server.serve()
"""
SAY = "os.write(result, b'here')"
SLEEP = "os.write(result, b'here'); time.sleep(60)"


@dataclass
class Asked:
    """Our ends of what one worker has."""

    request: int
    result: int
    output: int
    control: socket.socket

    def read(self) -> bytes:
        """What comes through the result pipe until it is closed, which is soon."""
        received, deadline = b"", time.monotonic() + 10
        while select.select([self.result], [], [], max(0, deadline - time.monotonic()))[0]:
            if not (chunk := os.read(self.result, 4096)):
                return received
            received += chunk
        raise TimeoutError("the result pipe is still open")

    def ending(self) -> dict | None:
        """How the worker ended, as the server tells it. None if it only closes the control socket."""
        self.control.settimeout(10)
        news = b"".join(iter(lambda: self.control.recv(4096), b""))
        return json.loads(news[news.index(b"{") :]) if b"{" in news else None

    def pid(self) -> int:
        self.control.settimeout(10)
        return int(self.control.recv(20, socket.MSG_PEEK).split(b"\n")[0])


class Served:
    """A server in a process of its own."""

    def __init__(self, stack: ExitStack, before: str = ""):
        self.stack = stack
        self.socket, theirs = socket.socketpair()
        with theirs:
            code = SERVER.replace("BEFORE", before)
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()], start_new_session=True
            )
        stack.callback(self._end)

    def ready(self) -> "Served":
        self.socket.settimeout(10)
        assert self.socket.recv(10) == b"ready"
        return self

    def ask(self, command: str) -> Asked:
        """Have a worker forked that runs this command."""
        (request_r, request), (result, result_w), (output, output_w) = os.pipe(), os.pipe(), os.pipe()
        control, control_w = socket.socketpair()
        for fd in (request, result, output):
            self.stack.callback(os.close, fd)
        self.stack.callback(control.close)
        os.write(request, command.encode())
        socket.send_fds(self.socket, [b"w"], [request_r, result_w, output_w, control_w.fileno()])
        for fd in (request_r, result_w, output_w):
            os.close(fd)
        control_w.close()
        return Asked(request, result, output, control)

    def limit(self, what: int, soft: int) -> None:
        """Set the soft limit of the server, while it runs."""
        resource.prlimit(self.process.pid, what, (soft, resource.prlimit(self.process.pid, what)[1]))

    def open_files(self) -> list[int]:
        return sorted(int(path.name) for path in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def _end(self) -> None:
        self.socket.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(stack):
    return Served(stack).ready()


def serves(server: Served) -> bool:
    """Whether the server still does what it is for."""
    asked = server.ask(SAY)
    return asked.read() == b"here" and asked.ending()["status"] == 0


def has_ended(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.01)
    return False


def test_the_end_of_a_worker_is_told_with_status_and_usage(server):
    asked = server.ask("os._exit(3)")
    ending = asked.ending()
    assert os.waitstatus_to_exitcode(ending["status"]) == 3
    assert ending["cpu"] >= 0 and ending["peak_kb"] > 0
    killed = server.ask("os.kill(os.getpid(), 9)").ending()
    assert os.WTERMSIG(killed["status"]) == signal.SIGKILL


def test_closing_the_control_socket_kills_the_worker_and_what_it_has_left(server):
    asked = server.ask("child = os.fork(); os.write(result, b'%d\\n' % os.getpid()); time.sleep(60)")
    pids = {int(os.read(asked.result, 20).split()[0]), asked.pid()}
    pids |= {int(line) for line in Path(f"/proc/{asked.pid()}/task/{asked.pid()}/children").read_text().split()}
    assert len(pids) == 2 and not any(has_ended(pid, 0.1) for pid in pids)
    asked.control.close()
    assert all(has_ended(pid) for pid in pids)
    assert serves(server)


def test_a_worker_that_is_given_up_at_once_is_killed_too(stack):
    """It has no process group yet when the server looks for one: `setsid` comes late here."""
    slow = "setsid = os.setsid; os.setsid = lambda: (time.sleep(0.5), setsid())"
    server = Served(stack, slow).ready()
    asked = server.ask(SLEEP)
    pid = asked.pid()
    asked.control.close()
    assert has_ended(pid, 5)
    assert serves(server)


def test_a_worker_that_is_given_up_before_it_is_forked_is_killed_too(server):
    os.kill(server.process.pid, signal.SIGSTOP)
    asked = server.ask(SLEEP)
    asked.control.close()
    os.kill(server.process.pid, signal.SIGCONT)
    assert asked.read() in (b"", b"here")  # the pipe is closed long before the worker would be done
    assert serves(server)


def test_a_server_that_can_open_no_file_loses_one_worker_and_goes_on(server):
    limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0]
    open_files = server.open_files()
    free = [number for number in range(100) if number not in open_files]
    for room in range(4):  # so many of the four descriptors arrive
        server.limit(resource.RLIMIT_NOFILE, free[room])
        asked = server.ask(SAY)
        assert (asked.read(), asked.ending()) == (b"", None)
    server.limit(resource.RLIMIT_NOFILE, limit)
    assert serves(server)
    assert server.open_files() == open_files  # nothing of the lost requests is left open


NO_PROCESS = """
import resource
if os.geteuid() == 0:  # root has no limit of processes
    os.setuid(12345)
fork = os.fork

def fork_without_room():
    os.fork, limit = fork, resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, limit[1]))
    try:
        return fork()
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, limit)

os.fork = fork_without_room
"""


def test_a_server_that_can_fork_no_process_loses_one_worker_and_goes_on(stack):
    server = Served(stack, NO_PROCESS).ready()
    asked = server.ask(SAY)
    assert (asked.read(), os.read(asked.output, 1), asked.ending()) == (b"", b"", None)
    with pytest.raises(BrokenPipeError):
        os.write(asked.request, b"x")
    assert serves(server)


def test_what_fails_in_a_worker_before_its_work_ends_that_worker(stack):
    """It says nothing of the server's, and nothing of the server goes on in it."""
    server = Served(stack, "import atexit; atexit.register(print, 'the server ends'); os.closerange = None").ready()
    asked = server.ask(SAY)
    assert asked.read() == os.read(asked.output, 4096) == b""
    assert os.waitstatus_to_exitcode(asked.ending()["status"]) == 1
    assert server.process.poll() is None


@pytest.mark.parametrize("read_the_greeting", [True, False])
def test_the_server_ends_with_its_parent_and_takes_the_workers_along(stack, read_the_greeting):
    server = Served(stack)
    if read_the_greeting:
        server.ready()
    asked = server.ask(SLEEP)
    assert os.read(asked.result, 4) == b"here"
    server.socket.close()
    assert server.process.wait(10) == 0
    assert asked.read() == b""


def test_many_workers_come_and_go(server):
    open_files = server.open_files()
    for _ in range(10):
        asked = [server.ask(SAY) for _ in range(10)]
        for given_up in asked[::3]:
            given_up.control.close()
        assert [one.read() for number, one in enumerate(asked) if number % 3] == [b"here"] * 6
    assert serves(server)
    assert server.open_files() == open_files
