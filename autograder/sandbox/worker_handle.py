"""The parent's side of one worker: run a check in it, and watch the clock."""

import json
import os
import selectors
import signal
import socket
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from autograder.observation.leaf import Observation
from autograder.observation.serialization import MAX_BYTES, MalformedObservation, deserialize
from autograder.sandbox.framing import write_frame
from autograder.sandbox.outcome import Ending, Interrupted, Outcome, Step
from autograder.sandbox.procfs import bytes_written, cpu_seconds, peak_bytes, reset_peak
from autograder.sandbox.server_handle import START_SECONDS, Server
from autograder.text import sanitize

KEPT_OUTPUT = 16 << 10


MAX_WRITTEN = 256 << 20  # bytes that a worker may write to files and pipes, all together


class Worker:
    """One worker under way. `finish` waits for its one result; `step` drives a stepwise check."""

    def __init__(self, server: Server, request: dict, data: Sequence[bytes] = (), cancelled: threading.Event | None = None):
        self._server, self._cancelled = server, cancelled or threading.Event()
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
        reset_peak(self.pid)
        with suppress(BrokenPipeError):
            os.write(self._request, b"w" if watched else b".")
        self._pump(seconds, until=lambda: self._frame() is not None or self._ended)
        frame = self._frame()
        if frame is None or frame[:1] != b"S":
            if frame is None and not self._ended:
                return self._classify(False, seconds)
            self._pump(2.0, until=lambda: self._ended)
            return self._classify(True, seconds)
        clock = cpu_seconds(self.pid)
        step = Step(_seen(deserialize(bytes(frame[1:]))), clock - self._clock, peak_bytes(self.pid))
        self._clock = clock
        del self._data[: 8 + len(frame)]
        return step

    def start_clock(self) -> None:
        """Count the CPU time from here; a worker's start and set-up belong to no step."""
        self._pump(START_SECONDS, until=lambda: self.pid or self._ended)
        self._clock = cpu_seconds(self.pid)

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
            if self._cancelled.is_set() or self._server.cancelled.is_set():
                raise Interrupted
            if left <= 0 or len(self._data) > MAX_BYTES + 4096 or not self._selector.get_map():
                return False
            if time.monotonic() > self._next_look:  # a quick check is over before the first look
                self._next_look = time.monotonic() + 0.25
                if bytes_written(self.pid) > MAX_WRITTEN:
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
        out = Outcome(Ending.DIED, output=_readable(self._text), seconds=time.monotonic() - self._started)
        if b"{" in self._exit and ended:
            usage = json.loads(self._exit[self._exit.index(b"{") :])
            out.cpu_seconds, out.peak_kb = usage["cpu"], usage["peak_kb"]
            out.error = (
                {"signal": os.WTERMSIG(usage["status"])}
                if os.WIFSIGNALED(usage["status"])
                else {"exit": os.waitstatus_to_exitcode(usage["status"])}
            )
        if self._flooded:
            out.kind, out.error = Ending.FLOODED, {"message": f"it wrote more than {MAX_WRITTEN >> 20} MB to files or pipes"}
        elif len(self._data) > MAX_BYTES:
            out.kind = Ending.FLOODED
        elif not ended:
            out.kind, out.error = Ending.TIMEOUT, {"seconds": seconds}
            if not self._selector.get_map():  # the server is gone, and the worker with it
                out.kind, out.error = Ending.DIED, {"signal": int(signal.SIGKILL)}
        elif (frame := self._frame()) is not None:
            try:
                value = deserialize(bytes(frame[1:]))
                if frame[:1] == b"E":
                    out.kind, out.error = Ending.RAISED, _error(value)
                else:
                    out.kind, out.observation, out.frame = Ending.OBSERVED, _seen(value), bytes(frame[1:])
                    out.inputs = [str(v) for k, v in value.items() if k.startswith("inputs[")]
            except (MalformedObservation, ValueError) as error:
                out.kind, out.error = Ending.FLOODED, {"message": str(error)}
        return out


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    r, w = os.pipe()
    reader.callback(os.close, r)
    writer.callback(os.close, w)
    return r, w


def _seen(value: Observation) -> Observation:
    return {path.removeprefix("observation."): leaf for path, leaf in value.items() if path.startswith("observation.")}


def _error(value: Observation) -> dict:
    frames = [str(v) for k, v in value.items() if k.startswith("frames[")]
    return {"type": str(value.get("type")), "message": str(value.get("message")), "frames": frames, "module": value.get("module")}


def _readable(text: bytearray) -> str:
    return sanitize(bytes(text[:KEPT_OUTPUT]).decode(errors="replace"))


def observe(
    server: Server, request: dict, seconds: float, data: Sequence[bytes] = (), cancelled: threading.Event | None = None
) -> Outcome:
    """Run one check to its end in a worker of its own.

    seconds: the wall-clock deadline.
    data: what the worker reads after the request.
    cancelled: ends this worker when it is set.
    There is an `Outcome` whatever the worker does: it returns, raises, dies, hangs, floods or sends rubbish.
    Interrupted: the run, or the server with all its runs, was cancelled.
    """
    with Worker(server, request, data, cancelled) as worker:
        return worker.finish(seconds)
