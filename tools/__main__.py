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
def stubs() -> None:
    """Write the students' stubs from the reference."""
    from autograder.assignment import ROOT
    from tools.stubs import write_stubs

    for path in write_stubs(ROOT):
        typer.echo(f"wrote {path.relative_to(ROOT)}")


@app.command()
def golden(assignment: Name = "") -> None:
    """Record golden observations, tolerances and sketches from the reference."""
    from autograder.assignment import ROOT
    from tools.golden import golden as record

    for one in _assignments(assignment):
        started = time.monotonic()
        for path in record(one):
            typer.echo(f"wrote {path.relative_to(ROOT)}")
        size = sum(f.stat().st_size for f in (one.folder / "tests" / "golden").iterdir())
        typer.echo(f"{one.id}: golden values take {size / 1000:.0f} KB; recorded in {time.monotonic() - started:.1f} s")


@app.command()
def verify(
    assignment: Name = "",
    extra: Annotated[Path | None, typer.Option(help="Folder with misconceptions.py, alternates.py, submissions/NAME/.")] = None,
    seeds: Annotated[int, typer.Option(help="Grade reference and alternates anew under this many seeds.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without mutants, and misconceptions on the checks of their module alone.")
    ] = False,
) -> None:
    """Measure the grader: reference and alternates 100, stubs 0, misconceptions and mutants rejected and named."""
    import json

    from tools.verify import page
    from tools.verify import verify as measure

    results = {}
    for one in _assignments(assignment):
        results[one.id] = measure(one, extra, seeds, quick)
        typer.echo(page(results[one.id]))
    if json_file:
        json_file.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")
    raise typer.Exit(0 if all(not r["problems"] for r in results.values()) else 1)


@app.command()
def bench(name: Annotated[str, typer.Argument(help="One benchmark, or nothing for all", show_default=False)] = "") -> None:
    """Time the grader as ratios to `import torch` in the same run."""
    from tools.bench import run

    run(name)


@app.command()
def picture() -> None:
    """Draw the report that the README shows."""
    from autograder.assignment import ROOT
    from tools.picture import draw

    typer.echo(f"wrote {draw(ROOT / 'docs' / 'report.svg').relative_to(ROOT)}")


def _assignments(name: str) -> list:
    from autograder.assignment import known, load

    return [load(n) for n in ([name] if name else known())]


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
