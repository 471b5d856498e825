"""What to do next: the one thing that a report wants its reader to take away."""

from autograder.judge.reason import Reason
from autograder.report.report import Report
from autograder.source.stub_text import handout_step


def next_step(report: Report) -> list[str]:
    """What to do next: the first thing that is open, in the order of the handout."""
    lost = [row for row in report.rows if row.status.is_open]
    open_rows = [r for r in lost if r.max_points] or [r for r in lost if r.check.on_request]
    if report.faults and not open_rows:
        return ["Nothing else is open. Please tell your instructor about the fault."]
    if not open_rows:
        return ["Everything that can be graded here is right."]
    row = open_rows[0]
    package, command = report.assignment.package, f"make grade A={report.assignment.id}"
    if row.reason != Reason.TODO:
        return [
            f"Next: fix {row.check.part} (check {row.number}); the handout is assignments/{package}/README.md, section {row.check.part.split('.')[0]}.",
            *([] if row.check.hidden else [f"Quick: {command} ONLY={row.check.name}{' ARGS=--long' * row.check.on_request}"]),
        ]
    if row.check.part == "by_hand":
        return [f"Next: the problems in assignments/{package}/by_hand.toml."]
    module, _, name = row.check.part.partition(".")
    step = handout_step(row.message)
    todo = sum(1 for part, rows in report.by_part() if rows and all(r.reason == Reason.TODO for r in rows if r.max_points))
    welcome = [f"{todo} parts are yours to write. Start small:"] if todo > 1 and report.score == 0 else []
    place = f" (handout assignments/{package}/README.md: {step})." if step else "."
    return [*welcome, f"Next: open assignments/{package}/{module}.py and write {name}{place}", f"Then: {command} ONLY={name}"]
