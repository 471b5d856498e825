"""`python -m tools …`: the commands of those who run the course. Nothing heavy is imported before a command needs it.

Exit status: 0 all is well, 1 something is to be looked at, 2 wrong usage or input, 3 a fault of the grader.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autograder.assignment import Assignment, Course
    from tools.batch.gradebook import Gradebook

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Make assignments, publish them, grade a class, and measure how good the grader is.",
)
OneName = Annotated[str, typer.Argument(help="The assignment, such as a01.", show_default=False)]
AnyName = Annotated[str, typer.Argument(help="The assignment, such as a01. Without it, all of them.", show_default=False)]


@app.command()
def new(
    assignment: Annotated[str, typer.Argument(help="The name of the new assignment, such as a11.", show_default=False)],
    title: Annotated[str, typer.Argument(help='Its title, such as "A mixture of experts".', show_default=False)],
    module: Annotated[str, typer.Option(help="The name of the module that its functions are in.")] = "",
) -> None:
    """Make a whole small assignment that works, to start from."""
    from tools.author.new import new as make

    made = make(_course().root, assignment, title, module)
    typer.echo("\n".join([*(f"wrote {path}" for path in made.files), "", "Next:", *made.next_steps()]))


@app.command()
def stubs() -> None:
    """Write the students' stubs, which are made from the reference, and the list by which copies of given parts are known."""
    from tools.author.given_functions import write_given_functions
    from tools.author.stubs import write_stubs

    root = _course().root
    for path in filter(None, [*write_stubs(root), write_given_functions(root)]):
        typer.echo(f"wrote {path.relative_to(root)}")


@app.command()
def golden(
    assignment: AnyName = "",
    only: Annotated[
        str | None, typer.Option(help="Record only the checks that this expression fits, as pytest's -k. All others stay.")
    ] = None,
) -> None:
    """Record golden values: what the reference computes, the tolerances, and what each known mistake looks like."""
    from tools.author.golden import write_goldens

    for one in _assignments(assignment):
        started = time.monotonic()
        for path in write_goldens(one, only):
            typer.echo(f"wrote {path.relative_to(one.course.root)}")
        size = sum(file.stat().st_size for file in (one.folder / "tests" / "golden").iterdir())
        typer.echo(f"{one.id}: golden values take {size / 1000:.0f} KB; recorded in {time.monotonic() - started:.1f} s")


@app.command()
def verify(
    assignment: AnyName = "",
    extra: Annotated[
        Path | None, typer.Option(help="Grade more cases, from a folder with misconceptions, alternates and submissions/NAME/.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Grade right code again, under so many other seeds.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Leave the mutants out, and run a misconception on the checks of its own module alone."),
    ] = False,
) -> None:
    """Measure the grader: right code gets all points, stubs none, and every mistake is rejected and named."""
    from tools.author.verification_page import render_verification
    from tools.author.verify import verify as measure

    results = {}
    for one in _assignments(assignment):
        results[one.id] = measure(one, extra, seeds, quick)
        typer.echo(render_verification(results[one.id]))
    if json_file:
        figures = {name: result.as_json() for name, result in results.items()}
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    raise typer.Exit(1 if any(result.problems for result in results.values()) else 0)


@app.command()
def release(
    to: Annotated[Path, typer.Option(help="A new folder, or a release that is brought up to date.")],
    only: Annotated[
        list[str] | None, typer.Option(help="An assignment that students may have. Repeat it for more; without it, all.")
    ] = None,
    through: Annotated[
        str, typer.Option(help="The last assignment that students may have, such as a03: the one that is due.")
    ] = "",
) -> None:
    """Write what students clone, after a search for solutions, hidden checks and files that are on no list."""
    from tools.release.release import release as build

    started = time.monotonic()
    result = build(_course(), to, tuple(only or ()), through)
    verb = "wrote" if result.changes is None else "updated"
    typer.echo(f"{verb} {to}: {result.files} files, {result.size / 1e6:.2f} MB, in {time.monotonic() - started:.1f} s; scanned")
    for line in [*(result.changes.lines() if result.changes else []), *result.headroom()]:
        typer.echo(f"  {line}")


@app.command()
def scan(
    path: Annotated[Path, typer.Argument(help="A folder, a zip or a file that is to be published.", exists=True)],
    hidden: Annotated[bool, typer.Option("--hidden", help="Allow hidden checks, as in a zip for Gradescope.")] = False,
) -> None:
    """Search what is to be published for solutions, hidden checks, outputs and compiled files."""
    from tools.release.scan import Scanner, read_files, scan_tree

    scanner = Scanner(_course().root, hidden)
    findings = scan_tree(scanner, path) if path.is_dir() else scanner.scan(read_files(path))
    for finding in findings:
        typer.echo(finding)
    typer.echo(f"{len(findings)} findings", err=True)
    raise typer.Exit(1 if findings else 0)


