"""One grade from a folder to a report: scratch space, working copy, workers, report; nothing of it is left behind.

The same few lines serve the command line, Gradescope and a whole class, so a submission gets the same grade everywhere.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from autograder.assignment import Assignment
from autograder.checks import Check
from autograder.report import Report, Row
from autograder.workers import Server


def grade_folder(
    source: Path,
    assignment: Assignment,
    checks: list[Check],
    server: Server,
    *,
    device: str = "cpu",
    jobs: int | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> Report:
    """Grade the deliverables of a folder. `server` may serve many grades, one after another or side by side.

    jobs: workers side by side, by default one per core. BadInput if `source` is no folder.
    """
    from autograder.grading import grade
    from autograder.running import Run
    from autograder.submission import working_copy

    with tempfile.TemporaryDirectory(prefix="grade-") as folder:
        scratch = Path(folder)
        (scratch / "cwd").mkdir()
        tree = working_copy(source, assignment, scratch / "tree")
        run = Run(server, assignment, scratch / "cwd", given=tree, device=device)
        return grade(run, tree, checks, scratch, jobs, progress)
