"""The life of one worker: limits, the student's code, one job, one result back.

Runs in a child of the server. Everything here stands beside student code and so decides nothing. It sends an observation,
and the parent does not believe more of it than a comparison with the golden values proves.
"""

import base64
import contextlib
import io
import json
import marshal
import os
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from autograder.check.check import load_code
from autograder.check.draw import Draw
from autograder.observation.leaf import Array, flatten
from autograder.observation.random_projection import random_projection
from autograder.observation.serialization import deserialize, serialize
from autograder.sandbox import framing, limits
from autograder.sandbox.forbidden_calls import ForbiddenCalls
from autograder.sandbox.framing import read_exactly, read_frame, write_frame
from autograder.sandbox.in_memory import InMemory
from autograder.sandbox.request import CheckRequest, Job
from autograder.sandbox.solution import Solution

PROJECT_ABOVE = 256  # numbers in a leaf of a stepwise check; a larger one is sent as a random projection


def run_and_exit(request_fd: int, result_fd: int) -> None:
    """Serve one request and end the process, whatever atexit hooks student code has left. The server calls it in the child."""
    try:
        main(request_fd, result_fd)
    except BaseException:
        os.write(2, traceback.format_exc(limit=3)[-2000:].encode(errors="replace"))
    finally:
        os._exit(0)


def main(request_fd: int, result_fd: int) -> None:
    """Serve one request.

    OSError: the kernel refuses a limit. Nothing of the submission has run then.
    EOFError: the parent has given this worker up.
    """
    request: CheckRequest = json.loads(read_frame(request_fd))
    limits.confine(**request["jail"], seconds=request["seconds"], scratch=request["scratch"])
    send = lambda kind, value: write_frame(result_fd, kind + serialize(value))
    if request["job"] == Job.COMPILE:
        send(framing.OBSERVATION, {"observation": compile_modules(Path(request["folder"]))})
        return
    torch.set_num_threads(1)
    forbidden_calls = ForbiddenCalls(request["forbidden"], request["folder"])
    try:
        check, draw = prepare(request)
        arguments = (Solution(request["solution"], request["folder"]), draw, *training_input(request["job"], request_fd))
        watch = forbidden_calls if request["forbidden"] else contextlib.nullcontext()
        if request["job"] == Job.STEP:
            if request["measures_memory"]:
                limits.return_freed_memory()
                step_through(check(*arguments), request_fd, send, watch, always_watched=True)
            else:
                with prints_in_memory() as write_out:
                    step_through(check(*arguments), request_fd, send, watch, before_sending=write_out)
            return
        with watch:
            observation = check(*arguments)
        if forbidden_calls.violation:
            raise RuntimeError(forbidden_calls.violation)
        if not isinstance(observation, dict):
            raise TypeError(f"fault of the check {request['name']}: it returned a {type(observation).__name__}, not a dict")
        send(framing.OBSERVATION, {"observation": observation, "inputs": draw.input_digests()})
    except BaseException as error:  # SystemExit and KeyboardInterrupt of student code are failures like any other
        send(framing.EXCEPTION, describe(error, request["folder"], forbidden_calls.violation))


