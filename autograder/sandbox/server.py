"""The clean server that workers are forked from. It imports torch once and runs nothing of a submission.

`server_handle.py` starts it as `python -I -u -m autograder.sandbox.server SETTINGS`. What it does when it is ready stands in
`fork_server.py`.
"""

import ctypes
import gc
import importlib
import json
import socket
import sys
from pathlib import Path
from typing import NoReturn

import autograder
from autograder.sandbox.fork_server import ForkServer

_MODULES = ("jaxtyping", "safetensors", "gradescope_utils.autograder_utils.decorators", "autograder.check")
_SET_CHILD_SUBREAPER = 36  # of prctl
_COLLAPSE = 25  # of madvise
_HUGE_PAGE = 2 << 20  # bytes


def main(fd: int, preload: list[str], huge_pages: bool) -> NoReturn:
    """Import everything, tell the parent the digest of the random streams, and serve until the parent is gone.

    fd: the socket to the parent.
    preload: modules that workers of this assignment need.
    huge_pages: take a third of a second longer to start, and less time for each fork.
    """
    sys.dont_write_bytecode = True
    _hide_course_folders()
    from autograder.check.draw import stream_digest
    from autograder.sandbox import worker

    _hide_editable_installs()
    for name in (*_MODULES, *preload):
        importlib.import_module(name)
    _adopt_orphans()
    parent = socket.socket(fileno=fd)
    server = ForkServer(parent, worker.run_and_exit)
    _warm_up()
    gc.freeze()  # a collection in a worker then leaves the pages alone that it shares with us
    if huge_pages:
        _use_huge_pages()
    parent.send(stream_digest().encode())
    server.serve()


def _hide_course_folders() -> None:
    """Take the course's own tree, which an editable install adds, off the path. The environment may lie inside it."""
    course = str(Path(autograder.__file__).resolve().parents[1])
    sys.path[:] = [folder for folder in sys.path if not folder.startswith(course) or folder.startswith(sys.prefix)]


def _hide_editable_installs() -> None:
    """Take away the finders of editable installs. What is imported by now stays importable, submodules included."""
    is_editable = lambda finder: "editable" in getattr(finder, "__module__", "") + type(finder).__module__
    sys.meta_path[:] = [finder for finder in sys.meta_path if not is_editable(finder)]


def _adopt_orphans() -> None:
    """Have what a worker leaves behind become our child, and not init's, so that we can kill it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _warm_up() -> None:
    """Do once what the first operation of its kind would set up in every worker. It is a tenth of a small check's time.

    On one thread, to which the environment holds us, and forward only. A parallel operation or a backward pass starts
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
    """Gather our memory in pages of 2 MB, so that a fork has 500 times fewer entries to copy."""
    if sys.platform != "linux":
        return
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, _, _, _, name = f"{line} ".split(" ", 5)
        start, end = (int(address, 16) for address in span.split("-"))
        start, end = -(-start // _HUGE_PAGE) * _HUGE_PAGE, end // _HUGE_PAGE * _HUGE_PAGE
        if rights.startswith("rw") and name.strip() in ("", "[heap]") and end > start:
            # A kernel that cannot do it returns an error, which changes nothing.
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
