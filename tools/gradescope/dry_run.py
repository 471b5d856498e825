"""A dry run of an autograder zip: Gradescope's layout in a scratch folder, with run_autograder called as Gradescope does.

Two things differ. The packages of the present environment stand in for those that setup.sh installs, and the root is not
/autograder. The grader's own code is that of the zip.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import BadInput
from autograder.report.view import not_reached
from autograder.submission.archive import extract, is_archive
from tools.grader_files import course

SCHEMA = course() / "autograder" / "gradescope" / "schema" / "results.schema.json"
METADATA: dict[str, Any] = {  # of a submission in time; another file is an option
    "id": 1,
    "created_at": "2026-01-10T12:00:00.000000-08:00",
    "assignment": {
        "id": 1,
        "course_id": 1,
        "title": "A dry run",
        "release_date": "2026-01-01T00:00:00.000000-08:00",
        "due_date": "2026-01-12T23:59:00.000000-08:00",
        "late_due_date": None,
        "group_submission": False,
        "group_size": None,
        "total_points": "100.0",
    },
    "submission_method": "upload",
    "users": [{"id": 1, "email": "student@example.edu", "name": "A Student"}],
    "previous_submissions": [],
}


@dataclass(frozen=True)
class DryRun:
    """What a dry run left behind.

    results: the contents of results.json; empty if it could not be read.
    stdout: what it wrote, both streams together.
    seconds: wall time.
    problems: a sentence for each part of Gradescope's contract that is not kept.
    """

    results: dict[str, Any]
    stdout: str
    seconds: float
    problems: list[str]

    @property
    def statuses(self) -> list[str]:
        """The status of each check."""
        return [test["extra_data"]["status"] for test in self.results.get("tests", [])]


def dry_run(archive: Path, submission: Path, results: Path, metadata: Path | None = None, minutes: float = 10) -> DryRun:
    """Run an autograder zip on a submission, and check what it leaves behind.

    submission: a folder, or an archive. Gradescope unpacks a zip, and no other archive.
    results: the folder for results.json and stdout.
    metadata: a submission_metadata.json; by default that of a submission in time.
    minutes: the time after which Gradescope would kill it.
    BadInput: there is no such zip or submission.
    OSError: `metadata` cannot be read, or `results` not be written.
    """
    with tempfile.TemporaryDirectory(prefix="dry-run-") as scratch:
        Path(scratch).chmod(0o755)
        root = Path(scratch) / "autograder"
        _lay_out(root, archive, submission, metadata)
        python = _environment(Path(scratch) / "environment", root / "source")
        started = time.monotonic()
        stdout, killed = _run(root, python, minutes * 60)
        seconds = time.monotonic() - started
        results.mkdir(parents=True, exist_ok=True)
        (results / "stdout").write_text(stdout, encoding="utf-8")
        value, problems = read_results(root / "results" / "results.json", results)
        if killed:
            problems.append(f"it was still running after {minutes:g} minutes; Gradescope would have given 0")
        return DryRun(value, stdout, seconds, problems + _open_to_all(root))


def _open_to_all(root: Path) -> list[str]:
    """A sentence for each folder or file that a submission could read or change, because its rights are too wide."""
    names = ("source", "submission", "results", "submission_metadata.json")
    return [f"{name} is open to every user" for name in names if (root / name).stat().st_mode & 0o007]


def summary(run: DryRun) -> str:
    """A few lines about a dry run: score, statuses, time, isolation, and what is not as it should be."""
    tests = run.results.get("tests", [])
    extra = run.results.get("extra_data", {})
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(run.statuses).items())
    lines = [
        f"score {run.results.get('score')} of {extra.get('max_score')}; {len(tests)} checks: {statuses}",
        f"{run.seconds:.1f} s; isolation level {extra.get('isolation_level')}",
    ]
    details = [test["extra_data"] for test in tests]
    if missed := sum(not_reached(detail["status"], detail["reason"]) for detail in details):
        lines.append(f"{missed} checks were not reached")
    return "\n".join(lines + ([f"PROBLEM: {problem}" for problem in run.problems] or ["results.json keeps the contract"]))


def _lay_out(root: Path, archive: Path, submission: Path, metadata: Path | None) -> None:
    """Make the folders and files that Gradescope makes before it calls run_autograder."""
    for name in ("source", "results", "submission"):
        (root / name).mkdir(parents=True)
    _unpack_grader(archive, root / "source")
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    _hand_in(submission, root / "submission")
    metadata_text = metadata.read_text(encoding="utf-8") if metadata else json.dumps(METADATA)
    target = root / "submission_metadata.json"
    target.write_text(metadata_text, encoding="utf-8")
    target.chmod(0o644)


def _unpack_grader(archive: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                Path(zipped.extract(info, into)).chmod(stat.S_IMODE(info.external_attr >> 16) or 0o644)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadInput(f"{archive} is no autograder zip ({error}); make one with `gradescope a01 --to FILE.zip`") from error
    if missing := [name for name in ("setup.sh", "run_autograder") if not (into / name).exists()]:
        raise BadInput(f"{archive} has no {' and no '.join(missing)} at its root; zip the files, not the folder")


def _hand_in(submission: Path, into: Path) -> None:
    if submission.is_dir():
        shutil.copytree(submission, into, symlinks=True, dirs_exist_ok=True)
    elif submission.name.lower().endswith(".zip"):
        extract(submission, into)
    elif is_archive(submission):
        shutil.copy(submission, into)  # Gradescope unpacks zips alone
    else:
        raise BadInput(f"{submission} is neither a folder nor an archive")


def _environment(folder: Path, source: Path) -> Path:
    """Make an interpreter with the present packages and the zip's grader, as setup.sh makes one. Returns its path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})["purelib"]
    lines = [str(source), sysconfig.get_path("purelib")]  # Python does not read the path files in there, such as our own
    (Path(packages) / "grader.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "bin" / "python"


def _run(root: Path, python: Path, seconds: float) -> tuple[str, bool]:
    """What run_autograder writes, and whether it was killed because its time was over."""
    temporary = root.parent / "tmp"  # of its own, because a run that is killed leaves files behind
    temporary.mkdir()
    temporary.chmod(0o1777)
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    environment |= {"GRADER_PYTHON": str(python), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        ["./run_autograder"],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=seconds)[0], False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0], True


def read_results(path: Path, copy_to: Path) -> tuple[dict[str, Any], list[str]]:
    """The contents of results.json, which is also copied, and a sentence for each thing that is wrong with it."""
    import jsonschema

    try:
        shutil.copy(path, copy_to / "results.json")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, [f"there is no results.json that can be read: {error}"]
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    problems = [f"results.json: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]
    if not problems:
        ids = [test["extra_data"]["id"] for test in value["tests"]]
        if ids != value["extra_data"]["manifest"]:
            problems.append("the checks in results.json are not those of the manifest")
    return value, problems
