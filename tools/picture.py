"""The picture of a report in the README: the reference of a01 with two mistakes, a crash and a part not yet written."""

import re
from pathlib import Path

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.grading import grade
from autograder.report.terminal import print_report
from tools.author.reference_runs import reference_runs
from tools.author.replace_definition import replace_definition
from tools.author.stubs import stubs

MISTAKES = ("mask_after_softmax", "eps_outside_the_root")


def draw(path: Path) -> Path:
    """Write the report as SVG."""
    from rich.console import Console

    assignment = Course.here().load("a01")
    with reference_runs(assignment) as runs:
        tree = runs.reference
        for case in (c for c in runs.cases("misconceptions") if c.name in MISTAKES):
            name = f"{case.module}.py"
            text = replace_definition((tree.folder / name).read_text(encoding="utf-8"), case.qualname, case)
            tree = tree.with_file(runs.scratch / "picture" / case.name, name, text)
        stub = stubs(assignment.course.root)[assignment.folder / "inspect.py"]
        tree = tree.with_file(runs.scratch / "picture" / "stub", "inspect.py", stub)
        scratch = runs.scratch / "grade"
        scratch.mkdir()
        report = grade(runs.run, tree, collect(assignment), scratch)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=112, file=nowhere, force_terminal=True, highlight=False)
        print_report(report, console)
    path.parent.mkdir(exist_ok=True)
    svg = re.sub(r"@font-face \{.*?\}\s", "", console.export_svg(title="make grade A=a01"), flags=re.DOTALL)  # no fonts from afar
    path.write_text(svg, encoding="utf-8")
    return path
