"""What each row of a report shows, worked out once. Terminal, page and Gradescope only draw it.

A view is made from the JSON report, so that a class can be shown again without being graded again.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from autograder.judge.reason import Reason
from autograder.report.status import Status


@dataclass(frozen=True)
class RowView:
    """One check as a reader sees it.

    message: what is to be said about it. A passed check has none, unless it ran on request.
    hint: a known mistake that it looks like.
    output: what the code printed. Of checks that printed the same, one has it.
    others: how many other checks printed the same.
    given: parts of the student's that a given one stood in for.
    same: its message has just been read at another check.
    again: its mistake has just been explained in the same part.
    """

    id: str
    number: str
    part: str
    title: str
    status: Status
    points: float
    max_points: float
    reason: str
    message: str
    hint: str
    misconception: str | None
    output: str
    given: tuple[str, ...]
    tags: tuple[str, ...]
    on_request: bool
    same: bool = False
    again: bool = False
    others: int = 0

    @classmethod
    def of(cls, check: dict[str, Any]) -> "RowView":
        """The row of one check of the JSON report, by itself."""
        status, on_request = Status.of(check["status"]), check.get("on_request", False)
        message, output = (check["message"] or "").strip(), (check.get("output") or "").strip("\n")
        silent = status is Status.PASSED and not on_request
        return cls(
            id=check["id"],
            number=check["number"],
            part=check["part"],
            title=check["title"].strip(),
            status=status,
            points=check["points"],
            max_points=check["max_points"],
            reason=check["reason"],
            message="" if silent else status.explain(message),
            hint=(check["hint"] or "").strip(),
            misconception=check["misconception"],
            output=output if output.strip() else "",
            given=tuple(check.get("given", ())),
            tags=tuple(check.get("tags", ())),
            on_request=on_request,
        )

    @property
    def hidden(self) -> bool:
        """Whether nothing of the check but its verdict may be shown."""
        return self.id.startswith("hidden/")

    @property
    def name(self) -> str:
        """The name of the check, as `--only` takes it."""
        return self.id.partition("::")[2].partition("[")[0]

    @property
    def can_be_debugged(self) -> bool:
        """Whether running it alone in a debugger may help. It does not help with a problem on paper."""
        code_ran = self.part != "by_hand" and (not self.reason or Reason(self.reason).needs_a_debugger)
        return self.status in (Status.PARTIAL, Status.FAILED) and code_ran and not self.hidden and not self.on_request

    @property
    def printed(self) -> str:
        """What stands above the output."""
        if not self.others:
            return "It printed"
        return f"It printed (the same in {self.others} other {'check' if self.others == 1 else 'checks'})"

    @property
    def not_reached(self) -> bool:
        """Whether the run ended before this check had its turn."""
        return not_reached(self.status, self.reason)


@dataclass(frozen=True)
class PartView:
    """One part with the rows that are graded on this machine."""

    name: str
    number: int
    title: str
    points: float
    max_points: float
    rows: tuple[RowView, ...]

    @cached_property
    def unwritten(self) -> bool:
        """Whether nothing of the part is written yet."""
        visible = [row for row in self.rows if not row.hidden]  # why a hidden check failed is not shown
        return bool(visible) and all(row.reason == Reason.TODO for row in visible) and not self.points

    @cached_property
    def status(self) -> Status:
        """What the part came to as a whole."""
        if self.unwritten:
            return Status.NOT_ATTEMPTED
        if any(row.status.is_open for row in self.rows):
            return Status.FAILED
        return Status.PASSED if len(self.passed) == len(self.rows) else Status.GRADER_FAULT

    @property
    def passed(self) -> list[RowView]:
        """The rows that pass."""
        return [row for row in self.rows if row.status is Status.PASSED]

    @property
    def open(self) -> list[RowView]:
        """The other rows, about which there is something to say."""
        return [row for row in self.rows if row.status is not Status.PASSED]

    @property
    def given(self) -> list[str]:
        """Parts of the student's that a given one stood in for, somewhere in this part."""
        return sorted({name for row in self.rows for name in row.given})


@dataclass(frozen=True)
class ReportView:
    """A whole report.

    parts: those that have rows which are graded on this machine.
    elsewhere: the rows that need another machine.
    """

    parts: tuple[PartView, ...]
    elsewhere: tuple[RowView, ...]

    @property
    def rows(self) -> list[RowView]:
        """All rows, part by part, and then those that need another machine."""
        return [*(row for part in self.parts for row in part.rows), *self.elsewhere]

    @property
    def faults(self) -> int:
        """Checks that met a fault of the grader."""
        return sum(row.status.granted for row in self.rows)

    @property
    def counts(self) -> str:
        """How many checks came to what, as in "93 checks: 91 passed, 2 failed"."""
        counts = Counter(row.status for row in self.rows)
        return f"{len(self.rows)} checks: " + ", ".join(f"{counts[s]} {s.words}" for s in Status if counts[s])


def view_report(report: dict[str, Any]) -> ReportView:
    """The view of a JSON report."""
    rows = _without_repetition(view_rows(report))
    here = [row for row in rows if row.status.is_verdict]
    parts = []
    for part in report["parts"]:
        own = tuple(row for row in here if row.part == part["name"])
        parts.append(PartView(part["name"], part["number"], part["title"], part["points"], part["max_points"], own))
    return ReportView(tuple(part for part in parts if part.rows), tuple(row for row in rows if not row.status.is_verdict))


def view_rows(report: dict[str, Any]) -> list[RowView]:
    """The rows of a JSON report in its order. What several checks printed alike, as at an import, stands in one of them."""
    rows = [RowView.of(check) for check in report["checks"]]
    alike: dict[str, list[RowView]] = {}
    for row in rows:
        alike.setdefault(row.output, []).append(row)
    shown = {}
    for output, group in alike.items():
        read = [row for row in group if row.status.is_open and row.reason != Reason.TODO]  # what a reader looks at first
        shown[output] = (read or group)[0]
    return [
        replace(row, others=len(alike[row.output]) - 1 if row.output else 0)
        if row is shown[row.output]
        else replace(row, output="")
        for row in rows
    ]


def _without_repetition(rows: list[RowView]) -> list[RowView]:
    """The rows with `same` and `again` filled in. So a message is read once, and a mistake is explained once in each part."""
    messages: set[str] = set()
    mistakes: set[tuple[str, str]] = set()
    result = []
    for row in rows:
        mistake = (row.part, row.misconception or "")
        result.append(replace(row, same=not row.hidden and row.message in messages, again=mistake in mistakes))
        if row.status in (Status.FAILED, Status.NOT_ATTEMPTED):
            messages.add(row.message)
        if row.misconception:
            mistakes.add(mistake)
    return result


def not_reached(status: str, reason: str | None) -> bool:
    """Whether the run ended before a check had its turn.

    A check that is not attempted because it waits for another part has failed first, so it has a reason.
    """
    return status == Status.NOT_ATTEMPTED and not reason


def format_points(points: float) -> str:
    """A number with at most two decimals, and none that are zero."""
    return f"{points:.2f}".rstrip("0").rstrip(".")
