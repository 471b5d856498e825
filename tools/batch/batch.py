"""Grade a class: one warm server, several submissions side by side, and every result on disk as soon as it is there.

`stored.py` says which results a later run uses again. Timed checks of different submissions never run at the same time.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.inputs import PUBLIC, Inputs
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, copies_in
from tools.batch.export import HandedIn, opened
from tools.batch.grade import Graded, grade_one, grader_digest, submission_digest
from tools.batch.gradebook import Entry, Gradebook
from tools.batch.stored import ResultFolder, changes, load_entries

Progress = Callable[[int, int], None]  # called with the number of submissions that are graded, and of all


@dataclass(frozen=True)
class Batch:
    """How a class is graded.

    checks: those that run.
    inputs: which inputs they draw.
    jobs: submissions side by side on this machine.
    scheduler: the address of a dask scheduler; empty for this machine alone.
    grader: the digest of grader and checks, see `grader_digest`.
    """

    assignment: Assignment
    checks: list[Check]
    inputs: Inputs
    jobs: int
    scheduler: str
    grader: str

    def digest(self, submission: HandedIn) -> str:
        """What the grade of a submission depends on."""
        return f"{self.grader}:{submission_digest(submission.path, self.assignment)}"

    def grade(self, submissions: list[HandedIn]) -> Iterator[tuple[HandedIn, Graded]]:
        """Grade these submissions. Each comes out once, as soon as it is graded.

        CourseError: no submission can be graded, for example because nobody answers at the scheduler's address.
        """
        if not submissions:
            return
        if self.scheduler:
            from tools.batch.scheduler import graded

            yield from graded(submissions, self.assignment, self.scheduler, self.grader)
        else:
            yield from self._grade_here(submissions)

    def _grade_here(self, submissions: list[HandedIn]) -> Iterator[tuple[HandedIn, Graded]]:
        with Server(self.assignment.preload, warm_for_batch=True) as server:
            pool = ThreadPoolExecutor(self.jobs)
            start = lambda path: pool.submit(grade_one, path, self.assignment, self.checks, server, self.inputs, self.jobs - 1)
            try:
                waiting = {start(submission.path): submission for submission in submissions}
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            except BaseException:  # Ctrl-C: what is running stops, what is graded stays
                server.cancelled.set()
                raise
            finally:
                pool.shutdown(cancel_futures=True)


def grade_class(
    assignment: Assignment,
    source: Path,
    to: Path,
    jobs: int,
    scheduler: str = "",
    against: Path | None = None,
    progress: Progress = lambda graded, total: None,
    checks: list[Check] | None = None,
    inputs: Inputs = PUBLIC,
) -> Gradebook:
    """Grade every submission of a class that has no stored result yet. Each result is written at once.

    source: a Gradescope export, or a folder of submissions.
    to: the folder for results.
    jobs: submissions side by side on this machine.
    scheduler: the address of a dask scheduler that grades them instead.
    against: the folder of an earlier run, to which scores are compared.
    progress: called with the number of submissions that are graded, and of all.
    checks: those that run, by default all of the assignment.
    inputs: which inputs they draw.
    BadInput: `source` holds no submissions, `against` holds no results, or `to` cannot be written.
    """
    started, checks = time.monotonic(), checks_of(assignment) if checks is None else checks
    old = load_entries(against) if against else None
    results = ResultFolder(to)
    results.create()
    batch = Batch(assignment, checks, inputs, jobs, scheduler, grader_digest(assignment, checks, inputs))
    with opened(source) as (submissions, missing):
        entries, graded_now = _entries(batch, submissions, results, progress)
        book = Gradebook(assignment.id, assignment.title, entries, missing=missing, graded_now=graded_now)
        _compare_files(book, submissions, assignment)
    book.changes = None if old is None else changes(old, entries)
    book.seconds = time.monotonic() - started
    return book


def _entries(batch: Batch, submissions: list[HandedIn], results: ResultFolder, progress: Progress) -> tuple[list[Entry], int]:
    """The entry of every submission, stored or new, in their order; and how many of them are new."""
    digests = {submission.key: batch.digest(submission) for submission in submissions}
    cached = [results.load_cached(submission, digests[submission.key]) for submission in submissions]
    entries = {entry.key: entry for entry in cached if entry}
    todo = [submission for submission in submissions if submission.key not in entries]
    progress(len(entries), len(submissions))
    for submission, graded in batch.grade(todo):
        entry = Entry(submission.key, list(submission.students), submission.created_at, *graded)
        results.store(entry, digests[submission.key])
        entries[submission.key] = entry
        progress(len(entries), len(submissions))
    return [entries[submission.key] for submission in submissions], len(todo)


def _compare_files(book: Gradebook, submissions: list[HandedIn], assignment: Assignment) -> None:
    """Find copies of given parts and submissions that share code, and note those that could not be compared."""
    from tools.batch.similarity import similar  # late: it is slow to import

    paths = {submission.key: submission.path for submission in submissions}
    book.copies = [(key, str(copy)) for key, path in paths.items() for copy in copies_in(path, assignment)]
    book.pairs, book.not_compared = similar(paths, assignment)
