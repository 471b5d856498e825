"""The life of one worker: limits, the student's code, one check, one observation back.

Runs in a child of the server. Everything here is beside student code and so decides nothing: it sends what was seen, and
the parent does not believe more of it than a comparison with the golden values proves.
"""

import base64
import contextlib
import importlib
import json
import marshal
import os
import sys
import tomllib
import traceback
import zlib
from pathlib import Path

import torch

from autograder.check.check import load_code
from autograder.check.draw import Draw
from autograder.judge.judge import Drive
from autograder.observation.leaf import flatten
from autograder.observation.random_projection import random_projection
from autograder.observation.serialization import deserialize, serialize
from autograder.sandbox import limits
from autograder.sandbox.forbidden_calls import ForbiddenCalls
from autograder.sandbox.framing import read_exactly, read_frame, write_frame
from autograder.source.stub_text import OpenQuestion

PROJECT_ABOVE = 256  # numbers in a leaf of a timed check; larger ones come back as a projection


class Solution:
    """The package under test as a check sees it: `solution.rope.rotate` imports the module `rope` when it is asked for."""

    def __init__(self, package: str, folder: str):
        self._package, self._folder = package, Path(folder)

    def __getattr__(self, module: str):
        return importlib.import_module(f"{self._package}.{module}")

    @property
    def by_hand(self) -> dict:
        """The answers in by_hand.toml; an open question raises, as a stub does."""
        path = self._folder / "by_hand.toml"
        try:
            answers = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise ValueError(f"by_hand.toml cannot be read: {error}") from None
        return _Answers(answers)


class _Answers(dict):
    def __getitem__(self, key: str):
        if not self.get(key):
            raise NotImplementedError(str(OpenQuestion(key)))
        return super().__getitem__(key)


def main(request_fd: int, result_fd: int) -> None:
    """Serve one request; never returns to the caller's code with student state alive (the caller exits at once)."""
    request = json.loads(read_frame(request_fd))
    limits.confine(**request["jail"], seconds=request["seconds"], scratch=request["scratch"])
    send = lambda status, value: write_frame(result_fd, status + serialize(value))
    if request["drive"] == "compile":
        send(b"S", {"observation": compiled_files(Path(request["folder"]))})
        return
    torch.set_num_threads(request.get("threads", 1))
    solution = Solution(request["solution"], request["folder"])
    forbidden_calls = ForbiddenCalls(request["forbidden"], request["folder"])
    try:
        check, draw = prepare(request)
        given = training_input(request["drive"], request_fd)
        watching = forbidden_calls if request["forbidden"] else contextlib.nullcontext()
        if request["drive"] == Drive.STEP:
            if request["measures_memory"]:
                limits.return_freed_memory()
            step_through(check(solution, draw), request_fd, send, watching, always=request["measures_memory"])
            return
        with watching:
            observation = check(solution, draw, *given)
        if forbidden_calls.violation:
            raise RuntimeError(forbidden_calls.violation)
        if not isinstance(observation, dict):
            raise TypeError(f"fault of the check {request['name']}: it returned a {type(observation).__name__}, not a dict")
        send(b"S", {"observation": observation, "inputs": draw.input_digests()})
    except BaseException as error:  # SystemExit and KeyboardInterrupt of student code are failures like any other
        send(b"E", describe(error, request["folder"], forbidden_calls.violation))


def compiled_files(folder: Path) -> dict[str, torch.Tensor]:
    """Code of the modules in a folder by name, as bytes; those that do not compile are left out."""
    found = {}
    for path in folder.glob("*.py"):
        with contextlib.suppress(Exception):
            code = marshal.dumps(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
            found[path.stem] = torch.frombuffer(bytearray(code), dtype=torch.uint8)
    return found


def training_input(drive: str, request_fd: int) -> tuple:
    """What a training check gets besides solution and draw: the text; or the trained state and the prefixes."""
    if drive == Drive.TRAIN:
        return (zlib.decompress(read_frame(request_fd)),)
    if drive == "predict":
        prefixes = [bytes(p) for p in json.loads(read_frame(request_fd))]
        leaves = deserialize(read_frame(request_fd))
        start = "observation.state."
        tensor = lambda leaf: torch.from_numpy(leaf.values.copy()).to(getattr(torch, leaf.dtype))
        return {
            p.removeprefix(start): tensor(v) for p, v in leaves.items() if p.startswith(start) and hasattr(v, "values")
        }, prefixes
    return ()


def prepare(request: dict):
    """The check function, from the code that was sent, and its draw; the solution's tree becomes importable."""
    if request["tree"]:
        sys.path.insert(0, request["tree"])
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


def step_through(steps, request_fd: int, send, watching, always: bool) -> None:
    """Run a generator check one step for each byte that the parent sends; the parent reads its clocks in between.

    watching: the trap on forbidden calls, which is set in steps that the parent wants watched, or always.
    """
    while True:
        try:
            wanted = read_exactly(request_fd, 1)
        except EOFError:
            return
        try:
            with watching if always or wanted == b"w" else contextlib.nullcontext():
                observation = next(steps)
        except StopIteration:
            send(b"D", {})
            return
        send(b"S", {"observation": {path: shrunk(leaf) for path, leaf in flatten(observation).items()}})


def shrunk(leaf):
    """Shape and a stored random projection of a large tensor; anything else as it is."""
    if type(leaf) is not torch.Tensor or leaf.numel() <= PROJECT_ABOVE or not leaf.is_floating_point():
        return leaf
    values = leaf.detach().to("cpu", torch.float64).numpy()
    return {"shape": str(tuple(leaf.shape)), "projection": torch.from_numpy(random_projection(values)).to(leaf.dtype)}


def describe(error: BaseException, folder: str, violation: str | None) -> dict:
    """Type, message and the student's own frames of an exception; no frame of the grader or of a check leaves."""
    frames = [
        f"{Path(f.filename).name}:{f.lineno} in {f.name}: {(f.line or '').strip()[:160]}"
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(folder)
    ]
    kind = type(error).__name__
    if violation:
        kind = "ForbiddenCall"
    elif isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        kind = "MemoryError"
    elif isinstance(error, SyntaxError) and (error.filename or "").startswith(folder):
        frames.append(f"{Path(error.filename).name}:{error.lineno}: {(error.text or '').strip()[:160]}")
    return {
        "type": kind,
        "message": (violation or _text(error))[:2000],
        "frames": frames[-6:],
        "module": getattr(error, "name", None) if isinstance(error, ImportError) else None,
    }


def _text(error: BaseException) -> str:
    try:
        return error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # a student's exception class may refuse to be printed
        return "(this exception cannot be printed)"


def run_and_exit(request_fd: int, result_fd: int) -> None:
    """What the server calls in the child: the process ends here, whatever atexit hooks student code has left."""
    try:
        main(request_fd, result_fd)
    except BaseException:
        os.write(2, traceback.format_exc(limit=3)[-2000:].encode(errors="replace"))
    finally:
        os._exit(0)
