"""The loop of the server: it forks a worker for each request and tells the parent how the worker has ended.

A request is one byte on a socket. It carries four descriptors: the worker's request pipe, its result pipe, its output pipe
and a control socket. The server writes the worker's process id to the control socket. When the worker has ended, the server
writes exit status and resource usage there, as JSON. The parent closes the control socket to have the worker killed,
together with what the worker has left running. When the parent dies, every control socket closes, and so every worker is
killed.

What goes wrong with one worker ends that worker and not the server. The parent notices, because the descriptors are closed.
"""

import json
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from resource import struct_rusage
from typing import NoReturn

DESCRIPTORS = 4  # of a request
_HIGHEST_DESCRIPTOR = 4096


class ForkServer:
    """Forks workers for the process at the other end of a socket, until that end is closed.

    parent: the socket that requests come through.
    run_worker: what a worker does with its request pipe and its result pipe. It ends the process.
    """

    def __init__(self, parent: socket.socket, run_worker: Callable[[int, int], None]):
        self._parent, self._run_worker = parent, run_worker
        self._controls: dict[int, socket.socket] = {}  # the control socket of each worker, by process id
        self._child_ended = _wake_when_a_child_ends()
        self._selector = selectors.DefaultSelector()
        self._selector.register(parent, selectors.EVENT_READ, self._take_request)
        self._selector.register(self._child_ended, selectors.EVENT_READ, self._reap)

    def serve(self) -> NoReturn:
        """Handle one event after another. The process ends when the parent is gone."""
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _take_request(self) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(self._parent, 1, DESCRIPTORS)
        except OSError:  # memory is short, or the parent died and had not read everything; the next look tells
            return
        if not message:
            self._end()
        if len(fds) == DESCRIPTORS:  # where this process can open no more files, some are lost
            self._fork(*fds)
        else:
            _close(fds)

    def _fork(self, request: int, result: int, output: int, control_fd: int) -> None:
        """Start a worker that has these descriptors for itself. Where no process can be forked, they are closed."""
        control = socket.socket(fileno=control_fd)
        try:
            pid = os.fork()
        except OSError:
            _close([request, result, output])
            control.close()
            return
        if pid == 0:
            self._become_worker(request, result, output)
        _close([request, result, output])
        self._controls[pid] = control
        try:
            self._selector.register(control, selectors.EVENT_READ, partial(self._cancel, pid, control))
            control.send(f"{pid}\n".encode())
        except OSError:  # the parent has given it up before it was forked, or it cannot be watched
            _kill(pid)

    def _become_worker(self, request: int, result: int, output: int) -> NoReturn:
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            _close_all_but(request, result)
            self._run_worker(request, result)
        finally:
            os._exit(1)

    def _cancel(self, pid: int, control: socket.socket) -> None:
        if self._controls.get(pid) is control:  # it may have been reaped a moment ago
            self._selector.unregister(control)
            _kill(pid)

    def _reap(self) -> None:
        """Take leave of every child that has ended."""
        with suppress(BlockingIOError):
            self._child_ended.recv(4096)
        with suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self._controls:  # not so a process that a worker had left behind
                    self._report_end(pid, status, usage)

    def _report_end(self, pid: int, status: int, usage: struct_rusage) -> None:
        _kill_group(pid)
        control = self._controls.pop(pid)
        self._kill_orphans()
        if control.fileno() in self._selector.get_map():
            self._selector.unregister(control)
        account = {"status": status, "cpu": usage.ru_utime + usage.ru_stime, "peak_kb": usage.ru_maxrss}
        with suppress(OSError):  # the parent may have lost interest
            control.sendall(json.dumps(account).encode())
        control.close()

    def _kill_orphans(self) -> None:
        """Kill children that are no workers: processes of a worker that has ended, in a session of their own."""
        with suppress(OSError):  # not every kernel lists them
            for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
                if pid not in self._controls:
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)

    def _end(self) -> NoReturn:
        for pid in self._controls:
            _kill(pid)
        os._exit(0)  # half a second less than to take torch apart


def _wake_when_a_child_ends() -> socket.socket:
    """A socket that becomes readable when a child of this process ends."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _close_all_but(*kept: int) -> None:
    """Close every descriptor but the three standard ones and these."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _HIGHEST_DESCRIPTOR)


def _kill(pid: int) -> None:
    """Kill a worker that was not reaped yet, with its process group. A worker just forked has no group yet."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
