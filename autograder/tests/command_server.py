"""Runs commands of the course one after another in one process, on worker servers that stay warm.

A command of its own spends two seconds on imports, nearly all of them on torch in the worker server. Tests grade a
hundred times, so they share this process. The course is that of COURSE_DIR. Started by `toy_course.py`.

A request is a line of JSON on stdin with `module`, `arguments` and `environment`. The answer is a line of JSON with
`status`, `stdout` and `stderr`. Both streams are files while a command runs, so its children write there too.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from autograder.sandbox import server_handle

_RealServer = server_handle.Server
_servers: dict[tuple, _RealServer] = {}


@contextmanager
def warm_server(preload: tuple[str, ...] = (), warm_for_batch: bool = False) -> Iterator[_RealServer]:
    """Stands for `Server`: one that an earlier command started, if it needed the same modules. It is not closed."""
    key = (tuple(preload), warm_for_batch)
    if key not in _servers or _servers[key].cancelled.is_set():
        _servers[key] = _RealServer(preload, warm_for_batch)
    yield _servers[key]


def run(module: str, arguments: list[str]) -> int:
    """The exit status of `python -m module arguments`."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def redirected(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """These files in place of stdout and stderr, for this process and its children."""
    kept = os.dup(1), os.dup(2)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, fd in enumerate(kept, 1):
            os.dup2(fd, number)
            os.close(fd)


def serve() -> None:
    """Answer requests until stdin closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.clear()
        os.environ.update(request["environment"])
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with redirected(out, err):
                status = run(request["module"], request["arguments"])
            stdout, stderr = (stream.seek(0) or stream.read().decode(errors="replace") for stream in (out, err))
        print(json.dumps({"status": status, "stdout": stdout, "stderr": stderr}), file=answers, flush=True)
    for server in _servers.values():
        server.close()


if __name__ == "__main__":
    server_handle.Server = warm_server
    serve()
