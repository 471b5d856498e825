"""Grades a class: one warm server, some submissions side by side, and every result on disk as soon as it is there.

    DIR/reports/KEY.json    the entry of one submission; a run that was killed goes on from these
    DIR/pages/KEY.html      its report as a page
    DIR/grades.csv          a row for each student        DIR/reports.jsonl    a line for each submission
    DIR/class.html          the class: distribution, points per part, which misconceptions how many have, similarity

A result is taken over by a later run only if submission, checks, golden values and grader are what they were, and if it
is no fault of the grader. Timed checks of different submissions never run at the same time.
"""

import csv
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.errors import BadInput, CourseError
from autograder.files import write_atomically
from autograder.gradescope.policy import Settings
from autograder.judge.judge import Drive
from autograder.report.as_json import as_json
from autograder.report.html import render_page
from autograder.report.report import Report, empty_rows, environment
from autograder.report.status import Status
from autograder.sandbox.server_handle import Server
from autograder.session import checks_of, grade_folder
from autograder.submission.archive import MAX_ARCHIVE
from autograder.submission.deliverables import find_deliverables, read_regular_files
from autograder.submission.opening import archive_of, open_submission
from autograder.text import sanitize
from tools.batch.export import HandedIn, opened
from tools.batch.gradebook import Change, Entry, Gradebook
from tools.batch.timing_lock import TimingLock
from tools.grader_files import files_below, grader_files

Graded = tuple[dict, float, str]  # report, seconds, why it was refused


def batch(
    assignment: Assignment,
    source: Path,
    to: Path,
    jobs: int,
    scheduler: str = "",
    against: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    checks: list[Check] | None = None,
) -> Gradebook:
    """Grade every submission that has no result yet; its files are written at once. progress: called with done and total.

    checks: by default all of the assignment. BadInput if `source` holds no submissions, or `to` cannot be written.
    """
    started, checks = time.monotonic(), checks_of(assignment) if checks is None else checks
    old = {entry.key: entry for entry in load_entries(against)} if against else None
    reports, pages = to / "reports", to / "pages"
    try:
        for folder in (reports, pages):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{to} cannot be written: {error.strerror}; give a folder that may be made") from error
    grader = grader_digest(assignment, checks)
    with opened(source) as (handed, missing):
        names = {one.key: file_name(one.key) for one in handed}
        print_of = {one.key: f"{grader}:{submission_digest(one.path, assignment)}" for one in handed}
        done = {
            one.key: entry for one in handed if (entry := load_cached(reports / f"{names[one.key]}.json", one, print_of[one.key]))
        }
        todo = [one for one in handed if one.key not in done]
        progress(len(done), len(handed))
        for one, (report, seconds, refused) in _graded(todo, assignment, checks, jobs, scheduler, grader):
            entry = Entry(one.key, list(one.students), one.created_at, report, seconds, refused)
            stored = {"fingerprint": print_of[one.key], "entry": entry.as_json()}
            write_atomically(reports / f"{names[one.key]}.json", json.dumps(stored, ensure_ascii=False))
            write_atomically(pages / f"{names[one.key]}.html", render_page(report, entry.who))
            done[one.key] = entry
            progress(len(done), len(handed))
        book = Gradebook(assignment.id, assignment.title, [done[one.key] for one in handed], missing=missing)
        book.graded_now = len(todo)
        book.pairs, book.not_compared = _similar(handed, assignment)
    book.changes = None if old is None else changes(old, book.entries)
    book.seconds = time.monotonic() - started
    return book


def _graded(
    todo: list[HandedIn], assignment, checks, jobs: int, scheduler: str, grader: str
) -> Iterator[tuple[HandedIn, Graded]]:
    """Results as they come in, each submission once."""
    if not todo:
        return
    if scheduler:
        from tools.batch.scheduler import graded

        yield from graded(todo, assignment, scheduler, grader)
        return
    with Server(assignment.preload, warm_for_batch=True) as server:
        pool = ThreadPoolExecutor(jobs)
        try:
            waiting = {pool.submit(grade_one, one.path, assignment, checks, server, jobs - 1): one for one in todo}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:  # Ctrl-C: what runs is stopped, what is done stays
            server.cancelled.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def grade_one(path: Path, assignment: Assignment, checks: list[Check], server: Server, others: int = 0) -> Graded:
    """Grade one submission; whatever it holds, there is a report with every check.

    Two workers, so that one runs while the other's result is judged. others: how many are graded beside it; the time for which it may wait until they have timed something is not its own.
    """
    started = time.monotonic()
    timed = sum(c.limits.get("seconds", assignment.seconds) for c in checks if c.judge.drive != Drive.OBSERVE)
    seconds = Settings.of(assignment).deadline + 2 * others * timed  # twice: once more with given parts
    refused = ""
    try:
        with open_submission(path, assignment.deliverables) as opened:
            report = grade_folder(opened.folder, assignment, checks, server, jobs=2, seconds=seconds, timing_lock=TimingLock())
            report.notes = (*opened.notes, *report.notes)
    except BadInput as error:
        report, refused = _nothing(assignment, checks, f"not graded: {error}"), str(error)
    except CourseError:  # the server does not run, say: no submission can be graded
        raise
    except Exception as error:  # ours: others are graded all the same, and this one again by the next run
        report, refused = faulty(assignment, checks, error, granted=not isinstance(error, OSError | MemoryError))
    return as_json(report), time.monotonic() - started, sanitize(refused, kept="")