def compile_modules(folder: Path) -> dict[str, torch.Tensor]:
    """Code of the modules in a folder by name, as bytes. Those that do not compile are left out."""
    codes = {}
    for path in folder.glob("*.py"):
        with contextlib.suppress(Exception):
            code = marshal.dumps(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
            codes[path.stem] = torch.frombuffer(bytearray(code), dtype=torch.uint8)
    return codes


def training_input(job: Job, request_fd: int) -> tuple[Any, ...]:
    """What a training check gets besides solution and draw: the text, or the trained state and the prefixes."""
    if job == Job.TRAIN:
        return (zlib.decompress(read_frame(request_fd)),)
    if job == Job.PREDICT:
        prefixes = [bytes(prefix) for prefix in json.loads(read_frame(request_fd))]
        leaves, start = deserialize(read_frame(request_fd)), "observation.state."
        state = {
            path.removeprefix(start): _tensor(leaf)
            for path, leaf in leaves.items()
            if path.startswith(start) and isinstance(leaf, Array)
        }
        return state, prefixes
    return ()


def _tensor(leaf: Array) -> torch.Tensor:
    return torch.from_numpy(leaf.values.copy()).to(getattr(torch, leaf.dtype))


def prepare(request: CheckRequest) -> tuple[Callable[..., Any], Draw]:
    """The check function, from the code that was sent, and its draw. The solution's tree becomes importable."""
    if request["tree"]:
        sys.path.insert(0, request["tree"])
        InMemory(request["given_package"], request["given"]).install()
    if request["exact"]:
        torch.set_default_dtype(torch.float64)
    if request["device"] != "cpu":
        torch.set_default_device(request["device"])
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.manual_seed(request["seed"])
    torch.default_generator.manual_seed(request["seed"])  # torch.manual_seed would look for accelerators, for milliseconds
    module = load_code(base64.b64decode(request["code"]), request["path"])
    check = getattr(module, request["name"])
    draw = Draw(request["seed"], request["exact"], request["device"])
    return (lambda _, draw: check(draw)) if request["probe"] else check, draw


def step_through(
    steps: Iterator[Any],
    request_fd: int,
    send: Callable[[bytes, Any], None],
    watch: contextlib.AbstractContextManager,
    always_watched: bool = False,
    before_sending: Callable[[], None] = lambda: None,
) -> None:
    """Run a generator check one step for each sign of the parent. The parent reads its clocks in between.

    watch: watches for forbidden calls while it is entered.
    always_watched: enter it in every step, and not only in those that the parent wants watched.
    before_sending: called after each step.
    """
    while True:
        try:
            sign = read_exactly(request_fd, 1)
        except EOFError:
            return
        try:
            with watch if always_watched or sign == framing.WATCHED_STEP else contextlib.nullcontext():
                observation = next(steps)
        except StopIteration:
            send(framing.END_OF_STEPS, {})
            return
        before_sending()
        send(framing.OBSERVATION, {"observation": {path: _shorten(leaf) for path, leaf in flatten(observation).items()}})


@contextlib.contextmanager
def prints_in_memory() -> Iterator[Callable[[], None]]:
    """Keep what is printed in memory, so that printing takes next to no time of a step. Yields what writes it out.

    What a step prints is lost if the worker is killed in that very step. Elsewhere every print is written at once.
    """
    output = sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), errors="backslashreplace")

    def write_out() -> None:
        with contextlib.suppress(Exception):  # the student's code may have closed it
            output.flush()

    try:
        yield write_out
    finally:
        write_out()


def _shorten(leaf: Any) -> Any:
    """Shape and a stored random projection of a large tensor. Anything else as it is."""
    if type(leaf) is not torch.Tensor or leaf.numel() <= PROJECT_ABOVE or not leaf.is_floating_point():
        return leaf
    values = leaf.detach().to("cpu", torch.float64).numpy()
    return {"shape": str(tuple(leaf.shape)), "projection": torch.from_numpy(random_projection(values)).to(leaf.dtype)}


def describe(error: BaseException, folder: str, violation: str | None) -> dict[str, Any]:
    """Type, message and the student's own frames of an exception. No frame of the grader or of a check leaves the worker.

    folder: where the student's files lie.
    violation: the forbidden call that was met, if there was one.
    """
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {(frame.line or '').strip()[:160]}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(folder)
    ]
    kind, message = type(error).__name__, _message(error)
    if violation:
        kind, message = "ForbiddenCall", violation
    elif isinstance(error, MemoryError) or "can't allocate memory" in message:
        kind = "MemoryError"
    elif isinstance(error, SyntaxError) and isinstance(error.filename, str) and error.filename.startswith(folder):
        frames.append(f"{Path(error.filename).name}:{error.lineno}: {(error.text or '').strip()[:160]}")
    return {
        "type": kind,
        "message": message[:2000],
        "frames": frames[-6:],
        "module": error.name if isinstance(error, ImportError) else None,
    }


def _message(error: BaseException) -> str:
    try:
        return str(error.msg) if isinstance(error, SyntaxError) and error.msg else str(error)
    except BaseException:  # a student's exception class may refuse to be printed
        return "(this exception cannot be printed)"
