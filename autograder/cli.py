"""The commands of a student. Nothing heavy is imported before a command needs it.

Exit status: 0 every point that can be graded here, 1 points lost or Ctrl-C, 2 wrong usage or input, 3 a fault of the grader.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.assignment import Assignment
    from autograder.report.report import Report, Row
    from autograder.sandbox.server_handle import Server
    from autograder.session import GradeOptions

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Grade an assignment of the course and see what to do next.",
)
Name = Annotated[str, typer.Argument(help="a01", show_default=False)]
Only = Annotated[str | None, typer.Option(help="Only checks that fit, as pytest's -k.")]


@app.callback()
def main() -> None:
    """Grade an assignment of the course and see what to do next."""


@app.command()
def grade(
    assignment: Annotated[str, typer.Argument(help="a01, or nothing for all", show_default=False)] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder (or zip) of deliverables instead of assignments/.")
    ] = None,
    only: Only = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there as JSON.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the report there as a page.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    long: Annotated[bool, typer.Option("--long", help="Also checks that take minutes; they carry no points.")] = False,
    force_hidden: Annotated[bool, typer.Option("--force-hidden", help="Run hidden checks at any level of isolation.")] = False,
    try_all: Annotated[bool, typer.Option("--try-all", help="Also the other checks of a part whose time has run out.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show also what passed, and what each check took.")] = False,
) -> None:
    """Grade one assignment; without a name all of them, with a line about each."""
    with _course_errors():
        from autograder.assignment import Course
        from autograder.errors import BadInput
        from autograder.sandbox.server_handle import Server
        from autograder.session import GradeOptions

        options = GradeOptions(only, device, long, force_hidden, try_all)
        if not assignment and (source or json_file or html_file or verbose):
            raise BadInput("--from, --json, --html and --verbose need an assignment: grade a01 --from DIR")
        for path in filter(None, (json_file, html_file)):
            _refuse_unwritable(path)
        course = Course.here()
        if assignment:
            loaded = course.load(assignment)
            with Server(loaded.preload) as server:
                report = _grade(server, loaded, source, options)
            _write(report, json_file, html_file)
            _show(report, verbose)
            status = report.exit_status
        else:
            status = _grade_all([course.load(name) for name in course.known()], options)
    _leave(status)


@app.command()
def watch(assignment: Name, only: Only = None) -> None:
    """Grade on every save; the server stays warm, so only the checks take time. Ctrl-C ends it."""
    with _course_errors():
        from autograder.assignment import Course
        from autograder.sandbox.server_handle import Server
        from autograder.session import GradeOptions
        from autograder.submission.saves import Saves

        loaded, options = Course.here().load(assignment), GradeOptions(only)
        with Server(loaded.preload) as server, Saves(loaded) as saves, suppress(KeyboardInterrupt):
            while True:
                report = _grade(server, loaded, None, options, saves.cancelled)
                if not saves.cancelled.is_set():
                    _show(report)
                typer.echo(f"\nsaved: {', '.join(saves.wait())}")
    _leave(0)


@app.command()
def submission(
    assignment: Name,
    to: Annotated[Path | None, typer.Option(help="The zip to write; by default a01-submission.zip here.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Folder of deliverables instead of assignments/.")] = None,
) -> None:
    """Build the zip to upload, and check it: complete, parsable, not too large."""
    with _course_errors():
        from autograder.assignment import Course
        from autograder.files import write_or_refuse
        from autograder.submission.submit import build

        loaded = Course.here().load(assignment)
        upload = build(source or loaded.folder, loaded)
        target = to or Path(f"{loaded.id}-submission.zip")
        write_or_refuse(target, upload.data)
    for warning in upload.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"wrote {target}: {upload.files} files, {len(upload.data):,} bytes, manifest {upload.sha256[:16]}")


@app.command()
def reset(
    assignment: Name,
    file: Annotated[str, typer.Argument(help="The file to start again, such as attention.py.", show_default=False)],
) -> None:
    """Put the stub of a file back; what stood there is kept beside it."""
    with _course_errors():
        from autograder.assignment import Course
        from autograder.submission.reset import reset as reset_file

        kept = reset_file(Course.here().load(assignment), file)
    typer.echo(f"{Path(file).name} is the stub again" + (f"; yours is kept as {kept.name}" if kept else ""))


@app.command()
def update(newer: Annotated[Path, typer.Argument(help="Folder of the newer release.", show_default=False)]) -> None:
    """Make this release the newer one; files that you have changed stay, and nothing of yours is lost."""
    with _course_errors():
        from autograder.assignment import Course
        from autograder.submission.update import update as update_course

        changes = update_course(newer, Course.here().root)
    for line in changes.lines():
        typer.echo(line)


@contextmanager
def _course_errors() -> Iterator[None]:
    """Turn whatever ends a command before its time into a sentence on stderr and an exit status.

    An error that nobody foresaw is a fault of the grader. Its traceback is for whoever mends the grader.
    """
    from autograder.errors import CourseError, GraderFault

    try:
        yield
    except CourseError as error:
        typer.echo(f"{'The grader itself is at fault' if error.status == GraderFault.status else 'Error'}: {error}", err=True)
        _leave(error.status)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        _leave(1)
    except (typer.Exit, BrokenPipeError):  # neither is an error: somebody has left, or reads no further
        raise
    except Exception as error:
        traceback.print_exc()
        typer.echo(f"The grader itself is at fault: {type(error).__name__}: {error}", err=True)
        _leave(GraderFault.status)


def _refuse_unwritable(path: Path) -> None:
    """Refuse a file that could not be written, before anything is graded."""
    from autograder.errors import BadInput

    if not path.parent.is_dir():
        raise BadInput(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise BadInput(f"{path} cannot be written: it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be written: its folder is read-only")


def _grade(
    server: Server,
    assignment: Assignment,
    source: Path | None,
    options: GradeOptions,
    cancelled: threading.Event | None = None,
) -> Report:
    """Grade one assignment. The checks are read while the server starts and imports torch.

    source: what to grade, by default the student's own files under assignments/.
    cancelled: ends the grade when another thread sets it.
    """
    from autograder.session import checks_of, grade_submission

    checks = checks_of(assignment, options)
    with _progress(len(checks), assignment.id) as advance:
        folder = source or assignment.folder
        return grade_submission(folder, assignment, checks, server, options, progress=advance, cancelled=cancelled)


def _grade_all(assignments: list[Assignment], options: GradeOptions) -> int:
    """Grade each assignment, and print a line about it when it is done. Returns the worst exit status.

    BadInput: there is no assignment, or none has a check that fits.
    """
    from autograder.check.collecting import NothingFits
    from autograder.errors import BadInput
    from autograder.report.overview import Overview
    from autograder.sandbox.server_handle import Server

    overview = Overview(_console(), [one.title for one in assignments])
    for one in assignments:
        try:
            with Server(one.preload) as server:
                report = _grade(server, one, None, options)
        except NothingFits:
            continue  # --only may name a part of another one
        overview.add(report)
        if report.interrupted:
            break
    if not overview.reports:
        raise BadInput(f"no check of any assignment fits {options.only!r}" if assignments else "there are no assignments here")
    overview.close()
    return max(report.exit_status for report in overview.reports)


def _write(report: Report, json_file: Path | None, html_file: Path | None) -> None:
    """Write the report to the files that were asked for. BadInput: one of them cannot be written."""
    from autograder.files import write_or_refuse
    from autograder.report.as_json import as_json

    if json_file:
        write_or_refuse(json_file, json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n")
    if html_file:
        from autograder.report.html import render_page

        write_or_refuse(html_file, render_page(as_json(report)))


def _show(report: Report, verbose: bool = False) -> None:
    """Print the report."""
    from autograder.report.terminal import print_report

    print_report(report, _console(), verbose)


def _console() -> Console:
    """What reports are printed on. A pipe gets lines of COLUMNS characters, or of 100."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    width = None if sys.stdout.isatty() else int(columns) if columns.isdecimal() else 100
    return Console(highlight=False, soft_wrap=False, width=width)


def _progress(total: int, name: str) -> AbstractContextManager[Callable[[Row], None]]:
    """A progress bar on stderr, on a terminal alone."""
    if not sys.stderr.isatty():
        return nullcontext(lambda row: None)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    @contextmanager
    def bar() -> Iterator[Callable[[Row], None]]:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"grading {name}", total=total)
            yield lambda row: progress.advance(task)

    return bar()


def _leave(status: int) -> None:
    """End the command with this status. What was printed is written out first."""
    sys.stdout.flush()
    sys.stderr.flush()
    raise typer.Exit(status)
