"""The results of a class as files for other programs: `grades.csv`, a row for each student, and `reports.jsonl`."""

import csv
import json
import re
from pathlib import Path

from autograder.files import write_atomically
from tools.batch.class_page import render_class_page
from tools.batch.gradebook import Entry, Gradebook, Student
from tools.batch.stored import ResultFolder


def write_tables(book: Gradebook, to: Path, names: bool = True) -> None:
    """Write `grades.csv`, `reports.jsonl` (a line for each submission) and the page of the class, `class.html`.

    names: whether the page of the class shows who is who.
    OSError: one of them cannot be written.
    """
    write_atomically(to / "reports.jsonl", "".join(json.dumps(e.as_json(), ensure_ascii=False) + "\n" for e in book.entries))
    _write_grades(book, to / "grades.csv")
    results = ResultFolder(to)
    links = {entry.key: results.page(entry.key).relative_to(to).as_posix() for entry in book.entries}
    write_atomically(to / "class.html", render_class_page(book, links, names))


def _write_grades(book: Gradebook, path: Path) -> None:
    rows = [_cells(entry, student) for entry in book.entries for student in entry.students or [Student()]]
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="utf-8-sig", newline="") as file:  # with the mark that spreadsheets look for
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    temporary.replace(path)


def _cells(entry: Entry, student: Student) -> dict[str, str | float]:
    report = entry.report
    misconceptions = sorted({c["misconception"] for c in report["checks"] if c["misconception"]})
    return {
        "sid": safe_cell(student.sid),
        "name": safe_cell(student.name),
        "email": safe_cell(student.email),
        "submission": safe_cell(entry.key),
        "score": report["score"],
        "max_score": report["max_score"],
        "created_at": safe_cell(entry.created_at),
        "not_graded": safe_cell(entry.refused or ("cut short by its deadline" if report.get("interrupted") else "")),
        "faults": entry.faults,
        "misconceptions": " ".join(misconceptions),
        **{f"{part['number']} {part['name']}": round(part["points"], 2) for part in report["parts"]},
    }


def safe_cell(text: str) -> str:
    """Text that a spreadsheet does not run: an apostrophe is put before what would start a formula.

    Some spreadsheets separate cells by a semicolon or a tab, so the text behind one is treated in the same way. So are the
    wide signs that some of them read as = + - @.
    """
    return re.sub(r"(^|[;\t\r\n])(?=[\s\"']*[=+\-@＝＋－＠]|[\t\r\n])", r"\1'", text)
