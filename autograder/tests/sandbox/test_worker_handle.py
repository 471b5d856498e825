"""The parent's side of a worker: what comes through the pipes, in whatever order it is told."""

import json
import os
import selectors
import socket
import struct

import pytest

from autograder.observation.serialization import serialize
from autograder.sandbox import connection, worker_handle


class ServerThatHasFinished:
    """Stands for a server whose worker ended before the parent first looked."""

    def __init__(self, frame: bytes):
        from threading import Event

        self.frame, self.cancelled = frame, Event()

    def spawn(self, fds: list[int]) -> None:
        _, result, output, control = fds
        os.write(result, struct.pack("<Q", len(self.frame)) + self.frame)
        os.write(output, b"said")
        told = socket.socket(fileno=os.dup(control))
        told.sendall(b"77\n" + json.dumps({"status": 0, "cpu": 0.0, "peak_kb": 1}).encode())
        told.close()


class LastComesFirst(selectors.DefaultSelector):
    """Tells of one descriptor at a time, the one that was registered last before the others."""

    def select(self, timeout=None):
        order = list(self.get_map())
        return sorted(super().select(timeout), key=lambda event: -order.index(event[0].fd))[:1]


@pytest.mark.parametrize("size", [1, 10_000])
def test_the_end_of_a_worker_may_be_told_before_its_result_is_read(monkeypatch, size):
    monkeypatch.setattr(connection.selectors, "DefaultSelector", LastComesFirst)
    frame = b"S" + serialize({"observation": {"numbers": "x" * size}, "inputs": []})
    with worker_handle.Worker(ServerThatHasFinished(frame), {}) as worker:
        outcome = worker.finish(5)
    assert (outcome.kind, outcome.output) == ("observed", "said")
    assert outcome.observation == {"numbers": "x" * size}
