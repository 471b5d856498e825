"""One grade, from a folder to a report: scratch space, working copy, workers, report. Nothing of it is left behind.

The same few lines serve the command line, Gradescope and a whole class, so a submission gets the same grade everywhere.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.errors import BadInput
from autograder.report.report import Report, Row
from autograder.sandbox.device import has_device
from autograder.sandbox.jail import detect_isolation, reserve_user
from autograder.sandbox.server_handle import Server

DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class GradeOptions:
    """What a command may ask of a grade.

    only: grade the checks that this expression selects, as pytest's -k.
    device: where checks compute that ask for no device themselves.
    long: grade also the checks that run on request.
    force_hidden: run hidden checks also where the code beside them can read them.
    BadInput: the device is none, or there is none of that kind here.
    """

    only: str | None = None
    device: str = "cpu"
    long: bool = False
    force_hidden: bool = False

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise BadInput(f"--device is cpu, cuda or mps; got {self.device!r}")
        if self.device != "cpu" and not has_device(self.device):
            raise BadInput(f"--device {self.device}: there is no such device here; leave the option out to grade on the CPU")


DEFAULTS = GradeOptions()


def grade_folder(
    source: Path,
    assignment: Assignment,
    checks: list[Check],
    server: Server,
    options: GradeOptions = DEFAULTS,
    *,
    jobs: int | None = None,
    seconds: float = math.inf,
    timing_lock: AbstractContextManager | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> Report:
    """Grade the deliverables of a folder.

    server: may serve many grades, one after another or side by side.
    jobs: workers side by side, by default one per core.
    seconds: after which what is left is not reached.
    timing_lock: held while a timed check runs.
    progress: called with each row as it is done.
    BadInput: `source` is no folder.
    """
    from autograder.grading import grade
    from autograder.precompile import WORTH_IT, precompile
    from autograder.running import Runner
    from autograder.submission.working_copy import working_copy

    with scratch_space() as scratch, reserve_user() as jail:
        tree = working_copy(source, assignment, scratch / "tree")
        runner = Runner(
            server,
            assignment,
            scratch / "cwd",
            tree.baseline(scratch / "baseline"),
            jail,
            device=options.device,
            deadline=time.monotonic() + seconds,
            timing_lock=timing_lock or nullcontext(),
        )
        if len(checks) >= WORTH_IT:
            precompile(runner, tree)
        return grade(runner, tree, checks, scratch, jobs, progress)


@contextmanager
def scratch_space() -> Iterator[Path]:
    """A folder that others may pass through but not list, with an empty one, `cwd`, for what workers write."""
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        scratch.chmod(0o711)
        (scratch / "cwd").mkdir(mode=0o711)
        yield scratch


def checks_of(assignment: Assignment, options: GradeOptions = DEFAULTS) -> list[Check]:
    """The checks to run here. Hidden ones run only where the code beside them cannot read them.

    BadInput: no check fits, or something that a check needs, such as a text, is not there.
    """
    from autograder.check.collecting import collect

    hides = options.force_hidden or detect_isolation().can_hide(assignment.hidden)
    checks = collect(assignment, options.only, assignment.hidden.exists() and hides, options.long)
    for check in checks:
        if check.on_request:
            check.judge.expected(check.seed)  # what is missing is said now, and not after minutes
    return checks
