"""The picture of a report in the README: the reference of a01 with two mistakes and a file that is not written yet."""

import re
from pathlib import Path

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.report.report import Report
from autograder.report.terminal import print_report
from autograder.submission.working_copy import Tree
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.replace_definition import replace_definition
from tools.author.stubs import stubs

MISTAKES = ("mask_after_softmax", "eps_outside_the_root")
UNWRITTEN = "diagnostics.py"


def draw(path: Path) -> Path:
    """Write the report as SVG, and return its path. OSError if it cannot be written."""
    assignment = Course.here().load("a01")
    with reference_runs(assignment) as runs:
        report = runs.grade(_submission(runs), collect(assignment))
    path.parent.mkdir(exist_ok=True)
    path.write_text(_svg(report), encoding="utf-8")
    return path


def _submission(runs: ReferenceRuns) -> Tree:
    """The reference with the mistakes in it, and with one file as its stub."""
    tree = runs.reference
    for case in (case for case in runs.cases("misconceptions") if case.name in MISTAKES):
        name = f"{case.module}.py"
        text = replace_definition((tree.folder / name).read_text(encoding="utf-8"), case.qualname, case)
        tree = tree.with_file(runs.scratch / "picture" / case.name, name, text)
    stub = stubs(runs.assignment.course.root)[runs.assignment.folder / UNWRITTEN]
    return tree.with_file(runs.scratch / "picture" / "stub", UNWRITTEN, stub)


def _svg(report: Report) -> str:
    """The report as a terminal shows it. Fonts are left out, because they would be fetched from another site."""
    from rich.console import Console

    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=112, file=nowhere, force_terminal=True, highlight=False)
        print_report(report, console)
    return re.sub(r"@font-face \{.*?\}\s", "", console.export_svg(title="make grade A=a01"), flags=re.DOTALL)
