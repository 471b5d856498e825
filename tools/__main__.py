"""`python -m tools …`: the commands of those who run the course. Nothing heavy is imported before a command needs it."""

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Regenerate stubs and golden values, and measure how good the grader is.",
)
Name = Annotated[str, typer.Argument(help="a01, or nothing for all", show_default=False)]


@app.command()
def new(
    assignment: Annotated[str, typer.Argument(help="a11", show_default=False)],
    title: Annotated[str, typer.Argument(help='"A mixture of experts"', show_default=False)],
    module: Annotated[str, typer.Option(help="The module of its functions.")] = "",
) -> None:
    """Make a whole small assignment that works, to start from."""
    from autograder.assignment import Course
    from tools.author.new import new as make

    made = make(Course.here().root, assignment, title, module)
    typer.echo("\n".join([*(f"wrote {path}" for path in made.files), "", "Next:", *made.next_steps()]))


@app.command()
def stubs() -> None:
    """Write the students' stubs from the reference."""
    from autograder.assignment import Course
    from tools.author.stubs import write_stubs

    root = Course.here().root
    for path in write_stubs(root):
        typer.echo(f"wrote {path.relative_to(root)}")


@app.command()
def golden(assignment: Name = "") -> None:
    """Record golden observations, tolerances and fingerprints from the reference."""
    from tools.author.golden import golden as record

    for one in _assignments(assignment):
        started = time.monotonic()
        for path in record(one):
            typer.echo(f"wrote {path.relative_to(one.course.root)}")
        size = sum(f.stat().st_size for f in (one.folder / "tests" / "golden").iterdir())
        typer.echo(f"{one.id}: golden values take {size / 1000:.0f} KB; recorded in {time.monotonic() - started:.1f} s")


@app.command()
def verify(
    assignment: Name = "",
    extra: Annotated[Path | None, typer.Option(help="Folder with misconceptions, alternates, submissions/NAME/.")] = None,
    seeds: Annotated[int, typer.Option(help="Grade reference and alternates anew under this many seeds.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without mutants, and misconceptions on the checks of their module alone.")
    ] = False,
) -> None:
    """Measure the grader: reference and alternates 100, stubs 0, misconceptions and mutants rejected and named."""
    import json

    from tools.author.verify import render_verification
    from tools.author.verify import verify as measure

    results = {}
    for one in _assignments(assignment):
        results[one.id] = measure(one, extra, seeds, quick)
        typer.echo(render_verification(results[one.id]))
    if json_file:
        json_file.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")
    raise typer.Exit(0 if all(not r["problems"] for r in results.values()) else 1)


@app.command()
def release(
    to: Annotated[Path, typer.Option(help="A new folder, or a release to bring up to date.")],
    only: Annotated[list[str] | None, typer.Option(help="An assignment that is out; repeat it. Without: all.")] = None,
) -> None:
    """Build what students clone, and scan it: no solution, no hidden check, nothing off the list."""
    from autograder.assignment import Course
    from tools.release.release import release as build

    started = time.monotonic()
    done = build(Course.here(), to, tuple(only or ()))
    did = "wrote" if done.changes is None else "updated"
    typer.echo(f"{did} {to}: {done.files} files, {done.size / 1e6:.2f} MB, in {time.monotonic() - started:.1f} s; scanned")
    for line in [*(done.changes.lines() if done.changes else []), *done.headroom()]:
        typer.echo(f"  {line}")


@app.command()
def scan(
    path: Annotated[Path, typer.Argument(help="A folder, a zip or a file that is to be published.", exists=True)],
    hidden: Annotated[bool, typer.Option("--hidden", help="Hidden checks may be in it, as in a zip for Gradescope.")] = False,
) -> None:
    """Look for solutions, hidden checks, outputs and compiled files in what is to be published."""
    from autograder.assignment import Course
    from tools.release.scan import Scanner, read_files, scan_tree

    scanner = Scanner(Course.here().root, hidden)
    found = scan_tree(scanner, path) if path.is_dir() else scanner.scan(read_files(path))
    for finding in found:
        typer.echo(finding)
    typer.echo(f"{len(found)} findings", err=True)
    raise typer.Exit(1 if found else 0)


