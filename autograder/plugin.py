"""The pytest plug-in: `pytest assignments/a01_transformer` with -k, -x, --lf, -v, -s and --pdb as a pytest user expects.

Each check runs in a worker of its own. With -s or --pdb it runs in the pytest process instead, on the files themselves, so
that prints appear and a debugger stops in the student's code.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from autograder.check import collecting
from autograder.check.collecting import ITEM, CheckItem
from autograder.errors import BadInput
from autograder.judge.judge import Drive
from autograder.sandbox.device import has_device

if TYPE_CHECKING:  # these come late, to keep other runs of pytest quick
    from autograder.check.check import Check
    from autograder.grading import Judgement


class NotRight(Exception):
    """A check that does not pass. Its text is all that there is to show."""


class RunnableCheck(CheckItem):
    """A check that pytest runs as `make grade` does."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        if self.check.on_request:
            self.add_marker(pytest.mark.timeout(0))  # the worker's own limit is the one that fits
        if (device := self.check.device) and not has_device(device):
            self.add_marker(pytest.mark.skip(reason=f"not graded here, for want of a {device.upper()} device"))

    def runtest(self) -> None:
        """Run the check. NotRight: it does not pass."""
        bench = _bench(self.config, self.check)
        in_process = self.check.judge.drive == Drive.OBSERVE and _shows_output(self.config)
        try:
            judgement = bench.in_process(self.check) if in_process else bench.judge(self.check)
        except BadInput as missing:
            raise NotRight(str(missing)) from None
        if judgement.outcome.output:
            self.add_report_section("call", "stdout", judgement.outcome.output)
        if judgement.fault:
            raise NotRight(f"fault of the grader, not of your code: {judgement.message}")
        if judgement.share < 1:
            raise NotRight("\n".join(filter(None, [judgement.message, *map(str, judgement.hints[:1])])))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What pytest prints of a check that does not pass."""
        if isinstance(excinfo.value, NotRight):
            title = f"{self.check.part}: {self.check.title}"
            return f"{title}\n{excinfo.value}\nDebug it: pytest {self.nodeid} --pdb"
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the check stands: file, line from 0, name."""
        return self.path, self.check.function.__code__.co_firstlineno - 1, self.name


class _Bench:
    """The server and the working copy of one assignment, for as long as pytest runs."""

    def __init__(self, folder: Path):
        from autograder import assignment
        from autograder.grading import Grader
        from autograder.sandbox.server_handle import Server
        from autograder.session import workplace

        self.assignment = assignment.read(folder)
        self._open = ExitStack()
        server = self._open.enter_context(Server(self.assignment.preload))
        place = self._open.enter_context(workplace(folder, self.assignment, server))
        self.tree, self.grader = place.tree, Grader(place.runner)

    def judge(self, check: Check) -> Judgement:
        """Run the check in a worker."""
        return self.grader.judge(check, self.tree)

    def in_process(self, check: Check) -> Judgement:
        """Run the check in this process on the student's own files. What it raises goes on to the debugger."""
        import torch

        from autograder.check.draw import Draw
        from autograder.observation.serialization import deserialize, serialize
        from autograder.sandbox.outcome import Ending, Outcome
        from autograder.sandbox.solution import Solution

        sys.path.insert(0, str(self.assignment.folder.parent))
        try:
            torch.manual_seed(check.seed)
            draw = Draw(check.seed)
            observation = check.function(Solution(self.assignment.package, str(self.assignment.folder)), draw)
        finally:
            sys.path.remove(str(self.assignment.folder.parent))
        outcome = Outcome(Ending.OBSERVED, deserialize(serialize(observation)), draw.input_digests())
        return self.grader.compare(check, self.grader.golden(check), outcome)

    def close(self) -> None:
        """End the server and remove the working copy."""
        self._open.close()


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Collect checks, as `autograder.check.collecting` does."""
    pluginmanager.register(collecting)


def pytest_configure(config: pytest.Config) -> None:
    """Make the items of the collecting plug-in ones that can run."""
    runnable: type[CheckItem] = RunnableCheck
    config.stash[ITEM] = runnable


_benches = pytest.StashKey[dict[Path, _Bench]]()


def _shows_output(config: pytest.Config) -> bool:
    """Whether prints and debuggers are wanted: -s or --pdb."""
    return getattr(config.option, "usepdb", False) or config.option.capture == "no"


def _bench(config: pytest.Config, check: Check) -> _Bench:
    from autograder.assignment import Course

    folder = Course.here().assignments / check.path.parents[1].name
    benches = config.stash.setdefault(_benches, {})
    if folder not in benches:
        benches[folder] = _Bench(folder)
    return benches[folder]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started for this run."""
    for bench in config.stash.get(_benches, {}).values():
        bench.close()
