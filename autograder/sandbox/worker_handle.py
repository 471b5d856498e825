"""The parent's side of one worker: run a check in it, watch the clock, and say what became of it."""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from autograder.observation.leaf import Observation
from autograder.observation.serialization import MalformedObservation, deserialize
from autograder.sandbox import framing
from autograder.sandbox.connection import MAX_WRITTEN, Connection, Stop
from autograder.sandbox.outcome import Ending, Outcome, Step
from autograder.sandbox.procfs import cpu_seconds, peak_bytes, reset_peak
from autograder.sandbox.server_handle import START_SECONDS, Server
from autograder.text import sanitize

_TO_END = 2.0  # seconds that a worker may take to end after its last frame


class Worker:
    """One worker under way, as a context manager. `finish` waits for its one result. `step` drives a stepwise check.

    request: see `request.py`.
    data: frames that the worker reads after the request.
    cancelled: ends this worker when it is set.
    """

    def __init__(
        self,
        server: Server,
        request: Mapping[str, object],
        data: Sequence[bytes] = (),
        cancelled: threading.Event | None = None,
    ):
        self._connection = Connection(server, cancelled or threading.Event())
        self._started, self._cpu_before = time.monotonic(), 0.0
        with suppress(BrokenPipeError):  # it may have died already; what is left to read says how
            for frame in (json.dumps(request).encode(), *data):
                self._connection.send_frame(frame)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._connection.close()

    @property
    def pid(self) -> int:
        """Process id of the worker. 0 until the server has told it."""
        return self._connection.pid

    def finish(self, seconds: float) -> Outcome:
        """The outcome of a worker that sends one frame and ends."""
        return self._outcome(self._wait_for_end(seconds), seconds)

    def step(self, seconds: float, watched: bool = False) -> Step | Outcome:
        """One step of a stepwise check. There is an Outcome instead if the check has ended, well or not.

        watched: whether forbidden calls are watched for, also in a timed check.
        MalformedObservation: the worker sent rubbish.
        """
        reset_peak(self.pid)
        self._connection.send_sign(framing.WATCHED_STEP if watched else framing.STEP)
        connection = self._connection
        stop = connection.read_until(lambda: connection.has_frame or connection.ended, seconds)
        frame = connection.frame()
        if frame is not None and frame[:1] == framing.OBSERVATION:
            cpu = cpu_seconds(self.pid)
            step = Step(_observation(deserialize(frame[1:])), cpu - self._cpu_before, peak_bytes(self.pid))
            self._cpu_before = cpu
            connection.drop_frame()
            return step
        if frame is not None:  # an exception, or the end of the steps
            self._wait_for_end(_TO_END)
        return self._outcome(stop, seconds)

    def output(self) -> str:
        """What the worker has printed up to now: its beginning and its end, without invisible characters."""
        self._connection.read_output()
        return sanitize(self._connection.printed.text())

    def start_clock(self) -> None:
        """Count the CPU time from here. A worker's start and set-up belong to no step."""
        connection = self._connection
        connection.read_until(lambda: bool(connection.pid) or connection.ended, START_SECONDS)
        self._cpu_before = cpu_seconds(self.pid)

    def _wait_for_end(self, seconds: float) -> Stop:
        return self._connection.read_until(lambda: self._connection.ended, seconds)

    def _outcome(self, stop: Stop, seconds: float) -> Outcome:
        """What became of the worker. `stop`: why reading ended. `seconds`: what it was given."""
        connection, account = self._connection, self._connection.account
        outcome = Outcome(Ending.DIED, seconds=time.monotonic() - self._started)
        outcome.output = self.output()
        if account:
            outcome.cpu_seconds, outcome.peak_kb = account["cpu"], account["peak_kb"]
            outcome.error = _death(account["status"])
        if stop is Stop.TOO_MUCH_WRITTEN:
            outcome.kind = Ending.FLOODED
            outcome.error = {"message": f"it wrote more than {MAX_WRITTEN >> 20} MB to files or pipes"}
        elif connection.too_large:
            outcome.kind = Ending.FLOODED
        elif stop is Stop.LOST:  # the worker was killed together with the server
            outcome.error = {"signal": int(signal.SIGKILL)}
        elif stop is Stop.DEADLINE:
            outcome.kind, outcome.error = Ending.TIMEOUT, {"seconds": seconds}
        elif (frame := connection.frame()) is not None:
            _read_result(frame, outcome)
        return outcome


def _death(status: int) -> dict[str, int]:
    """How a process ended that returned nothing. status: as of wait()."""
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.waitstatus_to_exitcode(status)}


def _read_result(frame: bytes, outcome: Outcome) -> None:
    """Fill in what the last frame of a worker says."""
    kind, body = frame[:1], frame[1:]
    try:
        value = deserialize(body)
    except MalformedObservation as error:
        outcome.kind, outcome.error = Ending.FLOODED, {"message": str(error)}
        return
    if kind == framing.EXCEPTION:
        outcome.kind, outcome.error = Ending.RAISED, _exception(value)
    else:
        outcome.kind, outcome.observation, outcome.frame = Ending.OBSERVED, _observation(value), body
        outcome.inputs = [str(digest) for path, digest in value.items() if path.startswith("inputs[")]


def _observation(value: Observation) -> Observation:
    start = "observation."
    return {path.removeprefix(start): leaf for path, leaf in value.items() if path.startswith(start)}


def _exception(value: Observation) -> dict[str, Any]:
    frames = [str(frame) for path, frame in value.items() if path.startswith("frames[")]
    return {"type": str(value.get("type")), "message": str(value.get("message")), "frames": frames, "module": value.get("module")}


def observe(
    server: Server,
    request: Mapping[str, object],
    seconds: float,
    data: Sequence[bytes] = (),
    cancelled: threading.Event | None = None,
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
