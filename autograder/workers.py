"""The parent's side of the workers: start the server, run a check in a worker of its own, and watch the clock.

`Server.observe` gives an `Outcome` whatever the worker does: it returns, raises, dies, hangs, floods or sends rubbish.
"""

import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autograder.draw_digest import STREAM
from autograder.errors import GraderFault
from autograder.observation import MAX_BYTES, MalformedObservation, Observation, unpack
from autograder.plain import plain
from autograder.wire import write_frame

KEPT_OUTPUT = 16 << 10
MAX_WRITTEN = 256 << 20  # bytes that a worker may write to files and pipes, all together
START_SECONDS = 120  # a first import of torch from a cold, slow disk


class ServerLost(Exception):
    """The server was killed again and again, which only student code does."""


class Interrupted(Exception):
    """The run was cancelled (Ctrl-C) while this worker was under way."""


@dataclass
class Outcome:
    """What became of one worker.

    kind: "observed", "raised", "died", "timeout", "flooded" (rubbish or too much sent back).
    seen: the observation; inputs: digests of the drawn inputs afterwards; error: type, message and frames of an exception;
    seconds, cpu_seconds, peak_kb: wall clock, and the kernel's account of the process.
    """

    kind: str
    seen: Observation = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    error: dict = field(default_factory=dict)
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_kb: int = 0
    steps: list["Step"] = field(default_factory=list)
    frame: bytes = field(default=b"", repr=False)  # of an observation, as it came


@dataclass
class Step:
    """One step of a stepwise check: what it yielded, CPU (or wall) seconds, growth of memory in bytes."""

    seen: Observation
    seconds: float
    peak_bytes: int


class Server:
    """The fork server, started at once and ready when first used. Use as a context manager.

    preload: modules to import before workers are forked. for_a_class: take a second longer to start, for all that is slow
    to import in a worker, and less time for each of thousands of workers.
    """

    def __init__(self, preload: tuple[str, ...] = (), for_a_class: bool = False):
        self._preload, self._lock, self._ready = preload, threading.Lock(), False
        self._kind = "class" if for_a_class else "student"
        if for_a_class:
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
                [sys.executable, "-I", "-m", "autograder.server", str(theirs.fileno()), json.dumps(self._preload), self._kind],
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

    def observe(self, request: dict, seconds: float, data: Sequence[bytes] = ()) -> Outcome:
        """Run one check to its end; `seconds` is the wall-clock deadline, `data` what the worker reads after the request."""
        with Worker(self, request, data) as worker:
            return worker.finish(seconds)

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


