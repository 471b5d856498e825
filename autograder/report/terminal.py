"""The report on a terminal: a line for what is right, an explanation of what is wrong, and what to do next.

Colour never carries meaning alone, so NO_COLOR and a pipe get the same words. Text of a submission is never markup.
"""

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from autograder.report.as_json import as_json
from autograder.report.next_step import COMMANDS, debug_command
from autograder.report.report import Report
from autograder.report.status import Status
from autograder.report.view import PartView, ReportView, RowView, format_points, view_report
from autograder.text import CUT, sanitize

MAX_LINES = 14  # of a message; a page shows all of them
MAX_PRINTED = 8  # lines of what the code printed
MAX_LINE = 300  # characters of one of them
_COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "soft": "dim", "fault": "magenta"}
Line = tuple[str, str]  # text and style


def print_report(report: Report, console: Console, verbose: bool = False) -> None:
    """Print the report. `verbose` adds what passed, a line each, and what each check took."""
    assignment, data = report.assignment, as_json(report)
    view = view_report(data)
    took = {row.id: f"{row.cpu_seconds:.2f} s CPU, {row.peak_kb / 1024:.0f} MB" for row in report.rows if row.peak_kb and verbose}
    console.print()
    summary = f"{view.counts}; {report.seconds:.1f} s"
    console.print(Text.assemble((f"{assignment.id}  {assignment.title}", "bold"), "   ", (summary, "dim")))
    for note in report.notes:
        _print_below(console, f"note: {note}", "yellow", indent=2)
    console.print()
    for part in view.parts:
        _print_part(console, part, assignment.package, verbose, took)
    if any(row.output and not _is_shown(row, part, verbose) for part in view.parts for row in part.rows):
        console.print()
        _print_below(console, "Checks that are not listed here printed something; ARGS=-v shows it.", "dim", indent=1)
    _print_closing(console, report, view, data["next"])


def _print_part(console: Console, part: PartView, package: str, verbose: bool, took: dict[str, str]) -> None:
    """Print a part with those of its checks that there is something to say about. took: by id, what a check took."""
    sign, style = ("·", "dim") if part.unwritten else (part.status.sign, _COLOURS[part.status.tone])
    _print_line(console, f"{sign} {part.number:>2}  {part.name}", part.title, part.points, part.max_points, style)
    if part.given and not part.unwritten:
        _print_below(console, f"judged with the given {' and '.join(part.given)} in place of yours", "dim", indent=5)
    for row in part.rows:
        if _is_shown(row, part, verbose):
            _print_row(console, row, package, took.get(row.id, ""))


def _is_shown(row: RowView, part: PartView, verbose: bool) -> bool:
    """Whether a check gets a line of its own. A part that is not written yet is one line, unless its code prints something."""
    if part.unwritten:
        return verbose and bool(row.output)
    return row.status is not Status.PASSED or verbose or row.on_request


def _print_row(console: Console, row: RowView, package: str, took: str) -> None:
    """Print a check, and what there is to say about it below."""
    points = row.points if row.max_points else None
    _print_line(console, f"   {row.status.sign} {row.number}", row.title, points, row.max_points, _COLOURS[row.status.tone])
    for text, style in _lines(row):
        _print_below(console, text, style)
    if row.can_be_debugged and not (row.same or row.again):
        _print_command(console, f"Debug it: {debug_command(package, row.id)}", "dim")
    if row.output:
        _print_output(console, row)
    if took:
        _print_below(console, took, "dim")


def _lines(row: RowView) -> Iterator[Line]:
    """What stands below the line of a check."""
    if row.same:
        yield "The same as above.", ""
    elif row.again:
        yield "Looks like the same mistake.", "bold"
    elif row.status is Status.PASSED:
        yield from [(row.message, "dim")] if row.message else []
    else:
        yield from ((line, "") for line in row.message.splitlines()[:MAX_LINES])
        if row.hint:
            yield row.hint, "bold"


def _print_output(console: Console, row: RowView) -> None:
    """Print what the code printed: the first and the last lines of it."""
    lines = [line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} …" for line in row.output.splitlines()]
    if len(lines) > MAX_PRINTED:
        lines[MAX_PRINTED // 2 : -(MAX_PRINTED // 2)] = [CUT]
    _print_below(console, f"{row.printed}:", "dim")
    for line in lines:
        _print_below(console, line, "", indent=10)


def _print_command(console: Console, text: str, style: str, indent: int = 8) -> None:
    """Print a line that holds a command. It is never folded, so that the command can be copied."""
    console.print(Text(" " * indent + sanitize(text, kept=""), style), soft_wrap=True)


def _print_below(console: Console, text: str, style: str, indent: int = 8) -> None:
    """Print a line under the line that it belongs to. It folds within its indentation."""
    console.print(Padding(Text(sanitize(text, kept=""), style), (0, 0, 0, indent), expand=False))


def _print_line(console: Console, left: str, text: str, earned: float | None, full: float, style: str) -> None:
    """A line with points at the right edge. The text folds under itself."""
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


def _print_closing(console: Console, report: Report, view: ReportView, next_step: list[str]) -> None:
    """Print the total, what another machine would grade, faults of the grader, and what to do next."""
    console.print()
    total = Text(f" {format_points(report.score)} of {format_points(report.max_score)} points", "bold")
    if report.interrupted:
        total.append("   interrupted: the report is incomplete", "yellow")
    console.print(total)
    if view.elsewhere:
        wanted = " or ".join(sorted({row.check.device.upper() for row in report.rows if row.check.device}))
        need = "check needs" if len(view.elsewhere) == 1 else "checks need"
        stake = f"{format_points(report.not_graded_here)} points at stake, outside the total"
        text = f" ○ {len(view.elsewhere)} extra {need} a {wanted} device: not graded here; {stake}"
        console.print(Text(text, "dim"))
    if view.faults:
        met = "check" if view.faults == 1 else "checks"
        console.print(Text(f" ? {view.faults} {met} met a fault of the grader; points are granted for now", "magenta"))
    for line in next_step:
        if line.startswith(COMMANDS):
            _print_command(console, line, "", indent=1)
        else:
            _print_below(console, line, "", indent=1)
