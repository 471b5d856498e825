"""What `run_autograder` calls for each submission: grade it before Gradescope's deadline, and write results.json.

Valid results lie on disk at every moment. Before this runs, the script has put there those of a fault of the grader; from
the first check on they are the report so far, in which what was not reached is said to be so. If this process hangs, the
script kills it and the report so far stays; so whatever happens, the ids in it are those of the manifest.
"""

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.errors import BadInput
from autograder.gradescope import metadata
from autograder.gradescope import results as gradescope
from autograder.gradescope.policy import CONTAINERS, Settings
from autograder.report.as_json import as_json
from autograder.report.report import Report, Row, empty_rows, environment
from autograder.report.status import Status
from autograder.report.view import not_reached
from autograder.sandbox.jail import detect_isolation
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, grade_folder
from autograder.submission.opening import Opened, open_submission

EVERY = 2.0  # seconds between two reports so far


class PartialReport:
    """The report of a run that is under way: a row for each check, filled in as the checks are done."""

    def __init__(self, assignment: Assignment, checks: list[Check], save):
        self._assignment, self._save, self._lock, self._saved = assignment, save, threading.Lock(), 0.0
        self._started = time.monotonic()
        self.rows = {row.id: row for row in empty_rows(assignment, checks)}

    def report(self) -> dict:
        report = Report(self._assignment, list(self.rows.values()), detect_isolation().level, environment=environment())
        report.seconds = time.monotonic() - self._started
        return as_json(report)

    def add(self, row: Row) -> None:
        """Called by the threads that wait for workers."""
        with self._lock:
            self.rows[row.id] = row
            if time.monotonic() - self._saved >= EVERY:
                with contextlib.suppress(OSError):  # a full disk, say; the report before this one is still there
                    self._save(self.report())
                self._saved = time.monotonic()

    def grant(self, why: str) -> None:
        """A fault of ours: what was not reached costs nothing."""
        for row in self.rows.values():
            if not_reached(row.status, row.reason):
                row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points, why


def main(name: str, root: Path) -> int:
    """Grade root/submission as assignment `name`; results go to root/results/results.json. 0 if they are final."""
    signal.signal(signal.SIGALRM, _ring)
    assignment = Course.here().load(name)
    settings = Settings.of(assignment)
    signal.setitimer(signal.ITIMER_REAL, settings.deadline)
    told = metadata.read(root / "submission_metadata.json")
    write = lambda value: gradescope.write(root / "results" / "results.json", value)
    late = f"The run was ended after {settings.deadline / 60:.1f} minutes, shortly before Gradescope would have done so."
    with Server(assignment.preload) as server:
        checks = checks_of(assignment)
        cut = "The run was killed from outside before its end."
        partial = PartialReport(assignment, checks, lambda report: write(gradescope.graded(report, settings, told, cut)))
        if free := settings.rate.next_free(told):
            write(gradescope.not_graded(partial.report(), settings, told, free))
            print("over the rate limit: not graded, the previous score is kept")
            return 0
        write(gradescope.graded(partial.report(), settings, told, cut))
        try:
            report, cut = _grade(root / "submission", assignment, checks, server, settings, partial)
            cut = late if cut else ""
        except KeyboardInterrupt:  # the deadline, outside of what grade() guards
            report, cut = partial.report(), late
        except (OSError, MemoryError) as error:  # a submission can use up a machine, so nothing is granted for that
            report, cut = partial.report(), f"The grader ran out of something ({error or 'memory'}); ask for a regrade."
        except Exception as error:  # ours: whatever a submission holds must not bring us here
            partial.grant(f"{type(error).__name__}: {error}")
            report, cut = partial.report(), ""
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    write(gradescope.graded(report, settings, told, cut))
    _tell_staff(report, settings, told, cut)
    return 0


def _grade(folder: Path, assignment, checks, server, settings, partial) -> tuple[dict, bool]:
    """The report on the submission, and whether the deadline cut it short."""
    with _opened(folder, assignment) as opened:
        jobs = CONTAINERS[settings.container]
        report = grade_folder(opened.folder, assignment, checks, server, jobs=jobs, progress=partial.add)
    value = as_json(report)
    value["notes"] = [*opened.notes, *value["notes"]]
    return value, report.interrupted


@contextlib.contextmanager
def _opened(folder: Path, assignment: Assignment) -> Iterator[Opened]:
    """What was uploaded; an empty folder and a note in the place of an archive that is refused."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(open_submission(folder, assignment.deliverables))
        except BadInput as error:
            nothing = stack.enter_context(tempfile.TemporaryDirectory(prefix="nothing-"))
            opened = Opened(Path(nothing), (f"the archive was refused: {error}",))
        yield opened


def _tell_staff(report: dict, settings: Settings, told: metadata.Metadata, cut: str) -> None:
    """Standard output, which Gradescope shows to instructors alone."""
    print(f"score {report['score']:g} of {report['max_score']:g}, {report['seconds']:.1f} s, {len(report['checks'])} checks")
    print(f"isolation level {report['isolation_level']}; {', '.join(f'{k} {v}' for k, v in report['environment'].items())}")
    for check in report["checks"]:
        if Status(check["status"]).granted:
            print(f"FAULT OF THE GRADER in {check['id']}: {gradescope.text(check['message'], 500)}")
    for problem in told.problems:
        print(f"metadata: {problem}")
    if told.total_points is not None and told.total_points != report["max_score"]:
        print(f"Gradescope's assignment has {told.total_points:g} points, ours {report['max_score']:g}; set it to ours")
    if told.late_by:
        print(f"late by {told.late_by}, {settings.late.percent(told.late_by):g} % lost")
    if cut:
        print(cut)


def _ring(*_) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