class Worker:
    """One worker under way. `finish` waits for its one result; `step` drives a stepwise check."""

    def __init__(self, server: Server, request: dict, data: Sequence[bytes] = ()):
        self._server = server
        with ExitStack() as theirs, ExitStack() as ours:
            request_r, self._request = _pipe(theirs, ours)
            self._output, output_w = _pipe(ours, theirs)
            self._result, result_w = _pipe(ours, theirs)
            mine, control = socket.socketpair()
            ours.callback(mine.close)
            theirs.callback(control.close)
            self._control = mine
            server.spawn([request_r, result_w, output_w, control.fileno()])
            self._ours = ours.pop_all()
        self._started = time.monotonic()
        self._next_look, self._flooded = self._started + 0.25, False
        self.pid, self._text, self._data, self._exit, self._clock = 0, bytearray(), bytearray(), bytearray(), 0.0
        self._selector = selectors.DefaultSelector()
        for fd, buffer in ((self._output, self._text), (self._result, self._data), (mine.fileno(), self._exit)):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, buffer)
        with suppress(BrokenPipeError):  # it may have died already; what is left to read tells
            for frame in (json.dumps(request).encode(), *data):
                write_frame(self._request, frame)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._ours.close()  # the control socket among them: whatever still runs is killed
        self._selector.close()

    def finish(self, seconds: float) -> Outcome:
        """The outcome of a worker that sends one frame and ends."""
        return self._classify(self._pump(seconds, until=lambda: self._ended), seconds)

    def step(self, seconds: float, watched: bool = False) -> Step | Outcome:
        """One step of a stepwise check: a Step, or the Outcome that ends the run (kind "observed": no further step).

        watched: with the trap on forbidden calls set, also in a timed check.
        """
        _reset_peak(self.pid)
        with suppress(BrokenPipeError):
            os.write(self._request, b"w" if watched else b".")
        self._pump(seconds, until=lambda: self._frame() is not None or self._ended)
        frame = self._frame()
        if frame is None or frame[:1] != b"S":
            if frame is None and not self._ended:
                return self._classify(False, seconds)
            self._pump(2.0, until=lambda: self._ended)
            return self._classify(True, seconds)
        clock = _cpu_seconds(self.pid)
        step = Step(_seen(unpack(bytes(frame[1:]))), clock - self._clock, _peak_bytes(self.pid))
        self._clock = clock
        del self._data[: 8 + len(frame)]
        return step

    def start_clock(self) -> None:
        """Count the CPU time from here; a worker's start and set-up belong to no step."""
        self._pump(START_SECONDS, until=lambda: self.pid or self._ended)
        self._clock = _cpu_seconds(self.pid)

    @property
    def _ended(self) -> bool:
        return b"}" in self._exit

    def _frame(self) -> bytearray | None:
        if len(self._data) < 8:
            return None
        (size,) = struct.unpack_from("<Q", self._data)
        return self._data[8 : 8 + size] if len(self._data) >= 8 + size else None

    def _pump(self, seconds: float, until) -> bool:
        """Read what comes until the condition holds (True), or the deadline, a flood or a cancel ends it (False)."""
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            if self._server.cancelled.is_set():
                raise Interrupted
            if left <= 0 or len(self._data) > MAX_BYTES + 4096 or not self._selector.get_map():
                return False
            if time.monotonic() > self._next_look:  # a quick check is over before the first look
                self._next_look = time.monotonic() + 0.25
                if _bytes_written(self.pid) > MAX_WRITTEN:
                    self._flooded = True
                    return False
            for key, _ in self._selector.select(min(left, 0.2)):
                try:
                    chunk = os.read(key.fd, 1 << 16)
                except BlockingIOError:
                    continue
                except OSError:
                    chunk = b""
                if not chunk:
                    self._selector.unregister(key.fd)
                elif key.data is not self._text or len(self._text) < KEPT_OUTPUT:
                    key.data.extend(chunk)
            if not self.pid and b"\n" in self._exit:
                self.pid = int(self._exit.split(b"\n")[0])
        if self._ended:
            self._drain()
        return True

    def _drain(self) -> None:
        """Read what a worker that has ended left in its pipes: its end may be told before its last words."""
        for fd, buffer, most in ((self._result, self._data, MAX_BYTES), (self._output, self._text, KEPT_OUTPUT)):
            with suppress(BlockingIOError):
                while len(buffer) <= most and (chunk := os.read(fd, 1 << 16)):
                    buffer.extend(chunk)

    def _classify(self, ended: bool, seconds: float) -> Outcome:
        out = Outcome("died", output=_readable(self._text), seconds=time.monotonic() - self._started)
        if b"{" in self._exit and ended:
            usage = json.loads(self._exit[self._exit.index(b"{") :])
            out.cpu_seconds, out.peak_kb = usage["cpu"], usage["peak_kb"]
            out.error = (
                {"signal": os.WTERMSIG(usage["status"])}
                if os.WIFSIGNALED(usage["status"])
                else {"exit": os.waitstatus_to_exitcode(usage["status"])}
            )
        if self._flooded:
            out.kind, out.error = "flooded", {"message": f"it wrote more than {MAX_WRITTEN >> 20} MB to files or pipes"}
        elif len(self._data) > MAX_BYTES:
            out.kind = "flooded"
        elif not ended:
            out.kind, out.error = "timeout", {"seconds": seconds}
            if not self._selector.get_map():  # the server is gone, and the worker with it
                out.kind, out.error = "died", {"signal": int(signal.SIGKILL)}
        elif (frame := self._frame()) is not None:
            try:
                value = unpack(bytes(frame[1:]))
                if frame[:1] == b"E":
                    out.kind, out.error = "raised", _error(value)
                else:
                    out.kind, out.seen, out.frame = "observed", _seen(value), bytes(frame[1:])
                    out.inputs = [str(v) for k, v in value.items() if k.startswith("inputs[")]
            except (MalformedObservation, ValueError) as error:
                out.kind, out.error = "flooded", {"message": str(error)}
        return out


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    r, w = os.pipe()
    reader.callback(os.close, r)
    writer.callback(os.close, w)
    return r, w


def _seen(value: Observation) -> Observation:
    return {path.removeprefix("seen."): leaf for path, leaf in value.items() if path.startswith("seen.")}


def _error(value: Observation) -> dict:
    frames = [str(v) for k, v in value.items() if k.startswith("frames[")]
    return {"type": str(value.get("type")), "message": str(value.get("message")), "frames": frames, "module": value.get("module")}


def _readable(text: bytearray) -> str:
    return plain(bytes(text[:KEPT_OUTPUT]).decode(errors="replace"))


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads, as the kernel accounts it (clock_getcpuclockid's encoding);
    where the kernel does not tell (macOS), or the process has ended, the wall clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2) if sys.platform == "linux" and pid else time.monotonic()
    except OSError:
        return time.monotonic()


def _bytes_written(pid: int) -> int:
    """Bytes that a process has written so far, by write() or through mapped files; 0 where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines() if pid else []
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith(("wchar", "write_bytes"))), default=0)


def _reset_peak(pid: int) -> None:
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM starts again from what is resident now


def _peak_bytes(pid: int) -> int:
    """Peak resident memory since the last reset; 0 where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
