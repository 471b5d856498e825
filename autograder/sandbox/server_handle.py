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
_ATTEMPTS = 3  # to hand over one request; in between, a server that was killed is started anew
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")  # what the server gets of ours


class Server:
    """The fork server. It is started at once and ready when it is first used. Use it as a context manager.

    preload: modules to import before workers are forked.
    warm_for_batch: take a second longer to start and less time for each of thousands of workers.
    cancelled: set when it is closed. It ends all workers under way.
    """

    def __init__(self, preload: tuple[str, ...] = (), warm_for_batch: bool = False):
        self._preload, self._warm_for_batch = preload, warm_for_batch
        if warm_for_batch:
            self._preload = (*preload, "torch._dynamo")  # the first optimiser, and the first tensor on "meta", import it
        self._lock = threading.Lock()
        self._is_ready, self._has_run = False, False
        self.cancelled = threading.Event()
        self._start()

    def _start(self) -> None:
        self._is_ready = False
        self._socket, server_end = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the server)
        settings = {"fd": server_end.fileno(), "preload": self._preload, "huge_pages": self._warm_for_batch}
        environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
        environment |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
        environment["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # what PyTorch logs of itself is nothing that the student's code prints
        with server_end:
            self._process = subprocess.Popen(
                # -u: a print is written at once, so it is not lost when its worker is killed or ends by os._exit.
                [sys.executable, "-I", "-u", "-m", "autograder.sandbox.server", json.dumps(settings)],
                pass_fds=[server_end.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )

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
        """Process id of the server that runs at the moment."""
        return self._process.pid

    def spawn(self, fds: list[int]) -> None:
        """Have a worker forked that owns these descriptors; `fork_server.py` says which.

        A server that student code has killed is started anew.
        GraderFault: the server never ran.
        ServerLost: it keeps dying. That is the doing of a submission and so no fault.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                with suppress(OSError):
                    if self._await_ready():
                        socket.send_fds(self._socket, [b"w"], fds)
                        return
                if not self._has_run:
                    break
                with suppress(OSError):  # there may be no room for a process at the moment
                    self._end()
                    self._start()
            if self._has_run:
                raise ServerLost
            self._errors.seek(0)
            errors = self._errors.read()[-1500:].decode(errors="replace").strip()
            raise GraderFault(f"the worker server does not run: {errors}")

    def _await_ready(self) -> bool:
        """Whether the server takes requests.

        GraderFault: its random streams, drawn before any student code, are not the recorded ones.
        """
        if self._is_ready:
            return self._process.poll() is None
        self._socket.settimeout(START_SECONDS)
        startup_message = self._socket.recv(64).decode()
        self._socket.settimeout(None)
        if not startup_message:
            return False
        self._is_ready = self._has_run = True
        if startup_message != STREAM:
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
