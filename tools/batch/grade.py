"""One submission of a class: its grade, and the digests that say whether a stored grade still holds.

A class on one machine (`batch.py`) and a class on a cluster (`scheduler.py`) both use this module, so a submission gets
the same grade in both.
"""

import hashlib
import time
from pathlib import Path
from typing import Any, NamedTuple

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.inputs import PUBLIC, Inputs
from autograder.errors import BadInput, CourseError
from autograder.gradescope.policy import Settings
from autograder.judge.judge import Drive
from autograder.report.as_json import as_json
from autograder.report.report import Report, empty_rows, environment
from autograder.report.status import Status
from autograder.sandbox.server_handle import Server
from autograder.session import GradeOptions, grade_submission
from autograder.submission.archive import MAX_ARCHIVE
from autograder.submission.deliverables import find_deliverables, read_regular_files
from autograder.submission.opening import archive_of
from autograder.text import sanitize
from tools.batch.timing_lock import TimingLock
from tools.grader_files import files_below, grader_files

WORKERS = 2  # of one submission: one runs while the other's result is judged


class Graded(NamedTuple):
    """The grade of one submission.

    report: the JSON report, with a row for each check.
    seconds: wall time that it took.
    refused: a sentence that says why it was not graded; empty if it was.
    """

    report: dict[str, Any]
    seconds: float
    refused: str


def grade_one(
    path: Path, assignment: Assignment, checks: list[Check], server: Server, inputs: Inputs = PUBLIC, others: int = 0
) -> Graded:
    """Grade one submission, a folder or an archive. The report has every check, whatever the submission holds.

    inputs: which inputs the checks draw.
    others: how many submissions are graded beside this one. Each of them may keep it waiting with its timed checks, and
    that time is added to its deadline.
    CourseError: no submission can be graded, for example because the server does not run.
    """
    started = time.monotonic()
    refused = ""
    try:
        seconds = _seconds_allowed(assignment, checks, others)
        options = GradeOptions(inputs=inputs)
        report = grade_submission(
            path, assignment, checks, server, options, jobs=WORKERS, seconds=seconds, timing_lock=TimingLock()
        )
    except BadInput as error:
        report, refused = _empty_report(assignment, checks, f"not graded: {error}"), str(error)
    except CourseError:
        raise
    except Exception as error:  # a fault of the grader: others are graded all the same, and the next run tries this one again
        report, refused = faulty(assignment, checks, error, granted=not isinstance(error, OSError | MemoryError))
    return Graded(as_json(report), time.monotonic() - started, sanitize(refused, kept=""))


def _seconds_allowed(assignment: Assignment, checks: list[Check], others: int) -> float:
    """The deadline of one submission, with the time for which it may have to wait while others time something."""
    timed = (check for check in checks if check.judge and check.judge.drive != Drive.OBSERVE)
    seconds = sum(check.limits.get("seconds", assignment.seconds) for check in timed)
    return Settings.of(assignment).deadline + 2 * others * seconds  # twice, because a check may run again with given parts


def faulty(assignment: Assignment, checks: list[Check], error: BaseException, granted: bool) -> tuple[Report, str]:
    """A report in which every check met a fault of the grader, and the sentence that names the fault.

    granted: whether the points are given. They are not if a submission could bring the fault about.
    """
    sentence = f"fault of the grader, {type(error).__name__}: {error}"
    report = _empty_report(assignment, checks, sentence)
    for row in report.rows:
        row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points if granted else 0.0, sanitize(sentence)
    return report, sentence


def _empty_report(assignment: Assignment, checks: list[Check], note: str) -> Report:
    """The report on a submission of which no check ran."""
    return Report(assignment, empty_rows(assignment, checks), 0, notes=(sanitize(note),), environment=environment(), empty=True)


def grader_digest(assignment: Assignment, checks: list[Check], inputs: Inputs = PUBLIC) -> str:
    """A digest of what a grade depends on besides the submission: grader, checks, inputs, golden values and given parts.

    OSError: one of these files cannot be read.
    """
    digest = hashlib.sha256(" ".join([inputs.name, *(check.id for check in checks)]).encode())
    check_files = {check.path for check in checks}
    for path in sorted(check_files):
        digest.update(path.read_bytes())
    folders = {inputs.golden_of(check).parent for check in checks}
    folders.add(assignment.folder.parent / "given" / assignment.package)
    files = {path for folder in folders for path in files_below(folder)} | {assignment.folder / "assignment.toml"}
    for path in [*sorted(files), *grader_files()]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def submission_digest(path: Path, assignment: Assignment) -> str:
    """A digest of what was handed in: the archive, or the deliverables wherever they lie in the folder.

    Of a file that is not read, it depends on the reason.
    """
    digest = hashlib.sha256()
    if archive := archive_of(path, assignment.deliverables):
        files = read_regular_files(archive.parent, [archive.name], MAX_ARCHIVE)
    else:
        files = read_regular_files(find_deliverables(path, assignment.deliverables), assignment.deliverables)
    for name, data in files:
        digest.update(name.encode() + hashlib.sha256(data if isinstance(data, bytes) else str(data).encode()).digest())
    return digest.hexdigest()[:24]