@app.command()
def gradescope(
    assignment: Annotated[str, typer.Argument(help="a01", show_default=False)],
    to: Annotated[Path, typer.Option(help="The zip to write.")],
    try_it: Annotated[bool, typer.Option("--try", help="A dry run of it with the stubs afterwards.")] = False,
) -> None:
    """Build the autograder zip that is uploaded to Gradescope."""
    import tempfile

    from autograder.assignment import Course
    from autograder.files import write_or_refuse
    from tools.gradescope.package import build, warnings

    one = Course.here().load(assignment)
    write_or_refuse(to, build(one))
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
    results: Annotated[Path, typer.Option(help="Folder for results.json and stdout.")],
    metadata: Annotated[Path | None, typer.Option(help="A submission_metadata.json.")] = None,
) -> None:
    """Run an autograder zip in Gradescope's layout, and check results.json against the contract."""
    _dry_run(archive, submission, results, metadata)


def _dry_run(archive: Path, submission: Path, results: Path, metadata: Path | None) -> None:
    from tools.gradescope.dry_run import dry_run, summary

    done = dry_run(archive, submission, results, metadata)
    typer.echo(summary(done))
    raise typer.Exit(3 if done.problems or "grader_fault" in done.statuses else 0)


@app.command()
def batch(
    assignment: Annotated[str, typer.Argument(help="a01", show_default=False)],
    source: Annotated[Path, typer.Option("--from", help="A Gradescope export, or a folder of submissions.")],
    to: Annotated[Path, typer.Option(help="Where results go; a run that was cut off goes on from there.")],
    jobs: Annotated[int, typer.Option(help="Submissions side by side.", min=1)] = 2,
    scheduler: Annotated[str, typer.Option(help="A dask scheduler: tcp://127.0.0.1:8786 or tls://host:8786.")] = "",
    against: Annotated[Path | None, typer.Option(help="An earlier --to: list whose score changes.")] = None,
    no_names: Annotated[bool, typer.Option("--no-names", help="Leave names out of the page of the class.")] = False,
) -> None:
    """Grade a class: CSV, JSON lines, a page for each submission and one for the class."""
    from autograder.assignment import Course
    from tools.batch.batch import batch as grade_class
    from tools.batch.batch import write_tables
    from tools.batch.progress import bar

    try:
        with bar(f"grading {assignment}") as progress:
            book = grade_class(Course.here().load(assignment), source, to, jobs, scheduler, against, progress)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What is graded is kept: call it again, and it goes on from there.", err=True)
        raise typer.Exit(1) from None
    write_tables(book, to, names=not no_names)
    faults = sum(e.faults for e in book.entries)
    typer.echo(f"{len(book.entries)} submissions, {book.graded_now} graded now, in {book.seconds:.1f} s: {to / 'class.html'}")
    for change in book.changes or []:
        typer.echo(f"  {book.who(change.key)}: {change.before:g} → {change.after:g} ({', '.join(change.checks)})")
    for line in [*book.missing, *(f"{e.who}: not graded, {e.refused}" for e in book.entries if e.refused)]:
        typer.echo(f"  {line}", err=True)
    raise typer.Exit(3 if faults else 0)


@app.command()
def bench(name: Annotated[str, typer.Argument(help="One benchmark, or nothing for all", show_default=False)] = "") -> None:
    """Time the grader as ratios to `import torch` in the same run."""
    from tools.bench.bench import run

    run(name)


@app.command()
def picture() -> None:
    """Draw the report that the README shows."""
    from autograder.assignment import Course
    from tools.picture import draw

    root = Course.here().root
    typer.echo(f"wrote {draw(root / 'docs' / 'report.svg').relative_to(root)}")


def _assignments(name: str) -> list:
    from autograder.assignment import Course

    course = Course.here()
    return [course.load(n) for n in ([name] if name else course.known())]


def main() -> None:
    """Run the app; an error of the course ends with its own sentence and exit status."""
    from autograder.errors import CourseError

    try:
        app(prog_name="python -m tools")
    except CourseError as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(error.status) from None


if __name__ == "__main__":
    main()
