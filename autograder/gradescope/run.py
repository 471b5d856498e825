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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata, read_metadata
from autograder.gradescope.policy import CONTAINERS, Settings
from autograder.gradescope.results import graded, not_graded, text, write_results
from autograder.report.as_json import as_json
from autograder.report.report import Report, Row, empty_rows, environment
from autograder.report.status import Status
from autograder.report.view import not_reached
from autograder.sandbox.jail import detect_isolation
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, grade_folder
from autograder.submission.opening import Opened, open_submission

EVERY = 2.0  # seconds between two reports so far
KILLED = "The run was killed from outside before its end."  # what the report so far says, in case nobody can say it later


class PartialReport:
    """The report of a run that is under way: a row for each check, filled in as the checks are done.

    save: is called every few seconds with the JSON report so far.
    """

    def __init__(self, assignment: Assignment, checks: list[Check], save: Callable[[dict[str, Any]], None]):
        self._assignment, self._save, self._lock = assignment, save, threading.Lock()
        self._started, self._saved = time.monotonic(), 0.0
        self.rows = {row.id: row for row in empty_rows(assignment, checks)}

    def as_json(self) -> dict[str, Any]:
        """The JSON report as it is now."""
        report = Report(self._assignment, list(self.rows.values()), detect_isolation().level, environment=environment())
        report.seconds = time.monotonic() - self._started
        return as_json(report)

    def add(self, row: Row) -> None:
        """Take a row that is done. The threads that wait for workers call it."""
        with self._lock:
            self.rows[row.id] = row
            if time.monotonic() - self._saved >= EVERY:
                with contextlib.suppress(OSError):  # a full disk, say; the report before this one is still there
                    self._save(self.as_json())
                self._saved = time.monotonic()

    def grant(self, why: str) -> None:
        """Give the points of every check that was not reached, because of a fault of ours."""
        for row in self.rows.values():
            if not_reached(row.status, row.reason):
                row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points, why


def main(name: str, root: Path) -> int:
    """Grade root/submission as assignment `name`, and write root/results/results.json. Returns 0 if the results are final."""
    signal.signal(signal.SIGALRM, _ring)
    assignment = Course.here().load(name)
    settings = Settings.of(assignment)
    signal.setitimer(signal.ITIMER_REAL, settings.deadline)
    metadata = read_metadata(root / "submission_metadata.json")

    def write(report: dict[str, Any], unfinished: str) -> None:
        write_results(root / "results" / "results.json", graded(report, settings, metadata, unfinished))

    with Server(assignment.preload) as server:
        checks = checks_of(assignment)
        partial = PartialReport(assignment, checks, lambda report: write(report, KILLED))
        if free := settings.rate.next_free(metadata):
            write_results(root / "results" / "results.json", not_graded(partial.as_json(), settings, metadata, free))
            print("over the rate limit: not graded, the previous score is kept")
            return 0
        write(partial.as_json(), KILLED)
        report, unfinished = _grade_whatever_happens(root / "submission", assignment, checks, server, settings, partial)
    write(report, unfinished)
    _tell_staff(report, settings, metadata, unfinished)
    return 0


def _grade_whatever_happens(
    folder: Path, assignment: Assignment, checks: list[Check], server: Server, settings: Settings, partial: PartialReport
) -> tuple[dict[str, Any], str]:
    """The report on the submission, and why it is unfinished, if it is."""
    deadline = f"The run was ended after {settings.deadline / 60:.1f} minutes, shortly before Gradescope would have done so."
    try:
        with _opened(folder, assignment) as opened:
            jobs = CONTAINERS[settings.container]
            report = grade_folder(opened.folder, assignment, checks, server, jobs=jobs, progress=partial.add)
        value = as_json(report)
        value["notes"] = [*opened.notes, *value["notes"]]
        return value, deadline if report.interrupted else ""
    except KeyboardInterrupt:  # the deadline, outside of what grade() guards
        return partial.as_json(), deadline
    except (OSError, MemoryError) as error:  # a submission can use up a machine, so nothing is granted for that
        return partial.as_json(), f"The grader ran out of something ({error or 'memory'}); ask for a regrade."
    except Exception as error:  # ours: whatever a submission holds must not bring us here
        partial.grant(f"{type(error).__name__}: {error}")
        return partial.as_json(), ""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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


def _tell_staff(report: dict[str, Any], settings: Settings, metadata: Metadata, unfinished: str) -> None:
    """Standard output, which Gradescope shows to instructors alone."""
    print(f"score {report['score']:g} of {report['max_score']:g}, {report['seconds']:.1f} s, {len(report['checks'])} checks")
    print(f"isolation level {report['isolation_level']}; {', '.join(f'{k} {v}' for k, v in report['environment'].items())}")
    for check in report["checks"]:
        if Status.of(check["status"]).granted:
            print(f"FAULT OF THE GRADER in {check['id']}: {text(check['message'], 500)}")
    for problem in metadata.problems:
        print(f"metadata: {problem}")
    if metadata.total_points is not None and metadata.total_points != report["max_score"]:
        print(f"Gradescope's assignment has {metadata.total_points:g} points, ours {report['max_score']:g}; set it to ours")
    if metadata.late_by:
        print(f"late by {metadata.late_by}, {settings.late.percent(metadata.late_by):g} % lost")
    if unfinished:
        print(unfinished)


def _ring(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
