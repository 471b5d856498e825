"""A toy course of two functions, on which the whole path is tested for real: processes, files, kills."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest

from autograder.submission.archive import extract

TOY = Path(__file__).with_name("toy")
SECONDS = 5  # of one check, in its assignment.toml
RIGHT = {"weighted": "return x @ w", "mean": "return weighted(x, w) / x.shape[-1]"}


@dataclass
class Graded:
    """What a grade left behind."""

    status: int
    report: dict | None
    stdout: str
    stderr: str

    def check(self, name: str) -> dict:
        """The row of a check by the name of its function."""
        return next(c for c in self.report["checks"] if c["id"].endswith(f"::{name}"))


_STARTED: list[subprocess.Popen] = []  # every shared process, so that the end of a session leaves none behind


def _end(process: subprocess.Popen) -> None:
    """Close the process's input, wait for its end, and close what it wrote to."""
    with process:
        if process.stdin and not process.stdin.closed:
            process.stdin.close()


@dataclass
class Toy:
    """A course of two functions in a folder of its own."""

    root: Path
    _server: subprocess.Popen | None = field(default=None, repr=False)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "COURSE_DIR": str(self.root), "NO_COLOR": "1"}

    def command(self, *arguments: str, module: str = "autograder", timeout: float = 300) -> subprocess.CompletedProcess:
        """`python -m module arguments` in a process of its own, as a student starts it."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.root,
        )

    def run(self, *arguments: str, module: str = "autograder") -> subprocess.CompletedProcess:
        """The same command in a process that other commands share (see `command_server.py`)."""
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "autograder.tests.command_server"],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self.root,
            )
            _STARTED.append(self._server)
        request = {"module": module, "arguments": arguments, "environment": self.environment()}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return subprocess.CompletedProcess(arguments, answer["status"], answer["stdout"], answer["stderr"])

    def altered(self, code: str, *arguments: str) -> subprocess.CompletedProcess:
        """The command after `code` has changed the grader: without a guard, a test shows that it can fail."""
        start = f"{code}\nfrom autograder.cli import app\napp()"
        return subprocess.run(
            [sys.executable, "-c", start, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.root,
        )

    def close(self) -> None:
        """End the shared process."""
        if self._server is not None:
            _end(self._server)

    def grade(self, folder: Path, *arguments: str, of_its_own: bool = False, altered: str = "") -> Graded:
        """What `grade a90 --from folder` leaves behind.

        of_its_own: in a process of its own. altered: in one whose grader this code has changed.
        """
        start = partial(self.altered, altered) if altered else self.command if of_its_own else self.run
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / "report.json"
            result = start("grade", "a90", "--from", str(folder), "--json", str(target), *arguments)
            report = json.loads(target.read_text()) if target.exists() else None
        return Graded(result.returncode, report, result.stdout, result.stderr)

    def submit(self, submission: Path, root: Path, metadata: dict) -> tuple[Path, str]:
        """What Gradescope's script calls for a submission, in the shared process: (results.json, stdout and stderr).

        root: a folder to be made, laid out as Gradescope's /autograder.
        """
        (root / "results").mkdir(parents=True)
        (root / "submission_metadata.json").write_text(json.dumps(metadata))
        if submission.is_dir():
            shutil.copytree(submission, root / "submission", symlinks=True)
        else:
            extract(submission, root / "submission")
        result = self.run("a90", str(root), module="autograder.gradescope.run")
        assert result.returncode == 0, result.stderr
        return root / "results" / "results.json", result.stdout + result.stderr

    def submission(self, folder: Path, head: str = "", **bodies: str) -> Path:
        """A submission whose functions have these bodies; the others are right."""
        folder.mkdir(parents=True, exist_ok=True)
        code = RIGHT | bodies
        (folder / "sums.py").write_text(
            f"import torch\n{head}\n\n" + "\n\n".join(f"def {name}(x, w):\n    {body}\n" for name, body in code.items())
        )
        return folder


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a course by its path, without caches."""
    paths = (path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def has_started(worker: psutil.Process) -> bool:
    """Whether student code has made a file `started` in the folder of this worker."""
    with suppress(psutil.Error):
        return Path(worker.cwd(), "started").exists()
    return False


def wait_for_worker(process: subprocess.Popen) -> list[psutil.Process]:
    """Wait until a worker of the command has made its file `started`; returns all processes below the command."""
    family: list[psutil.Process] = []
    while not any(has_started(worker) for worker in family):
        assert process.poll() is None, "the command ended before"
        time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
    return family


@contextmanager
def course_copy(source: Path, root: Path, seconds: int = SECONDS) -> Iterator[Toy]:
    """A copy of a course, to be changed and graded; its process ends with it. seconds: the limit of one check."""
    shutil.copytree(source, root)
    settings = root / "assignments/a90_toy/assignment.toml"
    text = settings.read_text()
    assert f"seconds = {SECONDS}\n" in text or seconds == SECONDS
    settings.write_text(text.replace(f"seconds = {SECONDS}\n", f"seconds = {seconds}\n"))
    course = Toy(root)
    try:
        yield course
    finally:
        course.close()


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Iterator[Toy]:
    """The toy course with golden values recorded, public and official ones. Tests copy it (`course_copy`) before they write to it."""
    with course_copy(TOY, tmp_path_factory.mktemp("course") / "toy") as course:
        result = course.run("golden", "a90", module="tools")
        assert result.returncode == 0, result.stderr
        archive = tmp_path_factory.mktemp("archive") / "grader.zip"  # records the official values, which batches then find
        result = course.run("gradescope", "a90", "--to", str(archive), module="tools")
        assert result.returncode == 0, result.stderr
        before = contents(course.root)
        yield course
        for process in _STARTED:
            _end(process)
        changed = {name for name, data in contents(course.root).items() ^ before.items()}
        assert not changed, "a test has written to the course that all tests share"
