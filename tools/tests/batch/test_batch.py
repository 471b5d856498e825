"""A class graded for real: poisoned submissions beside honest ones, kills and resumptions, sheets and pages."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autograder.errors import GraderFault
from autograder.tests.sandbox.attacks import HONEST, source
from autograder.tests.toy_course import course_copy, wait_for_worker
from tools.batch.export import METADATA
from tools.batch.stored import file_name
from tools.batch.tables import safe_cell

WRONG_SIGN = HONEST | {"weighted": "return -(x @ w)"}
FORMULA = '=HYPERLINK("http://x","y")'


HANGS = "import time\nopen('started', 'w')\nwhile True: time.sleep(1)"


def start(course, command: list[str], **streams) -> subprocess.Popen:
    """A command of the tools in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "tools", *command], env=course.environment(), text=True, **streams)


def hand_in(folder: Path, classmates: dict[str, dict], names: dict[str, list] | None = None) -> Path:
    """An export with these submissions: bodies by key."""
    for key, bodies in classmates.items():
        (folder / key).mkdir(parents=True)
        text = bodies if isinstance(bodies, str) else source(bodies)
        (folder / key / "sums.py").write_text(text)
    table = {}
    for number, key in enumerate(classmates, 1):
        people = (names or {}).get(key) or [
            {":name": f"Person {number}", ":sid": f"00{number}", ":email": f"p{number}@example.org"}
        ]
        table[key] = {":submitters": people, ":created_at": "2026-11-06 07:13:47 Z"}
    (folder / METADATA).write_text(yaml.safe_dump(table, allow_unicode=True), encoding="utf-8")
    return folder


def grade(toy, folder: Path, to: Path, *options: str, status: int = 0) -> list[dict]:
    done = toy.run("batch", "a90", "--from", str(folder), "--to", str(to), *options, module="tools")
    assert done.returncode == status, done.stderr
    return sheet(to) if status == 0 else done


