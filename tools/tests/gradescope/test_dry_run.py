"""The autograder zip and its dry runs: every kind of submission, in Gradescope's layout, by real processes."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from autograder.assignment import Course
from autograder.gradescope import run as gradescope_run
from autograder.gradescope.policy import Settings
from autograder.report.as_json import manifest_hash
from autograder.source.copies import KNOWN
from autograder.tests.toy_course import Toy, course_copy
from tools.gradescope.dry_run import METADATA, DryRun, dry_run, read_results, summary
from tools.gradescope.package import build

HERE = Course.here()
TABLE = """
[gradescope]
timeout_minutes = 10
[gradescope.late]
grace_minutes = 15
percent_per_day = 10
max_percent = 50
[gradescope.rate]
submissions = 2
hours = 24
"""
HIDDEN = '''"""A check that never ships."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import needs, part
from autograder.check import matches_reference


@part("sums.mean")
@needs("sums.weighted")
@weight(10)
@matches_reference
def test_canary_of_four(solution, draw):
    """Four values with a canary."""
    return {"out": solution.sums.mean(draw.normal(4, 4), draw.normal(4))}
'''
SOLUTION = re.compile(r"# BEGIN SOLUTION.*?\n(.*?)# END SOLUTION", re.S)
IDS = ["test_sums.py::test_value", "test_sums.py::test_speed", "test_sums.py::test_memory", "test_sums.py::test_mean"]
OF_THEIR_OWN = ("half done", "hang", "BOM, one part wrong")  # as whole dry runs; the others in a process that they share
IDS += ["hidden/test_hidden.py::test_canary_of_four"]


@dataclass
class Packed:
    """A toy course with a hidden check, a leaderboard column and policies, and its autograder zip."""

    toy: Toy
    archive: Path

    def submit(self, tmp_path: Path, submission: Path, **told) -> DryRun:
        """A dry run of the zip."""
        metadata = tmp_path / "metadata.json"
        metadata.write_text(json.dumps(METADATA | told))
        return dry_run(self.archive, submission, tmp_path / "results", metadata)

    def grade(self, tmp_path: Path, submission: Path, **told) -> DryRun:
        """What the script in the zip calls, in a process that these tests share; the contract is checked as in a dry run."""
        started = time.monotonic()
        root = Path(tempfile.mkdtemp(dir=tmp_path)) / "autograder"
        path, said = self.toy.submit(submission, root, METADATA | told)
        value, problems = read_results(path, path.parent.parent)
        return DryRun(value, said, time.monotonic() - started, problems)


def pack_toy(course: Toy) -> Packed:
    """Add to the toy course what a zip has more of, record golden values, and build the zip."""
    root = course.root
    folder = root / "assignments/a90_toy"
    (folder / "assignment.toml").write_text((folder / "assignment.toml").read_text() + TABLE)
    checks = folder / "tests/test_sums.py"
    extra = "from autograder.check import ranks\nfrom gradescope_utils.autograder_utils.decorators import tags\n"
    text = checks.read_text().replace("@keeps_pace", '@ranks("pace", "asc")\n@tags("speed")\n@keeps_pace')
    checks.write_text(text.replace("\n\n@part", f"\n{extra}\n@part", 1))
    (root / "reference/a90_toy/hidden").mkdir()
    (root / "reference/a90_toy/hidden/test_hidden.py").write_text(HIDDEN)
    done = course.run("golden", "a90", module="tools")
    assert done.returncode == 0, done.stderr
    done = course.run("gradescope", "a90", "--to", str(root / "grader.zip"), module="tools")
    assert done.returncode == 0, done.stderr
    return Packed(course, root / "grader.zip")


@pytest.fixture(scope="session")
def packed(toy, tmp_path_factory) -> Iterator[Packed]:
    with course_copy(toy.root, tmp_path_factory.mktemp("packed") / "course", seconds=3) as course:
        yield pack_toy(course)


@pytest.fixture(scope="session")
def patient(packed, tmp_path_factory) -> Packed:
    """A zip whose checks may take longer than a whole run."""
    target = tmp_path_factory.mktemp("patient") / "grader.zip"
    settings = "assignments/a90_toy/assignment.toml"
    return Packed(packed.toy, broken_in(packed.archive, target, settings, b"seconds = 3", b"seconds = 1000"))


def graders() -> Iterator[psutil.Process]:
    """The processes of dry runs under way that grade, each a child of the script's `timeout`."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "autograder.gradescope.run" in process.cmdline() and process.name().startswith("python"):
                yield process


@contextlib.contextmanager
def once_reported(fits: Callable[[dict], bool], then: Callable[[psutil.Process], None]) -> Iterator[None]:
    """Beside a dry run: as soon as its results.json so far fits, do something to the process that grades."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for process in graders():
                with contextlib.suppress(psutil.Error, OSError):
                    if fits(json.loads(Path(process.cwd(), "results/results.json").read_text())):
                        then(process)
                        return

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield
        finally:
            ended.set()
        watching.result()


@pytest.fixture
def say(capsys):
    def one_line(name: str, run: DryRun) -> None:
        counts = ", ".join(f"{run.statuses.count(s)} {s}" for s in dict.fromkeys(run.statuses))
        with capsys.disabled():
            print(
                f"\n  dry run  {name:<24} {run.results['score']:>6} of {run.results['extra_data']['max_score']}  {counts}",
                end=" ",
            )

    return one_line


def complete(run: DryRun, ids: list[str] = IDS) -> dict:
    """The run keeps the contract, and has a row for each check of the manifest."""
    assert run.problems == [], "\n".join([*run.problems, run.stdout])
    value = run.results
    assert [t["extra_data"]["id"] for t in value["tests"]] == value["extra_data"]["manifest"] == ids
    assert value["extra_data"]["manifest_sha256"] == manifest_hash(ids)
    shown = json.dumps([value["output"], [t for t in value["tests"] if t["visibility"] == "visible"]])
    assert "canary" not in shown
    return value


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def plain(text: str) -> bytes:
    return text.encode()


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def with_bom(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bodies", "write", "score", "words"),
    [
        ("perfect", {}, plain, 100, ""),
        ("half done", {"mean": "raise NotImplementedError('a90_toy/sums.py: mean() is yours to write')"}, plain, 60, ""),
        ("known mistake", {"weighted": "return -(w * x).sum(dim=-1)"}, plain, 40, "The sum has the wrong sign"),
        ("syntax error", {"mean": "return ("}, plain, 0, "SyntaxError"),
        ("hang", {"weighted": "import time; time.sleep(1000)"}, plain, 40, "No answer after 3 s"),
        ("memory bomb", {"weighted": "return bytearray(10**11)"}, plain, 40, "more than 512 MB"),
        ("exits", {"weighted": "import os; os._exit(0)"}, plain, 40, "exit status 0"),
        ("CRLF", {}, crlf, 100, ""),
        ("CRLF, one part wrong", {"weighted": "return -(w * x).sum(dim=-1)"}, crlf, 40, "Judged with the given sums.weighted"),
        ("BOM", {}, with_bom, 100, ""),
        ("BOM, one part wrong", {"weighted": "return -(w * x).sum(dim=-1)"}, with_bom, 40, "Judged with the given sums.weighted"),
    ],
)
def test_dry_run(packed, tmp_path, say, name, bodies, write, score, words):
    folder = packed.toy.submission(tmp_path / "s", **bodies)
    (folder / "sums.py").write_bytes(write((folder / "sums.py").read_text()))
    run = (packed.submit if name in OF_THEIR_OWN else packed.grade)(tmp_path, folder)
    say(name, run)
    value = complete(run)
    assert value["score"] == score, [t["output"] for t in value["tests"]]
    assert words in "\n".join(t["output"] for t in value["tests"])
    assert "regrade" not in json.dumps(value["tests"]) and value["extra_data"]["regrade"] is False
    assert len(value["leaderboard"]) == (value["tests"][1]["status"] == "passed")


@pytest.mark.slow
def test_what_came_in_another_shape(packed, tmp_path, say):
    text = (packed.toy.submission(tmp_path / "s") / "sums.py").read_bytes()
    nested = zipped(tmp_path / "nested.zip", **{"hw/a90_toy/sums.py": text, "hw/a90_toy/notes.txt": b""})
    mac = {"a90/sums.py": text, "a90/.DS_Store": b"\0", "__MACOSX/a90/._sums.py": b"\0\5\x16"}
    inner = tmp_path / "inner"
    inner.mkdir()
    zipped(inner / "mine.zip", **{"sums.py": text})
    outside = tmp_path / "outside"
    outside.mkdir()
    zipped(outside / "mine.zip", **{"sums.py": text, "../../results/results.json": b'{"score": 100}'})
    for name, submission, score, words in [
        ("nested folder", nested, 100, ""),
        ("zip from macOS", zipped(tmp_path / "mac.zip", **mac), 100, ""),
        ("zip in the folder", inner, 100, "graded what is in mine.zip"),
        ("zip that leads out", outside, 0, "the archive was refused: mine.zip: the name '../../results/results.json' leads out"),
        ("stubs", packed.toy.root / "assignments/a90_toy", 0, ""),
        ("missing files", zipped(tmp_path / "none.zip", **{"readme.md": b"hello"}), 0, "holds none of the files of a90: sums.py"),
    ]:
        run = packed.grade(tmp_path, submission)
        say(name, run)
        value = complete(run)
        assert value["score"] == score, name
        assert words in value["output"], name
        if name == "zip from macOS":
            assert "Note" not in value["output"]


@pytest.mark.slow
def test_a_student_builds_checks_and_grades_the_zip(toy, tmp_path):
    target = tmp_path / "s.zip"
    done = toy.run("submission", "a90", "--to", str(target))
    assert done.returncode == 0 and "warning: sums.py: weighted, mean still to be written" in done.stderr
    folder = toy.submission(tmp_path / "right")
    done = toy.run("submission", "a90", "--from", str(folder), "--to", str(target))
    assert done.returncode == 0 and done.stderr == "" and "1 files" in done.stdout
    graded = toy.run("grade", "a90", "--from", str(target), "--json", str(tmp_path / "r.json"))
    assert graded.returncode == 0 and json.loads((tmp_path / "r.json").read_text())["score"] == 100
    assert "note:" not in graded.stdout
    (folder / "sums.py").write_text("def f(:")
    before = target.read_bytes()
    done = toy.run("submission", "a90", "--from", str(folder), "--to", str(target))
    assert done.returncode == 2 and "sums.py:1: syntax error" in done.stderr and target.read_bytes() == before
    (tmp_path / "bad.zip").write_text("no zip")
    done = toy.run("grade", "a90", "--from", str(tmp_path / "bad.zip"))
    assert done.returncode == 2 and "bad.zip cannot be unpacked" in done.stderr


@pytest.mark.slow
def test_late_submissions_lose_points_unless_extended(packed, tmp_path, say):
    folder = packed.toy.submission(tmp_path / "s")
    late = "2026-01-14T10:00:00.000000-08:00"  # 34 hours after the due date, two started days
    run = packed.grade(tmp_path, folder, created_at=late)
    say("late", run)
    value = complete(run)
    assert value["score"] == 80 and "34.0 hours after the due date: 20 % of the points are lost" in value["output"]
    assert value["extra_data"]["earned"] == 100 and sum(t["score"] for t in value["tests"]) == 100
    extended = [{"id": 1, "email": "s@example.edu", "name": "S", "assignment": {"due_date": "2026-01-14T23:59:00-08:00"}}]
    run = packed.grade(tmp_path, folder, created_at=late, users=extended)
    say("late, with an extension", run)
    assert complete(run)["score"] == 100


def test_a_submission_over_the_rate_limit_is_not_graded(packed, tmp_path, say):
    earlier = [{"submission_time": f"2026-01-10T{hour:02}:00:00-08:00", "score": "62.5"} for hour in (9, 10)]
    run = packed.grade(tmp_path, packed.toy.submission(tmp_path / "s"), previous_submissions=earlier)
    say("over the rate limit", run)
    value = complete(run)
    assert value["score"] == 62.5 and "The next one is graded from 2026-01-11 17:00 UTC on" in value["output"]
    assert set(run.statuses) == {"not_attempted"}


@pytest.mark.slow
def test_dry_run_with_metadata_that_cannot_be_read(packed, tmp_path, say):
    (tmp_path / "m.json").write_text('{"created_at": "yester')
    run = dry_run(packed.archive, packed.toy.submission(tmp_path / "s"), tmp_path / "results", tmp_path / "m.json")
    say("broken metadata", run)
    assert complete(run)["score"] == 100 and "metadata: submission_metadata.json cannot be read" in run.stdout


def test_a_perfect_run_has_everything_that_gradescope_shows(packed, tmp_path):
    run = packed.submit(tmp_path, packed.toy.submission(tmp_path / "s"))
    value = complete(run)
    speed, hidden = value["tests"][1], value["tests"][-1]
    assert speed["tags"] == ["speed"] and speed["number"] == "1.2"
    assert hidden["visibility"] == "after_published" and hidden["number"] == "2.2" and hidden["score"] == 8
    (row,) = value["leaderboard"]
    assert row["name"] == "pace" and row["order"] == "asc" and 0 < row["value"] < 3
    assert "92 of 92 points; 4 of 4 checks pass." in value["output"] and "1 more checks" in value["output"]
    assert "isolation level" in run.stdout and "isolation" not in value["output"]
    assert "keeps the contract" in summary(run)
    assert json.loads((tmp_path / "results/results.json").read_text()) == value


def test_the_clock_is_set_to_the_deadline_before_anything_else(monkeypatch, tmp_path):
    class Armed(Exception):
        pass

    def setitimer(*arguments):
        raise Armed(*arguments)

    monkeypatch.setattr(signal, "setitimer", setitimer)
    before = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(Armed) as armed:
            gradescope_run.main("a01", tmp_path)
        assert signal.getsignal(signal.SIGALRM) is gradescope_run._end_the_run
    finally:
        signal.signal(signal.SIGALRM, before)
    assert armed.value.args == (signal.ITIMER_REAL, Settings.of(HERE.load("a01")).deadline)


@pytest.mark.slow
def test_the_deadline_ends_a_run_with_a_complete_report(patient, tmp_path, say):
    """The clock rings when the first check has passed and the next one hangs, which would take 1000 seconds."""
    folder = patient.toy.submission(tmp_path / "s", mean="import time; time.sleep(10_000)")
    has_passed = lambda value: value["tests"][0]["extra_data"]["status"] == "passed"
    with once_reported(has_passed, lambda grader: grader.send_signal(signal.SIGALRM)):
        run = patient.submit(tmp_path, folder)
    say("global deadline", run)
    value = complete(run)
    assert "The run was ended after 8.0 minutes, shortly before Gradescope would have done so." in value["output"]
    rows = {t["extra_data"]["id"]: t for t in value["tests"]}
    assert rows[IDS[0]]["status"] == "passed"
    missed = [t for t in value["tests"] if t["output"].startswith("Not reached, so there is no verdict.")]
    assert len(missed) >= 2 and value["score"] == sum(t["score"] for t in value["tests"])


@pytest.mark.slow
def test_a_grader_that_hangs_leaves_the_report_so_far(patient, tmp_path, say):
    """The main process is stopped once the first report is out, and then the time of the script's own watchdog is over."""

    def hang(grader: psutil.Process) -> None:
        grader.send_signal(signal.SIGSTOP)
        grader.parent().send_signal(signal.SIGALRM)  # what `timeout` waits for

    with once_reported(lambda value: "was killed from outside" in value["output"], hang):
        run = patient.submit(tmp_path, patient.toy.submission(tmp_path / "s", weighted="import time; time.sleep(10_000)"))
    say("grader hangs", run)
    value = complete(run)
    assert "The run was killed from outside before its end." in value["output"]
    assert value["score"] == 0 and "ended with status 137" in run.stdout
    assert all(t["output"].startswith("Not reached, so there is no verdict.") for t in value["tests"])


def broken_in(archive: Path, target: Path, name: str, before: bytes, after: bytes) -> Path:
    """The zip with a bug planted in one of its files: in place of `before`, or at the end."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == name:
                assert before in data
                data = data.replace(before, after) if before else data + after
            new.writestr(info, data)
    return target


PLANTED = """

def _broken(self, check, tree, judge=Grader.judge):
    if check.name == "test_speed":
        raise {error}("planted")
    return judge(self, check, tree)


Grader.judge = _broken
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "score", "words"), [("RuntimeError", 20, "fault of the grader"), ("OSError", 0, "ask for a regrade")]
)
def test_a_grader_that_fails_on_the_way_keeps_what_it_knows(packed, tmp_path, say, error, score, words):
    """A bug of ours costs nothing; what a submission may have used up is not granted."""
    broken = broken_in(packed.archive, tmp_path / "b.zip", "autograder/grading.py", b"", PLANTED.format(error=error).encode())
    folder = packed.toy.submission(tmp_path / "s", weighted="return None", mean="return None")
    run = dry_run(broken, folder, tmp_path / "results")
    say(f"grader raises {error}", run)
    value = complete(run)
    assert value["score"] == score and words in value["output"]
    assert value["extra_data"]["regrade"] == (error == "RuntimeError")
    assert [t["output"][:11] for t in value["tests"][1:3]] == (["A fault of "] if score else ["Not reached"]) * 2


def test_a_grader_that_cannot_start_says_whose_fault_that_is(packed, tmp_path, say):
    broken = broken_in(
        packed.archive, tmp_path / "b.zip", "autograder/report/report.py", b"import platform", b"import no_such_module"
    )
    run = dry_run(broken, packed.toy.submission(tmp_path / "s", weighted="return None"), tmp_path / "results")
    say("grader does not start", run)
    value = complete(run)
    assert value["score"] == 100 and value["extra_data"]["regrade"]
    assert set(run.statuses) == {"grader_fault"} and all(t["tags"][-1] == "regrade" for t in value["tests"])


def test_what_is_no_autograder_zip_is_refused(packed, tmp_path):
    folder = packed.toy.submission(tmp_path / "s")
    inside = zipped(tmp_path / "folder.zip", **{"grader/run_autograder": b""})
    (tmp_path / "text").write_text("")
    for archive, submission, words in [
        (tmp_path / "nowhere.zip", folder, "is no autograder zip"),
        (tmp_path / "text", folder, "is no autograder zip"),
        (inside, folder, "has no setup.sh and no run_autograder at its root"),
        (packed.archive, tmp_path / "nowhere", "is neither a folder nor an archive"),
    ]:
        done = packed.toy.run(
            "dry-run", str(archive), "--submission", str(submission), "--results", str(tmp_path / "r"), module="tools"
        )
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
def test_solved_stubs_are_not_packed_and_the_bytes_are_the_same(packed, tmp_path):
    with course_copy(packed.toy.root, tmp_path / "course") as course:
        folder = course.root / "assignments/a90_toy"
        shutil.copy(course.root / "reference/a90_toy/sums.py", folder / "sums.py")
        os.utime(folder / "assignment.toml", (1e9, 1e9))
        assert course.run("gradescope", "a90", "--to", str(tmp_path / "2.zip"), module="tools").returncode == 0
    assert packed.archive.read_bytes() == (tmp_path / "2.zip").read_bytes()


@pytest.fixture(scope="session")
def zip_of_a01(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("a01") / "grader.zip"
    target.write_bytes(build(HERE.load("a01")))
    return target


@pytest.mark.slow
def test_copies_of_given_parts_are_named_to_staff_and_to_nobody_else(zip_of_a01, tmp_path):
    """The reference, which holds none, is the control."""
    for source, copied in ((HERE.given / "a01_transformer", True), (HERE.reference / "a01_transformer", False)):
        run = dry_run(zip_of_a01, source, tmp_path / source.parent.name)
        assert ("COPY, for a person to look at: attention.py:" in run.stdout) is copied, run.stdout
        assert run.problems == [] and "token for token" not in json.dumps(run.results)


@pytest.mark.slow
def test_the_zip_of_a01_is_small_reproducible_and_holds_no_solution(zip_of_a01):
    archive = zip_of_a01
    assert archive.read_bytes() == build(HERE.load("a01"))
    assert archive.stat().st_size <= 5_000_000
    with zipfile.ZipFile(archive) as zipped_files:
        files = {info.filename: zipped_files.read(info) for info in zipped_files.infolist()}
        modes = {i.filename: stat.S_IMODE(i.external_attr >> 16) for i in zipped_files.infolist()}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755 and b"\r" not in files["setup.sh"] + files["run_autograder"]
    parts = {part for name in files for part in Path(name).parts}
    assert not parts & {"misconceptions", "alternates", "equivalents.toml"} and "tests" not in [
        Path(name).parts[1] for name in files if name.startswith("autograder/")
    ]
    assert {n for n in files if n.startswith("reference/")} - {f"reference/{KNOWN}"} == {
        f"reference/a01_transformer/hidden/{p.relative_to(HERE.reference / 'a01_transformer/hidden')}"
        for p in (HERE.reference / "a01_transformer/hidden").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    squeeze = lambda text: {re.sub(r"\s+", "", line) for line in text.splitlines() if not line.strip().startswith("#")}
    held = squeeze(b"\n".join(data for name, data in files.items() if name.endswith(".py")).decode())
    open_to_all = set().union(*(squeeze(p.read_text()) for p in (HERE.root / "assignments/given").rglob("*.py")))
    solved = 0
    for path in (HERE.reference / "a01_transformer").glob("*.py"):
        text = path.read_text()
        outside = squeeze(re.sub(SOLUTION, "", text))
        telling = (
            {line for body in re.findall(SOLUTION, text) for line in squeeze(body) if len(line) > 40} - outside - open_to_all
        )
        solved += len(telling)
        assert not telling & held, (path.name, telling & held)
    assert solved > 10  # lines that would have been found


def test_the_scripts_are_sound(zip_of_a01):
    with zipfile.ZipFile(zip_of_a01) as zipped_files:
        scripts = {name: zipped_files.read(name).decode() for name in ("setup.sh", "run_autograder")}
        pins = zipped_files.read("constraints.txt").decode()
    for name, text in scripts.items():
        assert text.startswith("#!/usr/bin/env bash\n") and "@" not in re.sub(r"\$@|PPA@", "", text), name
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "timeout --signal=KILL 558.0" in scripts["run_autograder"]
    assert re.search(r"^torch==\d", pins, re.M) and "download.pytorch.org/whl/cpu" in scripts["setup.sh"]
    assert not re.search(r"(ln|cp|mv|update-alternatives)\b.*/usr/bin/python3\b", scripts["setup.sh"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stubs", "gone", "score"),
    [
        pytest.param("a01 perfect", (), (), 100, marks=pytest.mark.long),
        pytest.param("a01 stubs", None, (), 0, marks=pytest.mark.long),
        pytest.param("a01 half done", ("block.py", "model.py", "diagnostics.py", "by_hand.toml"), (), 66, marks=pytest.mark.long),
        ("a01 missing files", (), ("block.py", "by_hand.toml"), 86),
    ],
)
def test_dry_run_of_a01(zip_of_a01, tmp_path, say, name, stubs, gone, score):
    folder, empty = tmp_path / "s", HERE.root / "assignments/a01_transformer"
    folder.mkdir()
    for file in ("positions.py", "attention.py", "layers.py", "block.py", "model.py", "diagnostics.py", "by_hand.toml"):
        if file not in gone:
            shutil.copy((empty if stubs is None or file in stubs else HERE.reference / "a01_transformer") / file, folder / file)
    run = dry_run(zip_of_a01, folder, tmp_path / "results")
    say(name, run)
    with zipfile.ZipFile(zip_of_a01) as archive:
        ids = json.loads(archive.read("fault.json"))["extra_data"]["manifest"]
    if run.results["extra_data"]["isolation_level"] < 3:
        pytest.skip("hidden checks do not run here")
    value = complete(run, ids)
    assert value["score"] == score
    assert all(f"{file}: the file is missing" in value["output"] for file in gone)
    assert "grader_fault" not in run.statuses
