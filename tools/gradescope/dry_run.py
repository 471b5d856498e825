"""A dry run of an autograder zip: Gradescope's layout in a scratch folder, run_autograder as Gradescope calls it.

What differs: the packages of the present environment stand in for those that setup.sh installs, and the root is not
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
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import BadInput
from autograder.report.view import not_reached
from autograder.submission.archive import extract, is_archive
from tools.grader_files import course

SCHEMA = course() / "autograder" / "gradescope" / "schema" / "results.schema.json"
METADATA = {  # of a submission in time; another one is an option
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
    """results: what results.json held; said: standard output; problems: where the contract is not kept."""

    results: dict
    said: str
    seconds: float
    problems: list[str]

    @property
    def statuses(self) -> list[str]:
        return [test["extra_data"]["status"] for test in self.results.get("tests", [])]


def dry_run(archive: Path, submission: Path, results: Path, metadata: Path | None = None, minutes: float = 10) -> DryRun:
    """Run the zip on a submission (a folder, or a zip that Gradescope unpacks) and check what it leaves behind.

    results: a folder for results.json and stdout. minutes: after that Gradescope would kill it. BadInput if there is no
    such zip or submission.
    """
    with tempfile.TemporaryDirectory(prefix="dry-run-") as scratch:
        place = Path(scratch)
        place.chmod(0o755)
        root = place / "autograder"
        _lay_out(root, archive, submission, metadata)
        python = _environment(place / "environment", root / "source")
        started = time.monotonic()
        said, killed = _run(root, python, minutes * 60)
        seconds = time.monotonic() - started
        results.mkdir(parents=True, exist_ok=True)
        (results / "stdout").write_text(said, encoding="utf-8")
        found, problems = _read(root / "results" / "results.json", results)
        if killed:
            problems.append(f"it was still running after {minutes:g} minutes; Gradescope would have given 0")
        for name in ("source", "submission", "results", "submission_metadata.json"):
            if (root / name).stat().st_mode & 0o007:
                problems.append(f"{name} is open to every user")
        return DryRun(found, said, seconds, problems)


def summary(run: DryRun) -> str:
    """A few lines for whoever started it."""
    tests, counts = run.results.get("tests", []), {s: run.statuses.count(s) for s in dict.fromkeys(run.statuses)}
    extra = run.results.get("extra_data", {})
    lines = [
        f"score {run.results.get('score')} of {extra.get('max_score')}; {len(tests)} checks: {', '.join(f'{n} {s}' for s, n in counts.items())}",
        f"{run.seconds:.1f} s; isolation level {extra.get('isolation_level')}",
    ]
    if missed := sum(not_reached(t["extra_data"]["status"], t["extra_data"]["reason"]) for t in tests):
        lines.append(f"{missed} checks were not reached")
    return "\n".join(
        lines + [f"PROBLEM: {p}" for p in run.problems] + ([] if run.problems else ["results.json keeps the contract"])
    )


def _lay_out(root: Path, archive: Path, submission: Path, metadata: Path | None) -> None:
    for name in ("source", "results", "submission"):
        (root / name).mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                Path(zipped.extract(info, root / "source")).chmod(stat.S_IMODE(info.external_attr >> 16) or 0o644)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadInput(f"{archive} is no autograder zip ({error}); make one with `gradescope a01 --to FILE.zip`") from error
    if missing := [n for n in ("setup.sh", "run_autograder") if not (root / "source" / n).exists()]:
        raise BadInput(f"{archive} has no {' and no '.join(missing)} at its root; zip the files, not the folder")
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    if submission.is_dir():
        shutil.copytree(submission, root / "submission", symlinks=True, dirs_exist_ok=True)
    elif submission.name.lower().endswith(".zip"):
        extract(submission, root / "submission")
    elif is_archive(submission):
        shutil.copy(submission, root / "submission")  # Gradescope unpacks zips alone
    else:
        raise BadInput(f"{submission} is neither a folder nor an archive")
    told = root / "submission_metadata.json"
    told.write_text(metadata.read_text(encoding="utf-8") if metadata else json.dumps(METADATA), encoding="utf-8")
    told.chmod(0o644)


def _environment(place: Path, source: Path) -> Path:
    """An interpreter with the present packages and the zip's grader, as setup.sh makes one; its path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})["purelib"]
    lines = [str(source), sysconfig.get_path("purelib")]  # plain lines: path files in there, such as ours, do not count
    (Path(packages) / "grader.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place / "bin" / "python"


def _run(root: Path, python: Path, seconds: float) -> tuple[str, bool]:
    temporary = root.parent / "tmp"  # a run that is killed tidies nothing up
    temporary.mkdir()
    temporary.chmod(0o1777)
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG")}
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


def _read(path: Path, copy_to: Path) -> tuple[dict, list[str]]:
    """What results.json holds, copied away, and where it is not as it should be."""
    import jsonschema

    try:
        shutil.copy(path, copy_to / "results.json")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, [f"there is no results.json that can be read: {error}"]
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    problems = [f"results.json: {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(value)]
    if not problems:
        ids = [test["extra_data"]["id"] for test in value["tests"]]
        if ids != value["extra_data"]["manifest"]:
            problems.append("the checks in results.json are not those of the manifest")
    return value, problems
