"""The pipes between the parent and one worker, and what has come through them so far. Nothing is decided here."""

import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from enum import Enum, auto
from typing import Any

from autograder.observation.serialization import MAX_BYTES
from autograder.sandbox.framing import HEADER, write_frame
from autograder.sandbox.outcome import Interrupted
from autograder.sandbox.printed import Printed
from autograder.sandbox.procfs import bytes_written
from autograder.sandbox.server_handle import Server

MAX_WRITTEN = 256 << 20  # bytes that a worker may write to files and pipes, all together
_LOOK_EVERY = 0.25  # seconds between two looks at what was written; a quick check is over before the first
_CHUNK = 1 << 16
_PIPE_BYTES = 1 << 20  # the most that a pipe of Linux holds


class Stop(Enum):
    """Why reading came to an end."""

    REACHED = auto()  # what was waited for is there
    DEADLINE = auto()
    TOO_LARGE = auto()  # the result is larger than any observation
    TOO_MUCH_WRITTEN = auto()  # the worker has filled files or pipes
    LOST = auto()  # everything is closed, and nobody says how the worker ended: the server is gone


class Connection:
    """Request pipe, result pipe, output pipe and control socket of one worker.

    server: has the worker forked.
    cancelled: ends the wait for this worker when it is set.
    pid: of the worker. 0 until the server has told it.
    printed: what the worker has printed so far.

    GraderFault: the server never ran.
    ServerLost: the server was killed again and again.
    """

    def __init__(self, server: Server, cancelled: threading.Event):
        self._server, self._cancelled = server, cancelled
        with ExitStack() as worker_ends, ExitStack() as our_ends:
            request, self._request = _pipe(worker_ends, our_ends)
            self._output, output = _pipe(our_ends, worker_ends)
            self._result, result = _pipe(our_ends, worker_ends)
            control, worker_control = socket.socketpair()
            our_ends.callback(control.close)
            worker_ends.callback(worker_control.close)
            server.spawn([request, result, output, worker_control.fileno()])
            self._our_ends = our_ends.pop_all()
        self.pid = 0
        self.printed, self._results, self._news = Printed(), bytearray(), bytearray()
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._selector = selectors.DefaultSelector()
        buffers: dict[int, Printed | bytearray]
        buffers = {self._output: self.printed, self._result: self._results, control.fileno(): self._news}
        for fd, buffer in buffers.items():
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, buffer)

    def close(self) -> None:
        """Close our ends. The control socket is among them, so a worker that still runs is killed."""
        self._our_ends.close()
        self._selector.close()

    def send_frame(self, data: bytes) -> None:
        """Send a frame to the worker. BrokenPipeError: it has ended."""
        write_frame(self._request, data)

    def send_sign(self, sign: bytes) -> None:
        """Send one byte to the worker, if it still runs."""
        with suppress(BrokenPipeError):
            os.write(self._request, sign)

    @property
    def ended(self) -> bool:
        """Whether the server has told how the worker ended."""
        return b"}" in self._news

    @property
    def account(self) -> dict[str, Any]:
        """How the worker ended: "status" as of wait(), "cpu" in seconds, "peak_kb". Empty until it has ended."""
        return json.loads(self._news[self._news.index(b"{") :]) if self.ended else {}

    @property
    def too_large(self) -> bool:
        """Whether more has come than a result may have."""
        return len(self._results) > MAX_BYTES

    @property
    def has_frame(self) -> bool:
        """Whether a frame has come that is complete and was not dropped."""
        return len(self._results) >= HEADER.size and len(self._results) >= self._frame_end()

    def frame(self) -> bytes | None:
        """The first frame that was not dropped, if it is complete."""
        if not self.has_frame:
            return None
        with memoryview(self._results) as view:
            return bytes(view[HEADER.size : self._frame_end()])

    def drop_frame(self) -> None:
        """Forget the frame that `frame` returns."""
        del self._results[: self._frame_end()]

    def _frame_end(self) -> int:
        (size,) = HEADER.unpack_from(self._results)
        return HEADER.size + size

    def read_until(self, condition: Callable[[], bool], seconds: float) -> Stop:
        """Read what comes until the condition holds, or until something else ends it.

        Interrupted: this worker, or the server with all its workers, was cancelled.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if stop := self._reason_to_stop(deadline):
                return stop
            self._read_some(min(deadline - time.monotonic(), 0.2))
        if self.ended:
            self._drain()
        return Stop.REACHED

    def read_output(self) -> None:
        """Read what the worker has printed up to now. A pipe holds a megabyte at most, so a flood does not keep us here."""
        with suppress(BlockingIOError):
            for _ in range(_PIPE_BYTES // _CHUNK):
                if not (chunk := os.read(self._output, _CHUNK)):
                    return
                self.printed.extend(chunk)

    def _reason_to_stop(self, deadline: float) -> Stop | None:
        now = time.monotonic()
        if self._cancelled.is_set() or self._server.cancelled.is_set():
            raise Interrupted
        if not self._selector.get_map():
            return Stop.LOST
        if now >= deadline:
            return Stop.DEADLINE
        if len(self._results) > MAX_BYTES + 4096:
            return Stop.TOO_LARGE
        if now > self._next_look:
            self._next_look = now + _LOOK_EVERY
            if bytes_written(self.pid) > MAX_WRITTEN:
                return Stop.TOO_MUCH_WRITTEN
        return None

    def _read_some(self, seconds: float) -> None:
        """Wait for something to read, and read one chunk of each descriptor that has something."""
        for key, _ in self._selector.select(seconds):
            try:
                chunk = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                self._selector.unregister(key.fd)
            else:
                key.data.extend(chunk)
        if not self.pid and b"\n" in self._news:
            self.pid = int(self._news.split(b"\n")[0])

    def _drain(self) -> None:
        """Read what a worker that has ended left of its result. News of its end may come before it."""
        with suppress(BlockingIOError):
            while len(self._results) <= MAX_BYTES and (chunk := os.read(self._result, _CHUNK)):
                self._results.extend(chunk)


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose two ends are closed with these stacks."""
    read_end, write_end = os.pipe()
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end
