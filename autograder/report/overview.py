"""All assignments at a glance: a line about each as soon as it is graded, and how to see one whole."""

from rich.console import Console

from autograder.report.next_step import next_part
from autograder.report.report import Report
from autograder.report.status import Status
from autograder.report.view import format_points


class Overview:
    """A table that grows. titles: of all assignments that may follow, because they decide the width of a column.

    reports: those that have a line.
    """

    def __init__(self, console: Console, titles: list[str]):
        self.reports: list[Report] = []
        self._console, self._width = console, max(map(len, titles), default=0)

    def add(self, report: Report) -> None:
        """Print the line of one report."""
        if not self.reports:
            self._print("", "assignment", "points", "checks passed", "next part", "dim")
        self.reports.append(report)
        graded = [row for row in report.rows if row.status.is_verdict]
        passed = sum(row.status is Status.PASSED for row in graded)
        points = f"{format_points(report.score)} of {format_points(report.max_score)}"
        self._print(report.assignment.id, report.assignment.title, points, f"{passed} of {len(graded)}", _next(report))

    def close(self) -> None:
        """Print how to see one whole: the first that is not done."""
        first = next((report for report in self.reports if next_part(report)), self.reports[0])
        text = f"\n Everything about one of them: make grade A={first.assignment.id}"
        self._console.print(text, markup=False, soft_wrap=True)

    def _print(self, name: str, title: str, points: str, passed: str, what: str, style: str = "") -> None:
        line = f" {name:3}  {title:{self._width}}  {points:>10}  {passed:>13}  {what}"
        self._console.print(line, style=style, markup=False, soft_wrap=True)


def _next(report: Report) -> str:
    """What the last column says."""
    if report.interrupted:
        return "interrupted: the grade is incomplete"
    if report.faults:
        return f"a fault of the grader: {report.faults[0].check.part}"
    return next_part(report) or "nothing is open"
