"""What `run_autograder` calls for each submission: grade it before Gradescope's deadline, and write results.json.

Valid results lie on disk at every moment, and their ids are those of the manifest whatever happens. Before this program
runs, the script has put the results of a fault of the grader there. From the first check on they are the report so far,
which says of each check that was not reached that it was not. If this program hangs, the script kills it, and the report
so far stays.
"""

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.check.inputs import PUBLIC, official
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata, read_metadata
from autograder.gradescope.policy import CONTAINERS, Settings
from autograder.gradescope.results import make_refused_results, make_results, plain_text, write_results
from autograder.report.as_json import as_json
from autograder.report.report import Report, Row, empty_rows, environment
from autograder.report.status import Status
from autograder.report.view import not_reached
from autograder.sandbox.jail import detect_isolation
from autograder.sandbox.server_handle import Server
from autograder.session import DEFAULTS, GradeOptions, checks_of, copies_in, grade_submission

SAVE_EVERY = 2.0  # seconds between two reports so far
KILLED = "The run was killed from outside before its end."  # stands in each report so far, because nobody can add it later


@dataclass(frozen=True)
class ResultsFile:
    """results.json of one submission. It is written again and again while the run goes on."""

    path: Path
    settings: Settings
    metadata: Metadata

    def write(self, report: dict[str, Any], unfinished: str = "") -> None:
        """Write a JSON report. unfinished: a sentence that says why checks were not reached; empty if all were."""
        write_results(self.path, make_results(report, self.settings, self.metadata, unfinished))

    def write_refusal(self, report: dict[str, Any], next_free: datetime) -> None:
        """Write that the submission is over the rate limit. next_free: when the next one is graded."""
        write_results(self.path, make_refused_results(report, self.settings, self.metadata, next_free))


class PartialReport:
    """The report of a run that is under way: a row for each check, filled in as the checks are done.

    save: is called every few seconds with the JSON report so far.
    options: what the grade is asked for.
    """

    def __init__(
        self,
        assignment: Assignment,
        checks: list[Check],
        save: Callable[[dict[str, Any]], None],
        options: GradeOptions = DEFAULTS,
    ):
        self._assignment, self._save, self._lock, self.options = assignment, save, threading.Lock(), options
        self._started, self._saved = time.monotonic(), 0.0
        self.rows = {row.id: row for row in empty_rows(assignment, checks)}

    def as_json(self) -> dict[str, Any]:
        """The JSON report as it is now."""
        report = Report(self._assignment, list(self.rows.values()), detect_isolation().level)
        report.environment = environment(self.options.inputs or PUBLIC)
        report.seconds = time.monotonic() - self._started
        return as_json(report)

    def add(self, row: Row) -> None:
        """Take a row that is done. The threads that wait for workers call this."""
        with self._lock:
            self.rows[row.id] = row
            if time.monotonic() - self._saved >= SAVE_EVERY:
                with contextlib.suppress(OSError):  # for example a full disk; the report before this one is still there
                    self._save(self.as_json())
                self._saved = time.monotonic()

    def grant(self, why: str) -> None:
        """Give the points of every check that was not reached, because of a fault of the grader. why: its message."""
        for row in self.rows.values():
            if not_reached(row.status, row.reason):
                row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points, why


def main(name: str, root: Path) -> int:
    """Grade root/submission as assignment `name`, and write root/results/results.json. Returns the exit status, 0.

    CourseError: the grader does not start. The results that the script has put there stay.
    """
    signal.signal(signal.SIGALRM, _end_the_run)
    assignment = Course.here().load(name)
    settings = Settings.of(assignment)
    signal.setitimer(signal.ITIMER_REAL, settings.deadline)
    metadata = read_metadata(root / "submission_metadata.json")
    results = ResultsFile(root / "results" / "results.json", settings, metadata)
    with Server(assignment.preload) as server:
        options = GradeOptions(inputs=official(assignment))
        checks = checks_of(assignment, options)
        partial = PartialReport(assignment, checks, lambda report: results.write(report, KILLED), options)
        if next_free := settings.rate.next_free(metadata):
            results.write_refusal(partial.as_json(), next_free)
            print("over the rate limit: not graded, the previous score is kept")
            return 0
        results.write(partial.as_json(), KILLED)
        grade = lambda: grade_upload(root / "submission", assignment, checks, server, CONTAINERS[settings.container], partial)
        report, unfinished = _whatever_happens(grade, partial, settings)
    results.write(report, unfinished)
    _tell_staff(report, settings, metadata, unfinished)
    for copy in copies_in(root / "submission", assignment):
        print(f"COPY, for a person to look at: {copy}")
    return 0


def grade_upload(
    folder: Path, assignment: Assignment, checks: list[Check], server: Server, jobs: int, partial: PartialReport
) -> Report:
    """The report on what was uploaded. An archive that is refused counts as an empty folder, and a note says why.

    jobs: workers side by side.
    partial: takes each row as it is done.
    """
    try:
        return grade_submission(folder, assignment, checks, server, partial.options, jobs=jobs, progress=partial.add)
    except BadInput as error:
        with tempfile.TemporaryDirectory(prefix="nothing-") as nothing:
            report = grade_submission(Path(nothing), assignment, checks, server, partial.options, jobs=jobs, progress=partial.add)
        report.notes = (f"the archive was refused: {error}", *report.notes)
        return report


def _whatever_happens(grade: Callable[[], Report], partial: PartialReport, settings: Settings) -> tuple[dict[str, Any], str]:
    """The JSON report that `grade` comes to, and a sentence that says why it is unfinished; empty if it is not.

    If the grade does not come to its end, the report is the partial one.
    """
    deadline_note = f"The run was ended after {settings.deadline / 60:.1f} minutes, shortly before Gradescope would have done so."
    try:
        report = grade()
        return as_json(report), deadline_note if report.interrupted else ""
    except KeyboardInterrupt:  # the deadline came where grading is not ready for it
        return partial.as_json(), deadline_note
    except (OSError, MemoryError) as error:  # a submission can use up a machine, so nothing is granted for that
        return partial.as_json(), f"The grader ran out of something ({error or 'memory'}); ask for a regrade."
    except Exception as error:  # ours: whatever a submission holds must not bring us here
        partial.grant(f"{type(error).__name__}: {error}")
        return partial.as_json(), ""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _tell_staff(report: dict[str, Any], settings: Settings, metadata: Metadata, unfinished: str) -> None:
    """Print what instructors may want to know. Gradescope shows standard output to them alone."""
    print(f"score {report['score']:g} of {report['max_score']:g}, {report['seconds']:.1f} s, {len(report['checks'])} checks")
    print(f"isolation level {report['isolation_level']}; {', '.join(f'{k} {v}' for k, v in report['environment'].items())}")
    for check in report["checks"]:
        if Status.of(check["status"]).granted:
            print(f"FAULT OF THE GRADER in {check['id']}: {plain_text(check['message'], 500)}")
    for problem in metadata.problems:
        print(f"metadata: {problem}")
    if metadata.total_points is not None and metadata.total_points != report["max_score"]:
        print(f"Gradescope's assignment has {metadata.total_points:g} points, ours {report['max_score']:g}; set it to ours")
    if metadata.late_by:
        print(f"late by {metadata.late_by}, {settings.late.percent(metadata.late_by):g} % lost")
    if unfinished:
        print(unfinished)


def _end_the_run(*_: object) -> None:
    """End the run as Ctrl-C does: what is done so far becomes the report."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
