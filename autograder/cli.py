"""The commands of a student. Nothing heavy is imported before a command needs it.

Exit status: 0 every point that can be graded here, 1 points lost, 2 wrong usage or input, 3 a fault of the grader.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Grade an assignment of the course and see what to do next.",
)


@app.callback()
def main() -> None:
    """Grade an assignment of the course and see what to do next."""


@app.command()
def grade(
    assignment: Annotated[str, typer.Argument(help="a01, or nothing for all", show_default=False)] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder (or zip) of deliverables to grade instead of assignments/.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only checks that fit, as pytest's -k.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there as JSON.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the report there as a page.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    long: Annotated[bool, typer.Option("--long", help="Also checks that take minutes; they carry no points.")] = False,
    force_hidden: Annotated[bool, typer.Option("--force-hidden", help="Run hidden checks at any level of isolation.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what passed, too.")] = False,
) -> None:
    """Grade one assignment; without a name, all of them."""
    import json

    from autograder.assignment import Course
    from autograder.errors import BadInput, CourseError
    from autograder.files import write_or_refuse
    from autograder.report.as_json import as_json

    status = 0
    try:
        if device not in ("cpu", "cuda", "mps"):
            raise BadInput(f"--device is cpu, cuda or mps; got {device!r}")
        if not assignment and (source or json_file or html_file):
            raise BadInput("--from, --json and --html need an assignment: grade a01 --from DIR")
        for path in filter(None, (json_file, html_file)):
            if not path.parent.is_dir():
                raise BadInput(f"{path} cannot be written: there is no folder {path.parent}")
            if path.is_dir() or not os.access(path.parent, os.W_OK):
                raise BadInput(f"{path} cannot be written: {'it is a folder' if path.is_dir() else 'its folder is read-only'}")
        course = Course.here()
        for name in [assignment] if assignment else course.known():
            one = course.load(name)
            report = _grade_one(one, source, only, device, force_hidden, long)
            if json_file:
                write_or_refuse(json_file, json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n")
            if html_file:
                from autograder.report.html import render_page

                write_or_refuse(html_file, render_page(as_json(report)))
            _show(report, verbose)
            status = max(status, report.exit_status)
    except CourseError as error:
        typer.echo(f"{'The grader itself is at fault' if error.status == 3 else 'Error'}: {error}", err=True)
        status = error.status
    except KeyboardInterrupt:
        typer.echo("Interrupted before anything was graded.", err=True)
        status = 1
    _leave(status)


def _grade_one(assignment, source, only, device, force_hidden, long):
    from autograder.sandbox.server_handle import Server

    with Server(assignment.preload) as server:  # it imports torch while we read the checks
        return _report(server, assignment, source, only, device, force_hidden, long)


def _report(server, assignment, source=None, only=None, device="cpu", force_hidden=False, long=False):
    """Collect the checks while the server starts, and grade."""
    from autograder.errors import BadInput
    from autograder.grading import has_device
    from autograder.session import checks_of, grade_folder
    from autograder.submission.opening import open_submission

    if device != "cpu" and not has_device(device):
        raise BadInput(f"--device {device}: there is no such device here; leave the option out to grade on the CPU")
    checks = checks_of(assignment, only, force_hidden, long)
    with (
        open_submission(source or assignment.folder, assignment.deliverables) as opened,
        _progress(len(checks), assignment.id) as advance,
    ):
        report = grade_folder(opened.folder, assignment, checks, server, device=device, progress=advance)
    report.notes = (*opened.notes, *report.notes)
    return report


def _show(report, verbose: bool = False) -> None:
    from rich.console import Console

    from autograder.report.terminal import print_report

    print_report(report, Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _width()), verbose)


@app.command()
def submission(
    assignment: Annotated[str, typer.Argument(help="a01", show_default=False)],
    to: Annotated[Path | None, typer.Option(help="The zip to write; by default a01-submission.zip here.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Folder of deliverables instead of assignments/.")] = None,
) -> None:
    """Build the zip to upload, and check it: complete, parsable, not too large."""
    from autograder.assignment import Course
    from autograder.errors import CourseError
    from autograder.files import write_or_refuse
    from autograder.submission.submit import build

    try:
        one = Course.here().load(assignment)
        upload = build(source or one.folder, one)
        target = to or Path(f"{one.id}-submission.zip")
        write_or_refuse(target, upload.data)
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        _leave(error.status)
    for warning in upload.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"wrote {target}: {upload.files} files, {len(upload.data):,} bytes, manifest {upload.sha256[:16]}")


@app.command()
def reset(
    assignment: Annotated[str, typer.Argument(help="a01", show_default=False)],
    file: Annotated[str, typer.Argument(help="The file to start again, such as attention.py.", show_default=False)],
) -> None:
    """Put the stub of a file back; what stood there is kept beside it."""
    from autograder.assignment import Course
    from autograder.errors import CourseError
    from autograder.submission.reset import reset as put_back

    try:
        kept = put_back(Course.here().load(assignment), file)
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        _leave(error.status)
    typer.echo(f"{Path(file).name} is the stub again" + (f"; yours is kept as {kept.name}" if kept else ""))


@app.command()
def update(newer: Annotated[Path, typer.Argument(help="Folder of the newer release.", show_default=False)]) -> None:
    """Make this release the newer one; files that you have changed stay, and nothing of yours is lost."""
    from autograder.assignment import Course
    from autograder.errors import CourseError
    from autograder.submission.update import update as bring

    try:
        changes = bring(newer, Course.here().root)
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        _leave(error.status)
    for line in changes.lines():
        typer.echo(line)


@app.command()
def watch(
    assignment: Annotated[str, typer.Argument(help="a01", show_default=False)],
    only: Annotated[str | None, typer.Option(help="Only checks that fit, as pytest's -k.")] = None,
) -> None:
    """Grade on every save; the server stays warm, so only the checks take time. Ctrl-C ends it."""
    from watchfiles import watch as saves

    from autograder.assignment import Course
    from autograder.errors import CourseError
    from autograder.sandbox.server_handle import Server

    try:
        one = Course.here().load(assignment)
        wanted = lambda _, path: Path(path).name in one.deliverables
        with Server(one.preload) as server:
            _show(_report(server, one, only=only))
            for changed in saves(one.folder, watch_filter=wanted):
                typer.echo(f"\nsaved: {', '.join(sorted({Path(path).name for _, path in changed}))}")
                _show(_report(server, one, only=only))
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        _leave(error.status)
    except KeyboardInterrupt:
        _leave(0)


def _progress(total: int, name: str):
    """A progress bar on stderr, on a terminal alone."""
    import contextlib

    if not sys.stderr.isatty():
        return contextlib.nullcontext(lambda row: None)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    @contextlib.contextmanager
    def bar():
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"grading {name}", total=total)
            yield lambda row: progress.advance(task)

    return bar()


def _width() -> int:
    return int(os.environ.get("COLUMNS", "100"))


def _leave(status: int) -> None:
    """End at once: what is left to tidy up is the operating system's."""
    sys.stdout.flush()
    sys.stderr.flush()
    raise typer.Exit(status)