@app.command()
def gradescope(
    assignment: OneName,
    to: Annotated[Path, typer.Option(help="The zip to write.")],
    try_it: Annotated[bool, typer.Option("--try", help="Try it afterwards with what lies in assignments/.")] = False,
) -> None:
    """Write the autograder zip that is uploaded to Gradescope."""
    from autograder.files import write_or_refuse
    from tools.author.official import recorded_official
    from tools.gradescope.package import build, warnings
    from tools.progress import bar

    one = _course().load(assignment)
    with bar(f"recording {one.id} for the official inputs") as progress:
        inputs = recorded_official(one, progress)
    write_or_refuse(to, build(one, inputs))
    typer.echo(f"wrote {to}, {to.stat().st_size:,} bytes")
    for warning in warnings(one):
        typer.echo(f"  {warning}")
    if try_it:
        typer.echo("dry run with what lies in assignments/:")
        with tempfile.TemporaryDirectory() as results:
            _dry_run(to, one.folder, Path(results), None)


@app.command("dry-run")
def dry_run(
    archive: Annotated[Path, typer.Argument(help="The autograder zip.", show_default=False)],
    submission: Annotated[Path, typer.Option(help="A folder of deliverables, or a zip.")],
    results: Annotated[Path, typer.Option(help="The folder for results.json and stdout.")],
    metadata: Annotated[
        Path | None, typer.Option(help="A submission_metadata.json. Without it, that of a submission in time.")
    ] = None,
) -> None:
    """Run an autograder zip as Gradescope does, and compare results.json with what Gradescope asks for."""
    _dry_run(archive, submission, results, metadata)


def _dry_run(archive: Path, submission: Path, results: Path, metadata: Path | None) -> None:
    """Run an autograder zip, print a summary, and end the command."""
    from autograder.report.status import Status
    from tools.gradescope.dry_run import dry_run, summary

    result = dry_run(archive, submission, results, metadata)
    typer.echo(summary(result))
    raise typer.Exit(3 if result.problems or Status.GRADER_FAULT in result.statuses else 0)


@app.command()
def batch(
    assignment: OneName,
    source: Annotated[Path, typer.Option("--from", help="A Gradescope export, or a folder of submissions.")],
    to: Annotated[Path, typer.Option(help="The folder for results. A run that was interrupted goes on from there.")],
    jobs: Annotated[int, typer.Option(help="How many submissions are graded side by side.", min=1)] = 2,
    scheduler: Annotated[
        str, typer.Option(help="The address of a dask scheduler, such as tcp://127.0.0.1:8786 or tls://host:8786.")
    ] = "",
    against: Annotated[Path | None, typer.Option(help="The folder of an earlier run. Scores that differ are listed.")] = None,
    no_names: Annotated[bool, typer.Option("--no-names", help="Leave names out of the page of the class.")] = False,
) -> None:
    """Grade a class: a table, JSON lines, a page for each submission and one for the class."""
    from tools.author.official import recorded_official
    from tools.batch.batch import grade_class
    from tools.batch.tables import write_tables
    from tools.progress import bar

    try:
        one = _course().load(assignment)
        with bar(f"recording {one.id} for the official inputs") as progress:
            inputs = recorded_official(one, progress)
        with bar(f"grading {assignment}") as progress:
            book = grade_class(one, source, to, jobs, scheduler, against, progress, inputs=inputs)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What is graded is kept: call it again, and it goes on from there.", err=True)
        raise typer.Exit(1) from None
    write_tables(book, to, names=not no_names)
    _print_class(book, to)
    raise typer.Exit(3 if any(entry.faults for entry in book.entries) else 0)


def _print_class(book: "Gradebook", to: Path) -> None:
    """A line about the class and one for each score that changed. On stderr: one for each thing that was not graded."""
    typer.echo(f"{len(book.entries)} submissions, {book.graded_now} graded now, in {book.seconds:.1f} s: {to / 'class.html'}")
    for change in book.changes or []:
        typer.echo(f"  {book.who(change.key)}: {change.before:g} → {change.after:g} ({', '.join(change.checks)})")
    for line in [*book.missing, *(f"{entry.who}: not graded, {entry.refused}" for entry in book.entries if entry.refused)]:
        typer.echo(f"  {line}", err=True)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="The benchmark, such as grade. Without it, all of them.", show_default=False)] = "",
) -> None:
    """Measure speed: of the grader as ratios to `import torch`, and of the references."""
    from tools.bench.bench import run

    run(name)


@app.command()
def picture() -> None:
    """Draw the report that the README shows."""
    from tools.picture import draw

    root = _course().root
    typer.echo(f"wrote {draw(root / 'docs' / 'report.svg').relative_to(root)}")


def _course() -> "Course":
    from autograder.assignment import Course

    return Course.here()


def _assignments(name: str) -> "list[Assignment]":
    """The assignment that was named on the command line, or all of them. BadInput if there is no such assignment."""
    course = _course()
    return [course.load(known) for known in ([name] if name else course.known())]


def main() -> None:
    """Run a command. An error of the course ends it with its own sentence and exit status."""
    from autograder.errors import CourseError

    try:
        app(prog_name="python -m tools")
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(error.status) from None


if __name__ == "__main__":
    main()