def faulty(assignment: Assignment, checks: list[Check], error: BaseException, granted: bool) -> tuple[Report, str]:
    """A report of faults, and the sentence that says which. granted: not if a submission could bring it about."""
    why = f"fault of the grader, {type(error).__name__}: {error}"
    report = _nothing(assignment, checks, why)
    for row in report.rows:
        row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points if granted else 0.0, sanitize(why)
    return report, why


def _nothing(assignment: Assignment, checks: list[Check], why: str) -> Report:
    """The report on a submission that could not be read."""
    return Report(assignment, empty_rows(assignment, checks), 0, notes=(sanitize(why),), environment=environment(), empty=True)


def grader_digest(assignment: Assignment, checks: list[Check]) -> str:
    """What a grade depends on besides the submission: the grader, the checks, their golden values, the given parts."""
    digest = hashlib.sha256(" ".join(c.id for c in checks).encode())
    for path in sorted({c.path for c in checks}):
        digest.update(path.read_bytes())
    folders = {path.parent / "golden" for path in {c.path for c in checks}}
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


def load_cached(path: Path, handed: HandedIn, wanted: str) -> Entry | None:
    """The entry on disk with the names of today, if it was made from the same submission by the same grader.

    What was a fault of the grader, or could not be read, is tried again.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        entry = Entry.of(stored["entry"])
        if stored["fingerprint"] != wanted or entry.refused or entry.faults:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there, or cut off: graded anew
        return None
    entry.key, entry.students, entry.created_at = handed.key, list(handed.students), handed.created_at
    return entry


def load_entries(folder: Path) -> list[Entry]:
    """The entries of an earlier run. BadInput if it is none."""
    paths = sorted((folder / "reports").glob("[!.]*.json"))
    if not paths:
        raise BadInput(f"{folder} holds no reports; give the --to folder of an earlier batch")
    entries = []
    for path in paths:
        try:
            entries.append(Entry.of(json.loads(path.read_text(encoding="utf-8"))["entry"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is no report of a batch ({type(error).__name__}); give the --to folder of one") from error
    return entries


def changes(old: dict[str, Entry], entries: list[Entry]) -> list[Change]:
    """Whose score is another one now, and which checks decide otherwise, are new or are gone."""
    found = []
    for entry in entries:
        before = old.get(entry.key)
        if before and before.score != entry.score:
            then, now = ({c["id"]: (c["status"], c["points"]) for c in e.report["checks"]} for e in (before, entry))
            moved = tuple(name for name in dict.fromkeys([*now, *then]) if now.get(name) != then.get(name))
            found.append(Change(entry.key, before.score, entry.score, moved))
    return found


def write_tables(book: Gradebook, to: Path, names: bool = True) -> None:
    """grades.csv, reports.jsonl and class.html. names: whether the page of the class shows who is who."""
    from tools.batch.class_page import render_class_page as class_page

    write_atomically(to / "reports.jsonl", "".join(json.dumps(e.as_json(), ensure_ascii=False) + "\n" for e in book.entries))
    rows = [_cells(entry, student) for entry in book.entries for student in entry.students or [None]]
    with (to / ".grades.csv").open("w", encoding="utf-8-sig", newline="") as file:  # with the mark that spreadsheets look for
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    (to / ".grades.csv").replace(to / "grades.csv")
    write_atomically(to / "class.html", class_page(book, {e.key: f"pages/{file_name(e.key)}.html" for e in book.entries}, names))


def _cells(entry: Entry, student) -> dict[str, str | float]:
    report = entry.report
    person = asdict(student) if student else {"name": "", "sid": "", "email": ""}
    mistakes = sorted({c["misconception"] for c in report["checks"] if c["misconception"]})
    return {
        **{key: safe_cell(person[key]) for key in ("sid", "name", "email")},
        "submission": safe_cell(entry.key),
        "score": report["score"],
        "max_score": report["max_score"],
        "created_at": safe_cell(entry.created_at),
        "not_graded": safe_cell(entry.refused or ("cut short by its deadline" if report.get("interrupted") else "")),
        "faults": entry.faults,
        "misconceptions": " ".join(mistakes),
        **{f"{part['number']} {part['name']}": round(part["points"], 2) for part in report["parts"]},
    }


def safe_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: what would start a formula gets an apostrophe before it.

    Also after what separates cells in another country's spreadsheet, and for the wide signs that some of them read alike.
    """
    return re.sub(r"(^|[;\t\r\n])(?=[\s\"']*[=+\-@＝＋－＠]|[\t\r\n])", r"\1'", text)


def file_name(key: str) -> str:
    """A file name for a key: itself where that is harmless, otherwise with a digest in place of what is not."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in key)[:80].lstrip(".")
    return plain if plain == key else f"{plain}-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _similar(handed: list[HandedIn], assignment: Assignment):
    from tools.batch.similarity import similar

    return similar({one.key: one.path for one in handed}, assignment)
