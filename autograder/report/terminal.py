"""The report on a terminal: what is right in a line, what is wrong explained, and what to do next.

Colour never carries meaning alone; NO_COLOR and a pipe get the same words. Text of a submission is never markup.
"""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from autograder.report.next_step import next_step
from autograder.report.report import Report, Row
from autograder.text import sanitize

SIGNS = {
    "passed": ("✓", "green"),
    "partial": ("◐", "yellow"),
    "failed": ("✗", "red"),
    "not_attempted": ("–", "yellow"),
    "not_graded_here": ("○", "dim"),
    "grader_fault": ("?", "magenta"),
}
MAX_LINES = 14
NOT_RUN = ("todo", "form", "missing", "syntax", "import", "forbidden")  # reasons that need no debugger


def print_report(report: Report, console: Console, verbose: bool = False) -> None:
    """Print the report. verbose: also what passed, one line each."""
    assignment = report.assignment
    console.print()
    console.print(Text.assemble((f"{assignment.id}  {assignment.title}", "bold"), "   ", (_summary(report), "dim")))
    for note in report.notes:
        console.print(Text(f"  note: {note}", "yellow"))
    console.print()
    said: set[str] = set()
    for part, rows in report.by_part():
        earned, full = sum(r.points for r in rows), sum(r.max_points for r in rows)
        counted = [r for r in rows if r.max_points] or rows
        sign, style = SIGNS["passed" if all(r.status == "passed" for r in counted) else "failed"]
        todo = [r for r in rows if r.reason == "todo"]
        if len(todo) == len([r for r in rows if r.status != "not_graded_here"]):
            sign, style = "·", "dim"
        _line(console, f"{sign} {part.number:>2}  {part.name}", part.title, earned, full, style)
        if sign == "·":
            continue
        if given := sorted({name for row in rows for name in row.given}):
            console.print(
                Padding(Text(f"judged with the given {' and '.join(given)} in place of yours", "dim"), (0, 0, 0, 5), expand=False)
            )
        named: set[str | None] = set()
        for row in rows:
            if (row.status != "passed" or verbose or row.check.on_request) and (
                row.status != "not_graded_here" or row.max_points
            ):
                _row(console, row, assignment.package, again=row.misconception in named, same=row.message in said)
                named |= {row.misconception} - {None}
                said |= {row.message} if row.status == "failed" else set()
    _closing(report, console)


def _row(console: Console, row: Row, package: str, again: bool, same: bool) -> None:
    """One check. again: its mistake has just been explained; same: its message has been shown."""
    sign, style = SIGNS[row.status]
    text = {"not_graded_here": f"not graded here, {row.message}", "not_attempted": f"not attempted, {row.message}"}.get(
        row.status, row.check.title
    )
    _line(console, f"   {sign} {row.number}", text, row.points if row.max_points else None, row.max_points, style)
    lines: list[tuple[str, str]] = []
    if row.status == "grader_fault":
        lines = [("fault of the grader, not of your code; it costs you nothing. Please report: " + row.message, "")]
    elif same:
        lines = [("The same as above.", "")]
    elif again:
        lines = [("Looks like the same mistake.", "bold")]
    elif row.check.on_request and row.status == "passed":
        lines = [(row.message, "dim")]
    elif row.status in ("failed", "partial"):
        lines = [(line, "") for line in row.message.splitlines()[:MAX_LINES]]
        if row.hint:
            lines.append((row.hint, "bold"))
        if not row.check.hidden and not row.check.on_request and row.reason not in NOT_RUN:
            if row.output.strip():
                lines.append(("It printed: " + " ⏎ ".join(row.output.strip().splitlines()[-3:])[-400:], "dim"))
            lines.append((f"Debug it: pytest assignments/{package} -k {row.check.name} --pdb", "dim"))
    for line, style in lines:
        console.print(Padding(Text(sanitize(line, kept=""), style), (0, 0, 0, 8), expand=False))


def _line(console: Console, left: str, text: str, earned: float | None, full: float, style: str) -> None:
    """A line with points at the right edge; the text folds under itself."""
    points = "" if earned is None else f"{format_points(earned)} / {format_points(full)}"
    width = min(console.width, 110)
    head = Text(f" {left}  ", style if style != "dim" else "")
    room = max(20, width - head.cell_len - 10)
    for i, line in enumerate(Text(sanitize(text, kept="")).wrap(console, room)):
        line.truncate(room, pad=True)
        console.print(
            Text.assemble(head if i == 0 else " " * head.cell_len, line, f"{points:>9}" if i == 0 else ""),
            no_wrap=True,
            overflow="crop",
        )


def _closing(report: Report, console: Console) -> None:
    console.print()
    total = Text(f" {format_points(report.score)} of {format_points(report.max_score)} points", "bold")
    if report.interrupted:
        total.append("   interrupted: the report is incomplete", "yellow")
    console.print(total)
    if missing := [r for r in report.rows if r.status == "not_graded_here"]:
        wants = " or ".join(sorted({r.check.device.upper() for r in missing if r.check.device}))
        need = "check needs" if len(missing) == 1 else "checks need"
        console.print(Text(f" ○ {len(missing)} extra {need} a {wants} device: not graded here, and without points", "dim"))
    if report.faults:
        met = "check" if len(report.faults) == 1 else "checks"
        console.print(Text(f" ? {len(report.faults)} {met} met a fault of the grader; points are granted for now", "magenta"))
    for line in next_step(report):
        console.print(Text(f" {line}"))


def _summary(report: Report) -> str:
    counts = [f"{n} {s.replace('_', ' ')}" for s in SIGNS if (n := sum(r.status == s for r in report.rows))]
    return f"{len(report.rows)} checks: {', '.join(counts)}; {report.seconds:.1f} s"


def format_points(x: float) -> str:
    """A number with at most two decimals."""
    return f"{x:.2f}".rstrip("0").rstrip(".")
