"""The parent's side of the server that workers are forked from."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress

from autograder.check.draw_digest import STREAM
from autograder.errors import GraderFault
from autograder.sandbox.outcome import ServerLost

START_SECONDS = 120  # a first import of torch from a cold, slow disk


class Server:
    """The fork server, started at once and ready when first used. Use as a context manager.

    preload: modules to import before workers are forked. for_a_class: take a second longer to start, for all that is slow
    to import in a worker, and less time for each of thousands of workers.
    """

    def __init__(self, preload: tuple[str, ...] = (), warm_for_batch: bool = False):
        self._preload, self._lock, self._ready = preload, threading.Lock(), False
        self._kind = "class" if warm_for_batch else "student"
        if warm_for_batch:
            self._preload = (*preload, "torch._dynamo")  # the first optimiser, and the first tensor on "meta", import it
        self._ran = False
        self.cancelled = threading.Event()
        self._start()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the server)
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")}
        environment |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-m",
                    "autograder.sandbox.server",
                    str(theirs.fileno()),
                    json.dumps(self._preload),
                    self._kind,
                ],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )
        self._ready = False

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the server and every worker."""
        self.cancelled.set()
        self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def spawn(self, fds: list[int]) -> None:
        """Have a worker forked that owns these descriptors.

        A server that student code has killed is started anew. GraderFault if it never ran; ServerLost if it keeps dying,
        which is the doing of a submission and so no fault.
        """
        with self._lock:
            for _ in range(3):
                with suppress(OSError):
                    if self._await_ready():
                        socket.send_fds(self._socket, [b"w"], fds)
                        return
                if not self._ran:
                    break
                self._end()
                self._start()
            if self._ran:
                raise ServerLost
            self._errors.seek(0)
            said = self._errors.read()[-1500:].decode(errors="replace").strip()
            raise GraderFault(f"the worker server does not run: {said}")

    def _await_ready(self) -> bool:
        """Whether the server takes requests. GraderFault if its random streams, drawn before any student code, differ."""
        if self._ready:
            return self._process.poll() is None
        self._socket.settimeout(START_SECONDS)
        said = self._socket.recv(64).decode()
        self._socket.settimeout(None)
        if not said:
            return False
        self._ready = self._ran = True
        if said != f"ready {STREAM}":
            raise GraderFault("the random streams of this platform differ from the recorded ones")
        return True

    def _end(self) -> None:
        self._socket.close()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
