"""What to do next: the one thing that a report wants its reader to take away."""

from autograder.judge.reason import Reason
from autograder.report.report import Report, Row
from autograder.source.stub_text import handout_step

COMMANDS = ("Quick: ", "Then: ")  # what a line begins with that holds a command


def next_step(report: Report) -> list[str]:
    """What to do next, in one to three lines: about the first check that is open, in the order of the handout."""
    row = _first_open(report)
    if row is None:
        return [
            "Nothing else is open. Please tell your instructor about the fault."
            if report.faults
            else "Everything that can be graded here is right."
        ]
    if row.reason is not Reason.TODO:
        return _fix(report, row)
    if row.check.part == "by_hand":
        return [f"Next: solve the problems in {_folder(report)}/by_hand.toml."]
    return _write(report, row)


def debug_command(package: str, check_id: str) -> str:
    """The command that runs one check in a debugger. It works in the folder of the course, with no environment active."""
    return f".venv/bin/python -m pytest assignments/{package}/tests/{check_id} --pdb"


def next_part(report: Report) -> str | None:
    """The part to go on with, or None where nothing is open."""
    row = _first_open(report)
    return row.check.part if row else None


def _first_open(report: Report) -> Row | None:
    """The first check that loses points. Where none does, the first one that runs on request and is open."""
    rows = [row for row in report.rows if row.status.is_open and row.reason is not Reason.NOT_TRIED]
    candidates = [row for row in rows if row.max_points] or [row for row in rows if row.check.on_request]
    return candidates[0] if candidates else None


def _fix(report: Report, row: Row) -> list[str]:
    """How to go on with a part that is written and wrong."""
    part, name = row.check.part, row.check.name
    section = part.partition(".")[0]
    lines = [f"Next: fix {part} (check {row.number}). Read {_folder(report)}/README.md, section {section}."]
    if not row.check.hidden:
        lines.append(f"Quick: {_command(report)} ONLY={name}{' ARGS=--long' if row.check.on_request else ''}")
    return lines


def _write(report: Report, row: Row) -> list[str]:
    """How to begin with a part that is not written yet."""
    module, _, name = row.check.part.partition(".")
    step = handout_step(row.message)
    place = f" (handout {_folder(report)}/README.md: {step})" if step else ""
    unwritten = sum(_is_unwritten(rows) for _, rows in report.by_part())
    welcome = f"{unwritten} parts are yours to write. Start small:"
    return [
        *([welcome] if unwritten > 1 and report.score == 0 else []),
        f"Next: open {_folder(report)}/{module}.py and write {name}{place}.",
        f"Then: {_command(report)} ONLY={name}",
    ]


def _is_unwritten(rows: list[Row]) -> bool:
    """Whether each check of a part that carries points finds it unwritten."""
    reasons = {row.reason for row in rows if row.max_points}
    return reasons == {Reason.TODO}


def _folder(report: Report) -> str:
    return f"assignments/{report.assignment.package}"


def _command(report: Report) -> str:
    return f"make grade A={report.assignment.id}"
