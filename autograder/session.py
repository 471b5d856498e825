"""One grade, from what was handed in to a report. Every entry point calls this, so a grade is the same everywhere.

A grade works in scratch space of its own, and nothing of it is left behind. Late imports let a command start the server
before it reads the rest of the grader.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.errors import BadInput

if TYPE_CHECKING:
    from autograder.assignment import Assignment
    from autograder.check.check import Check
    from autograder.check.inputs import Inputs
    from autograder.report.report import Report, Row
    from autograder.running import Runner
    from autograder.sandbox.server_handle import Server
    from autograder.source.copies import Copy
    from autograder.submission.working_copy import Tree

DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class GradeOptions:
    """What a command may ask of a grade.

    only: grade the checks that this expression selects, as pytest's -k.
    device: where checks compute that ask for no device themselves.
    long: grade also the checks that run on request.
    force_hidden: run hidden checks also where the code beside them can read them.
    try_all: try also the checks of a part in which another one has run into its time limit.
    inputs: which inputs checks draw. None for the public ones.
    BadInput: there is no such kind of device, or this machine has none of that kind.
    """

    only: str | None = None
    device: str = "cpu"
    long: bool = False
    force_hidden: bool = False
    try_all: bool = False
    inputs: Inputs | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise BadInput(f"--device is cpu, cuda or mps; got {self.device!r}")
        from autograder.sandbox.device import has_device

        if self.device != "cpu" and not has_device(self.device):
            raise BadInput(f"--device {self.device}: there is no such device here; leave the option out to grade on the CPU")


DEFAULTS = GradeOptions()


@dataclass(frozen=True)
class Workplace:
    """What checks of one submission are run with.

    runner: runs a check on a tree.
    tree: the working copy of the submission.
    scratch: a folder for other trees.
    """

    runner: Runner
    tree: Tree
    scratch: Path


def checks_of(assignment: Assignment, options: GradeOptions = DEFAULTS) -> list[Check]:
    """The checks to run here. Hidden ones run only where the code beside them cannot read them.

    BadInput: no check fits, or something that a check needs, such as a text, is not there.
    """
    from autograder.check.collecting import collect
    from autograder.sandbox.jail import detect_isolation

    hides = options.force_hidden or detect_isolation().can_hide(assignment.hidden)
    checks = collect(assignment, options.only, assignment.hidden.exists() and hides, options.long)
    for check in checks:
        if check.on_request:
            check.judge.expected(check.seed)  # what is missing is said now, and not after minutes
    return checks


def grade_submission(
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
    cancelled: threading.Event | None = None,
) -> Report:
    """Grade what was handed in: a folder of deliverables, an archive of them, or a folder with such an archive in it.

    server: may serve many grades, one after another or side by side.
    jobs: workers side by side, by default one for each core.
    seconds: the time for the whole grade. Checks that have not had their turn by then are not reached.
    timing_lock: held while a timed check runs.
    progress: called with each row as it is done.
    cancelled: ends the grade when another thread sets it. The report is a partial one then.
    BadInput: there is no such folder, or the archive is refused.
    """
    from autograder.grading import grade
    from autograder.precompile import WORTH_IT, precompile
    from autograder.submission.opening import open_submission

    deadline = time.monotonic() + seconds
    with (
        open_submission(source, assignment.deliverables) as opened,
        workplace(
            opened.folder,
            assignment,
            server,
            options.device,
            inputs=options.inputs,
            deadline=deadline,
            timing_lock=timing_lock,
            cancelled=cancelled,
        ) as place,
    ):
        if len(checks) >= WORTH_IT:
            precompile(place.runner, place.tree)
        report = grade(place.runner, place.tree, checks, place.scratch, jobs, progress, options.try_all)
    report.notes = (*opened.notes, *report.notes)
    return report


def copies_in(source: Path, assignment: Assignment) -> list[Copy]:
    """The functions of a submission that are those of `given`, for staff to look at. None of an archive that is refused.

    source: as in `grade_submission`.
    """
    from autograder.source.copies import find_copies, known_functions
    from autograder.submission.deliverables import find_deliverables, read_regular_files
    from autograder.submission.opening import open_submission

    modules = [name for name in assignment.deliverables if name.endswith(".py")]
    try:
        with open_submission(source, assignment.deliverables) as opened:
            files = read_regular_files(find_deliverables(opened.folder, assignment.deliverables), modules)
            sources = {name: data.decode("utf-8", "replace") for name, data in files if isinstance(data, bytes)}
    except BadInput:  # the grade says so
        return []
    return find_copies(sources, known_functions(assignment.course.reference))


@contextmanager
def workplace(
    source: Path,
    assignment: Assignment,
    server: Server,
    device: str = "cpu",
    *,
    inputs: Inputs | None = None,
    deadline: float = math.inf,
    timing_lock: AbstractContextManager | None = None,
    cancelled: threading.Event | None = None,
) -> Iterator[Workplace]:
    """A working copy of a folder of deliverables, and a runner for it. Both are gone when the context ends.

    device, deadline, timing_lock, cancelled: as in `Runner`.
    inputs: which inputs checks draw, by default the public ones.
    BadInput: `source` is no folder.
    """
    from autograder.check.inputs import PUBLIC
    from autograder.running import Runner
    from autograder.sandbox.jail import reserve_user
    from autograder.source.given_parts import GivenParts
    from autograder.submission.working_copy import working_copy

    with scratch_space() as scratch, reserve_user() as jail:
        tree = working_copy(source, assignment, scratch / "tree")
        baseline = tree.baseline(scratch / "baseline")
        lock = timing_lock or nullcontext()
        runner = Runner(
            server,
            assignment,
            scratch / "cwd",
            baseline,
            GivenParts.of(assignment.course, assignment.package),
            jail,
            device=device,
            inputs=inputs or PUBLIC,
            deadline=deadline,
            timing_lock=lock,
            cancelled=cancelled or threading.Event(),
        )
        yield Workplace(runner, tree, scratch)


@contextmanager
def scratch_space() -> Iterator[Path]:
    """A folder that others may pass through but not list, with an empty one, `cwd`, for what workers write."""
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        scratch.chmod(0o711)
        (scratch / "cwd").mkdir(mode=0o711)
        yield scratch
