"""The clean server that workers are forked from: torch is imported once, and no operation ever runs here.

Started by `workers.py` as `python -I`. A request is one message on a socket that carries four descriptors: the worker's
request pipe, its result pipe, its bounded output pipe, and a control socket. Closing the control socket kills the worker
and what it has left; when a worker has ended, its exit status and resource usage are written there. When the parent dies,
every control socket closes, and with them every worker.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path

import autograder

_CHILD_SUBREAPER, _COLLAPSE, _HUGE = 36, 25, 2 << 20


def main(fd: int) -> None:
    preload = json.loads(sys.argv[2])
    sys.dont_write_bytecode = True
    # The course's own tree, which an editable install adds, is not importable; the environment may lie inside it.
    course = str(Path(autograder.__file__).resolve().parents[1])
    sys.path[:] = [p for p in sys.path if not p.startswith(course) or p.startswith(sys.prefix)]
    from autograder.check.draw import stream_digest
    from autograder.sandbox import worker

    sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "") + type(f).__module__]
    for name in [
        "jaxtyping",
        "safetensors",
        "gradescope_utils.autograder_utils.decorators",
        "autograder.check",
        *preload,
    ]:
        importlib.import_module(name)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a worker leaves behind becomes our child, not init's
    parent = socket.socket(fileno=fd)
    wake_r, wake_w = socket.socketpair()
    wake_w.setblocking(False)
    signal.set_wakeup_fd(wake_w.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(parent, selectors.EVENT_READ, "parent")
    selector.register(wake_r, selectors.EVENT_READ, "wake")
    workers: dict[int, socket.socket] = {}
    _warm_up()
    gc.freeze()  # a collection in a worker then leaves the pages alone that it shares with us
    if sys.argv[3] == "class":
        _use_huge_pages()
    parent.send(f"ready {stream_digest()}".encode())
    while True:
        for key, _ in selector.select():
            if key.data == "parent":
                message, fds, _, _ = socket.recv_fds(parent, 1, 4)
                if not message:  # the parent is gone
                    for pid in workers:
                        _kill(pid)
                    os._exit(0)  # half a second less than to take torch apart
                if pid := os.fork():
                    for used in fds[:3]:
                        os.close(used)
                    workers[pid] = socket.socket(fileno=fds[3])
                    selector.register(workers[pid], selectors.EVENT_READ, pid)
                    with contextlib.suppress(OSError):  # the parent may have cancelled it before we came to fork
                        workers[pid].send(f"{pid}\n".encode())
                else:
                    os.setsid()
                    _become_worker(worker, fds, keep_open={fds[0], fds[1]})
            elif key.data == "wake":
                wake_r.recv(4096)
                _reap(workers, selector)
            elif key.data in workers:  # closed, or a byte: kill it
                selector.unregister(key.fileobj)
                _kill(key.data)


def _warm_up() -> None:
    """Do once what the first operation of its kind would set up in every worker: a tenth of what a small check takes.

    On one thread, to which the environment holds us, and forward only: a parallel operation or a backward pass starts
    threads, and a fork does not copy threads.
    """
    import torch

    from autograder.check.draw import Draw
    from autograder.observation.serialization import serialize

    draw = Draw(0)
    x = draw.normal(2, 3, 4).requires_grad_()
    scores = (x @ x.mT).masked_fill(draw.bernoulli(0.5, 3, 3), -1.0).softmax(-1)
    layer = draw.fill_(torch.nn.Linear(4, 4))
    out = torch.cat([layer(scores @ x), torch.stack([x, x.exp()]).mean(0)], dim=-1)
    table = torch.zeros(5, 4)[draw.integers(0, 5, 2, 3)]
    serialize({"observation": {"out": out, "table": table, "mask": scores > 0}, "inputs": draw.input_digests()})


def _use_huge_pages() -> None:
    """Gather our memory in pages of 2 MB, so that a fork has 500 times fewer entries to copy; a third of a second, once."""
    for line in Path("/proc/self/maps").read_text().splitlines() if sys.platform == "linux" else ():
        span, rights, _, _, _, name = f"{line} ".split(" ", 5)
        start, end = (int(x, 16) for x in span.split("-"))
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        if (
            rights.startswith("rw") and name.strip() in ("", "[heap]") and end > start
        ):  # a kernel that cannot do it says so, and that is all
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


def _become_worker(worker, fds: list[int], keep_open: set[int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(fds[2], 1)
    os.dup2(fds[2], 2)
    low = 3
    for fd in sorted(keep_open):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 4096)
    worker.run_and_exit(fds[0], fds[1])


def _reap(workers: dict, selector) -> None:
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid not in workers:  # left behind by a worker, and dead by now
            continue
        _kill(pid)  # what it has left behind in its process group
        control = workers.pop(pid)
        _kill_orphans(workers)
        if control.fileno() in selector.get_map():
            selector.unregister(control)
        with contextlib.suppress(OSError):  # the parent may have lost interest
            control.sendall(
                json.dumps({"status": status, "cpu": usage.ru_utime + usage.ru_stime, "peak_kb": usage.ru_maxrss}).encode()
            )
        control.close()


def _kill_orphans(workers: dict) -> None:
    """Kill children that are no workers: processes of a worker that has ended, in a session of their own."""
    with contextlib.suppress(OSError):  # not every kernel lists them
        for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
            if pid not in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
