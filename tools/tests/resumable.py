"""A plug-in of pytest with which a long run goes on where it was killed: `pytest --resume`, and `--again` to start anew.

What has passed is written down at once, for the commit and for what has changed since. The next run leaves it out and
says "3 of 19 done at this commit, 16 left". A change of any file that git knows of, or would add, starts anew.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = "resumable"  # in pytest's own cache


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--resume", action="store_true", help="leave out what has passed on the same files before")
    parser.addoption("--again", action="store_true", help="with --resume: forget what has passed on the same files")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("resume"):
        config.pluginmanager.register(Resumable(config), FOLDER)


class Resumable:
    """Leaves out what has passed, and writes down what passes."""

    def __init__(self, config: pytest.Config):
        key = fingerprint(config.rootpath)
        self._path = config.cache.mkdir(FOLDER) / (key or "unknown")  # type: ignore[union-attr]
        if key is None or config.getoption("again"):
            self._path.unlink(missing_ok=True)
        self._known = key is not None
        self._passed, self._total, self._failed = set(_read(self._path)), 0, set[str]()

    @pytest.hookimpl(trylast=True)  # after -m and -k
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        before = [item for item in items if item.nodeid in self._passed]
        self._total = len(items)
        items[:] = [item for item in items if item.nodeid not in self._passed]
        if before:
            config.hook.pytest_deselected(items=before)

    def pytest_report_collectionfinish(self) -> str:
        return self._state()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test is done when its call has passed and its teardown too. What is skipped is tried again."""
        if report.failed or report.skipped:
            self._failed.add(report.nodeid)
        if report.when == "teardown" and report.nodeid not in self._failed:
            self._passed.add(report.nodeid)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(report.nodeid) + "\n")

    def pytest_terminal_summary(self, terminalreporter) -> None:
        terminalreporter.write_line(self._state())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._total:
            session.exitstatus = pytest.ExitCode.OK  # nothing is left to do

    def _state(self) -> str:
        done = min(len(self._passed), self._total)
        return f"{done} of {self._total} done at this commit, {self._total - done} left" + (
            "" if self._known else "; without git, no run goes on where another one was"
        )


def _read(path: Path) -> Iterator[str]:
    """The node ids in a file. A line that was cut off is none."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def fingerprint(root: Path) -> str | None:
    """A name for the state of all files: the commit, and what has changed since. None without git."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True).stdout

    try:
        commit, changes = git("rev-parse", "HEAD").decode().strip(), git("diff", "HEAD", "--binary")
        added = git("ls-files", "--others", "--exclude-standard", "-z").decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        return None
    digest = hashlib.sha256(changes)
    for name in filter(None, added):
        path = root / name
        digest.update(name.encode() + (path.read_bytes() if path.is_file() else b""))
    return f"{commit[:12]}-{digest.hexdigest()[:12]}"
