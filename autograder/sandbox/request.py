"""What the parent asks of a worker. A request travels as JSON in one frame."""

from enum import StrEnum
from typing import TypedDict


class Job(StrEnum):
    """What a worker does."""

    OBSERVE = "observe"  # run a check in one go
    STEP = "step"  # run a check step by step, each step at a sign of the parent
    TRAIN = "train"  # run a check on the training text, which is a frame after the request
    PREDICT = "predict"  # run on what was trained; prefixes and trained state are two frames after the request
    COMPILE = "compile"  # compile the modules of the package and run nothing of them


class Confinement(TypedDict):
    """How a worker is shut in; see `limits.confine`.

    level: of isolation, 0 to 3; see `jail.py`.
    uid: the user that the worker becomes. None for the grader's own.
    memory_mb: memory beyond what the server has mapped. 0 for no limit.
    readable: folders that may be read.
    processes: how many processes the submission may start.
    """

    level: int
    uid: int | None
    memory_mb: int
    readable: list[str]
    processes: int


class Request(TypedDict):
    """What every job needs.

    folder: where the modules of the submission lie.
    scratch: an empty folder, the only one that the worker may write to.
    seconds: the wall-clock deadline. The parent watches it.
    """

    job: Job
    folder: str
    scratch: str
    seconds: float
    jail: Confinement


class CheckRequest(Request):
    """What running a check needs besides.

    code: the compiled check file, in base64.
    path: of the check file.
    name: of the function in it.
    probe: whether that function takes `draw` alone.
    tree: a folder to import from.
    given_package: "given.a01_transformer", for the assignment that is graded.
    given: sources of modules of that package, by their full names. The worker can import these and no others.
    solution: the package under test.
    seed: of the draw.
    exact: float64 instead of float32.
    measures_memory: whether the parent reads the peak memory of each step.
    forbidden: names of functions that the student's files may not call.
    """

    code: str
    path: str
    name: str
    probe: bool
    tree: str
    given_package: str
    given: dict[str, str]
    solution: str
    seed: int
    exact: bool
    device: str
    measures_memory: bool
    forbidden: list[str]
