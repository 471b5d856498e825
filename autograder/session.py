"""One grade from a folder to a report: scratch space, working copy, workers, report; nothing of it is left behind.

The same few lines serve the command line, Gradescope and a whole class, so a submission gets the same grade everywhere.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.report.report import Report, Row
from autograder.sandbox.jail import detect_isolation, reserve_user
from autograder.sandbox.server_handle import Server


def grade_folder(
    source: Path,
    assignment: Assignment,
    checks: list[Check],
    server: Server,
    *,
    device: str = "cpu",
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
            device=device,
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


def checks_of(assignment: Assignment, only: str | None = None, force_hidden: bool = False, long: bool = False) -> list[Check]:
    """The checks to run here: hidden ones, where there are any, only if the code beside them cannot read them.

    long: also those that run on request. BadInput if something that they need, such as a text, is not there.
    """
    from autograder.check.collecting import collect

    hidden = assignment.hidden.exists() and (force_hidden or detect_isolation().can_hide(assignment.hidden))
    checks = collect(assignment, only, hidden, long)
    for check in checks:
        if check.on_request:
            check.judge.expected(check.seed)  # what is missing is said now, and not after minutes
    return checks