def sheet(to: Path) -> list[dict]:
    with (to / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def scores(rows: list[dict]) -> dict[str, float]:
    return {row["submission"]: float(row["score"]) for row in rows}


@pytest.fixture(scope="module")
def small(toy, tmp_path_factory):
    """A graded class of three, with a group, a name that is a formula, and one that is written from right to left."""
    root = tmp_path_factory.mktemp("small")
    names = {
        "submission_1": [{":name": FORMULA, ":sid": "0007"}, {":name": "מרים", ":sid": 8, ":email": "+1@example.org"}],
        "submission_2": [{":name": "Zoë \u202eeoZ\x1b[2J", ":sid": "@sum"}],
    }
    folder = hand_in(root / "in", {"submission_1": HONEST, "submission_2": WRONG_SIGN, "submission_3": HONEST}, names)
    return folder, root / "out", grade(toy, folder, root / "out")


@pytest.mark.slow
def test_each_student_has_a_row_and_each_submission_a_line_and_a_page(small):
    _, to, rows = small
    assert [(r["submission"], r["sid"], float(r["score"])) for r in rows] == [
        ("submission_1", "0007", 100),
        ("submission_1", "8", 100),
        ("submission_2", "'@sum", 40),
        ("submission_3", "003", 100),
    ]
    assert rows[2]["misconceptions"] == "sign_turned"
    lines = [json.loads(line) for line in (to / "reports.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["submission_1", "submission_2", "submission_3"]
    assert sorted(p.name for p in (to / "pages").iterdir()) == [f"submission_{i}.html" for i in (1, 2, 3)]


@pytest.mark.slow
def test_a_name_is_neither_a_formula_nor_markup_nor_an_escape(small):
    _, to, rows = small
    assert rows[0]["name"] == f"'{FORMULA}" and rows[1]["email"] == "'+1@example.org" and rows[1]["name"] == "מרים"
    assert rows[2]["name"] == "Zoë �eoZ�[2J"
    page = (to / "class.html").read_text()
    assert "&#34;http://x&#34;" in page and "\x1b" not in page and "\u202e" not in page


@pytest.mark.slow
def test_what_is_graded_is_taken_over_and_what_changed_is_graded_anew(toy, small, tmp_path):
    folder, to, before = small
    shutil.copytree(folder, tmp_path / "in")
    shutil.copytree(to, tmp_path / "out")
    (tmp_path / "in/submission_3/sums.py").write_text(source(WRONG_SIGN))
    (tmp_path / "out/reports/submission_1.json").write_text('{"digest": "cut of')
    done = toy.run(
        "batch", "a90", "--from", str(tmp_path / "in"), "--to", str(tmp_path / "out"), "--against", str(to), module="tools"
    )
    assert "3 submissions, 2 graded now" in done.stdout, done.stderr
    assert "Person 3: 100 → 40 (test_sums.py::test_value" in done.stdout
    assert scores(sheet(tmp_path / "out")) == scores(before) | {"submission_3": 40}
    assert "Scores that the mended checks change" in (tmp_path / "out/class.html").read_text()


@pytest.mark.slow
def test_a_mended_check_grades_everyone_anew(toy, small, tmp_path):
    folder, to, _ = small
    shutil.copytree(to, tmp_path / "out")
    with course_copy(toy.root, tmp_path / "course") as course:
        checks = course.root / "assignments/a90_toy/tests/test_sums.py"
        checks.write_text(checks.read_text() + "\n# mended\n")
        done = course.run("batch", "a90", "--from", str(folder), "--to", str(tmp_path / "out"), module="tools")
    assert "3 submissions, 3 graded now" in done.stdout, done.stderr


@pytest.mark.slow
def test_without_names_the_page_of_the_class_tells_no_one(toy, small, tmp_path):
    folder, to, _ = small
    shutil.copytree(to, tmp_path / "out")
    grade(toy, folder, tmp_path / "out", "--no-names")
    page = (tmp_path / "out/class.html").read_text()
    people = ["HYPERLINK", "0007", "מרים", "example.org", "Zoë", "@sum", "Person", "003", "submission_", "pages/", "2026-11-06"]
    assert not [text for text in people if text in page]
    assert "submission 3" in page


@pytest.mark.slow
def test_a_poisoned_submission_changes_no_other(toy, tmp_path):
    """All are graded beside each other. An honest one that had to wait too long would lose points to its deadline."""
    poison = {
        "hangs": source(HONEST, "import time\nwhile True: time.sleep(1)"),
        "exits": source(HONEST, "import os; os._exit(0)"),
        "hoards": source(HONEST, "x = [bytearray(1 << 26) for _ in range(10**6)]"),
        "floods": source(HONEST, "while True: print('y' * 10**6)"),
        "kills": source(HONEST, "import os\nfor pid in (os.getppid(), -1): os.kill(pid, 9)"),
        "breaks": "def (:",
    }
    honest = {f"honest_{i}": HONEST for i in range(4)}
    order = [*list(poison.items())[:3], *list(honest.items())[:2], *list(poison.items())[3:], *list(honest.items())[2:]]
    folder = hand_in(tmp_path / "in", dict(order))
    (tmp_path / "in/honest_0/bomb.py").symlink_to("/dev/zero")
    rows = grade(toy, folder, tmp_path / "out")
    found = scores(rows)
    assert {found[key] for key in honest} == {100}
    assert {found[key] for key in poison} == {0}
    assert not [row["faults"] for row in rows if row["faults"] != "0"]


@pytest.mark.slow
def test_what_cannot_be_graded_costs_no_one_else_and_is_tried_again(toy, tmp_path):
    """Archives that are none, a folder that holds nothing, and a fault of the grader that a later run makes good."""
    for key in ("fine", "faulty", "nothing"):
        (tmp_path / "in" / key).mkdir(parents=True)
    for key in ("fine", "faulty"):
        (tmp_path / "in" / key / "sums.py").write_text(source(HONEST))
    (tmp_path / "in/damaged.zip").write_bytes(b"PK\x03\x04")
    with zipfile.ZipFile(tmp_path / "in/leads_out.zip", "w") as archive:
        archive.writestr("../sums.py", source(HONEST))
    with zipfile.ZipFile(tmp_path / "in/=fine.zip", "w") as archive:
        archive.writestr("inner/sums.py", source(HONEST))
    os.mkfifo(tmp_path / "in/pipe.zip")
    rows = grade(toy, tmp_path / "in", tmp_path / "out")
    assert scores(rows) == {
        "damaged.zip": 0,
        "faulty": 100,
        "fine": 100,
        "leads_out.zip": 0,
        "nothing": 0,
        "pipe.zip": 0,
        "'=fine.zip": 100,
    }
    said = {row["submission"]: row["not_graded"] for row in rows}
    assert "damaged" in said["damaged.zip"] and "leads out" in said["leads_out.zip"] and "not a folder" in said["pipe.zip"]
    assert all(
        json.loads(line)["report"]["manifest"] == [c["id"] for c in json.loads(line)["report"]["checks"]]
        for line in (tmp_path / "out/reports.jsonl").read_text().splitlines()
    )
    stored = json.loads((tmp_path / "out/reports/faulty.json").read_text())
    stored["entry"]["report"]["checks"][0]["status"] = "grader_fault"
    (tmp_path / "out/reports/faulty.json").write_text(json.dumps(stored))
    done = toy.run("batch", "a90", "--from", str(tmp_path / "in"), "--to", str(tmp_path / "out"), module="tools")
    assert "7 submissions, 4 graded now" in done.stdout and done.returncode == 0, (
        done.stderr
    )  # the faulty, and what could not be read


@pytest.mark.slow
def test_an_error_of_ours_becomes_a_report_of_faults_for_that_submission_alone(toy, tmp_path, monkeypatch):
    from autograder.assignment import Course
    from autograder.check.collecting import collect
    from tools.batch import grade as grading

    assignment = Course.here().load("a01")
    checks = collect(assignment)

    def fail(error):
        def grade_submission(*_, **__):
            raise error

        monkeypatch.setattr(grading, "grade_submission", grade_submission)
        return grading.grade_one(tmp_path, assignment, checks, server=None)

    report, _, refused = fail(ZeroDivisionError("\x1b[2J"))
    assert {c["status"] for c in report["checks"]} == {"grader_fault"} and report["score"] == report["max_score"]
    assert "ZeroDivisionError" in refused and "\x1b" not in json.dumps(report) + refused
    report, _, refused = fail(OSError(28, "No space left on device"))  # what a submission may bring about gains nothing
    assert {c["status"] for c in report["checks"]} == {"grader_fault"} and report["score"] == 0 and "No space" in refused
    with pytest.raises(GraderFault):
        fail(GraderFault("the worker server does not run"))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(toy, tmp_path):
    """The fifth and the sixth hang for as long as the first run lives, and two are graded at a time."""
    classmates = {f"submission_{i}": HONEST if i % 2 else WRONG_SIGN for i in range(8)}
    folder = hand_in(tmp_path / "in", classmates | dict.fromkeys(("submission_4", "submission_5"), source(HONEST, HANGS)))
    reports = tmp_path / "out/reports"
    with course_copy(toy.root, tmp_path / "course", seconds=1000) as course:
        command = ["batch", "a90", "--from", str(folder), "--to", str(tmp_path / "out")]
        process = start(course, command, start_new_session=True, stdout=subprocess.DEVNULL)
        while len(list(reports.glob("submission*.json"))) < 4:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kept = {p.name: p.stat().st_mtime_ns for p in reports.glob("submission*.json")}
        assert sorted(kept) == [f"submission_{i}.json" for i in range(4)]
        for key in ("submission_4", "submission_5"):
            (folder / key / "sums.py").write_text(source(classmates[key]))
        done = course.run(*command, module="tools")
    assert "8 submissions, 4 graded now" in done.stdout, done.stderr
    assert all((reports / name).stat().st_mtime_ns == at for name, at in kept.items())
    assert scores(sheet(tmp_path / "out")) == {f"submission_{i}": 100 if i % 2 else 40 for i in range(8)}


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(toy, tmp_path):
    folder = hand_in(tmp_path / "in", {f"submission_{i}": source(HONEST, HANGS) for i in range(3)})
    with course_copy(toy.root, tmp_path / "course", seconds=1000) as course:
        process = start(course, ["batch", "a90", "--from", str(folder), "--to", str(tmp_path / "out")], stderr=subprocess.PIPE)
        wait_for_worker(process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 1 and "goes on from there" in said and "Traceback" not in said


@pytest.mark.slow
def test_the_class_gets_the_grades_that_gradescope_would_give(toy, tmp_path):
    classmates = {
        "honest": HONEST,
        "sign": WRONG_SIGN,
        "half": HONEST | {"mean": "return x"},
        "crlf": source(HONEST).replace("\n", "\r\n"),
    }
    rows = grade(toy, hand_in(tmp_path / "in", classmates), tmp_path / "out")
    for key, score in scores(rows).items():
        results, _ = toy.submit(tmp_path / "in" / key, tmp_path / key, {})
        assert json.loads(results.read_text())["score"] == score, key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--from", "nowhere", "--to", "out"), "does not exist"),
        (("--from", ".", "--to", "out", "--against", "nowhere"), "holds no reports"),
        (("--from", ".", "--to", "out", "--scheduler", "tcp://10.0.0.7:8786"), "in the open"),
    ],
)
@pytest.mark.slow
def test_bad_input_is_refused_with_a_reason(toy, tmp_path, options, words):
    hand_in(tmp_path / "in", {"submission_1": HONEST})
    options = [str(tmp_path / "in") if o == "." else str(tmp_path / o) if o in ("out", "nowhere") else o for o in options]
    done = toy.run("batch", "a90", *options, module="tools")
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


@given(st.text(max_size=20) | st.text(alphabet="=+-@;\t\r\n '\"a＝", max_size=20))
def test_no_cell_starts_a_formula_wherever_a_spreadsheet_splits_it(text):
    cell = safe_cell(text)
    assert cell.replace("'", "") == text.replace("'", "")
    for part in re.split(r"[;\t\r\n]", cell):
        assert part.lstrip(' "')[:1] not in ("=", "+", "-", "@", "＝")
    assert cell[:1] not in ("\t", "\r", "\n")


@pytest.mark.parametrize(
    "text", ["Ana-María O'Neil", "ana@example.org", "2026-11-06 07:13:47 Z", "0042", "Smith; John", "-", "ليلى"]
)
def test_ordinary_names_stay_as_they_are(text):
    assert safe_cell(text) == (text if text != "-" else "'-")


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_file_names_are_harmless_and_no_two_keys_share_one(a, b):
    name = file_name(a)
    assert name == Path(name).name and name not in (".", "..") and name.isascii() and len(name) < 100
    assert (file_name(a) == file_name(b)) == (a == b)
