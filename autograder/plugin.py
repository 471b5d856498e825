"""The pytest plug-in: `pytest assignments/a01_transformer` with -k, -x, --lf, -v, -s and --pdb as a pytest user expects.

Checks run in the order of the handout, so that -x stops at what is to be written or mended first. Each check runs in a
worker of its own. With -s or --pdb it runs in the pytest process instead, on the files themselves, so that prints appear
and a debugger stops in the student's code (`debugging.py`).
"""

from __future__ import annotations

import bdb
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from autograder.assignment import Course
from autograder.check import collecting
from autograder.check.collecting import ITEM, CheckItem
from autograder.debugging import show_students_frame, step_through
from autograder.errors import BadInput
from autograder.judge.by_hand import AnswersByHand
from autograder.judge.judge import Drive, StepJudge
from autograder.judge.reason import Reason
from autograder.report.next_step import debug_command
from autograder.sandbox.device import has_device

if TYPE_CHECKING:  # these come late, to keep other runs of pytest quick
    from autograder.check.check import Check
    from autograder.grading import Judgement


class NotRight(bdb.BdbQuit):
    """A check that does not pass. Its text is all that there is to show.

    For an exception of this class pytest opens no debugger. It would stop here, in the plug-in, where nothing is to be seen.
    """


class RunnableCheck(CheckItem):
    """A check that pytest runs as `make grade` does."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        if self.check.on_request:
            self.add_marker(pytest.mark.timeout(0))  # the worker's own limit is the one that fits
        if (device := self.check.device) and not has_device(device):
            self.add_marker(pytest.mark.skip(reason=f"not graded here, for want of a {device.upper()} device"))

    @property
    def folder(self) -> Path:
        """The folder of the assignment."""
        return Course.here().assignments / self.path.parents[1].name

    def runtest(self) -> None:
        """Run the check. NotRight: it does not pass."""
        bench = _bench(self.config, self.folder)
        if stopped := bench.reason_not_to_try(self.check):
            raise NotRight(stopped)
        in_process = _shows_output(self.config) and self.check.judge.drive == Drive.OBSERVE and not self.check.device
        try:
            judgement = bench.in_process(self.check) if in_process else bench.judge(self.check)
        except BadInput as missing:
            raise NotRight(str(missing)) from None
        if judgement.outcome.output and not self.check.hidden:
            self.add_report_section("call", "stdout", judgement.outcome.output)
        if judgement.fault:
            raise NotRight(f"fault of the grader, not of your code: {judgement.message}")
        if judgement.share < 1:
            message = "\n".join(filter(None, [judgement.message, *map(str, judgement.hints[:1])]))
            if self._can_be_debugged(judgement):
                if _debugs(self.config):
                    step_through(self.config, self.check, f"{self._title()}\n{message}", partial(bench.call, self.check))
                else:
                    message += f"\nDebug it: {debug_command(self.folder.name, self.check.id)}"
            raise NotRight(message)

    def _can_be_debugged(self, judgement: Judgement) -> bool:
        check, code_ran = self.check, not judgement.reason or judgement.reason.needs_a_debugger
        on_paper, runs_here = isinstance(check.judge, AnswersByHand), check.judge.drive != Drive.TRAIN and not check.device
        return code_ran and runs_here and not on_paper and not check.hidden

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What pytest prints of a check that does not pass."""
        if isinstance(excinfo.value, NotRight):
            return f"{self._title()}\n{excinfo.value}"
        return super().repr_failure(excinfo)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        """Leave out what lies above the check: the plug-in and pytest."""
        return excinfo.traceback.cut(path=self.path)

    def _title(self) -> str:
        return f"{self.check.part}: {self.check.title}"

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
        self._timed_out: dict[str, Check] = {}  # by part, the check that ran into its time limit

    def judge(self, check: Check) -> Judgement:
        """Run the check in a worker."""
        judgement = self.grader.judge(check, self.tree)
        if judgement.reason is Reason.TIMEOUT and check.judge.drive == Drive.OBSERVE:  # what is only slow stops no others
            self._timed_out.setdefault(check.part, check)
        return judgement

    def reason_not_to_try(self, check: Check) -> str:
        """A sentence if the check would only run into its time limit too, as another one of its part has done, else ""."""
        for part in (check.part, *check.needs):
            if other := self._timed_out.get(part):
                return f"not tried, because {other.name} of {part} ran into its time limit; `-k {check.name}` tries it"
        return ""

    def in_process(self, check: Check) -> Judgement:
        """Run the check in this process on the student's own files. What it raises goes on to the debugger."""
        from autograder.observation.serialization import deserialize, serialize
        from autograder.sandbox.outcome import Ending, Outcome

        observation, draw = self.call(check)
        outcome = Outcome(Ending.OBSERVED, deserialize(serialize(observation)), draw.input_digests())
        return self.grader.compare(check, self.grader.golden(check), outcome)

    def call(self, check: Check, call: Callable[..., Any] = lambda function, *arguments: function(*arguments)) -> Any:
        """Call the check in this process on the student's own files. Returns what it saw, and its draw.

        call: calls a function with arguments. A debugger has one of its own.
        Exception: what the check raises. Its traceback ends in the student's code.
        """
        import torch

        from autograder.check.draw import Draw
        from autograder.sandbox.in_memory import InMemory
        from autograder.sandbox.solution import Solution

        sys.path.insert(0, str(self.assignment.folder.parent))
        given = InMemory(f"given.{self.assignment.package}", self.grader.runner.given_to(check, self.tree))
        given.install()
        try:
            torch.manual_seed(check.seed)
            draw = Draw(check.seed)
            solution = Solution(self.assignment.package, str(self.assignment.folder))
            if isinstance(check.judge, StepJudge):
                return call(list, islice(check.function(solution, draw), check.judge.steps)), draw
            return call(check.function, solution, draw), draw
        except bdb.BdbQuit:
            raise
        except Exception as error:
            raise show_students_frame(error, self.assignment.folder, check.path) from None
        finally:
            given.remove()
            sys.path.remove(str(self.assignment.folder.parent))

    def close(self) -> None:
        """End the server and remove the working copy."""
        self._open.close()


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Collect checks, as `autograder.check.collecting` does."""
    pluginmanager.register(collecting)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put checks in the order of the handout, part by part, as `make grade` does. Other tests stay where they are."""
    from autograder import assignment

    checks = [item for item in items if isinstance(item, RunnableCheck)]
    folders = list(dict.fromkeys(item.folder for item in checks))
    read = [assignment.read(folder) for folder in folders if (folder / "assignment.toml").exists()]
    numbers = {(one.folder, part.name): part.number for one in read for part in one.parts}
    place = lambda item: (folders.index(item.folder), numbers.get((item.folder, item.check.part), 0))
    ordered = iter(sorted(checks, key=place))
    items[:] = [next(ordered) if isinstance(item, RunnableCheck) else item for item in items]


def pytest_configure(config: pytest.Config) -> None:
    """Make the items of the collecting plug-in ones that can run."""
    runnable: type[CheckItem] = RunnableCheck
    config.stash[ITEM] = runnable


_benches = pytest.StashKey[dict[Path, _Bench]]()


def _shows_output(config: pytest.Config) -> bool:
    """Whether prints and debuggers are wanted: -s or --pdb."""
    return _debugs(config) or config.option.capture == "no"


def _debugs(config: pytest.Config) -> bool:
    return getattr(config.option, "usepdb", False)


def _bench(config: pytest.Config, folder: Path) -> _Bench:
    benches = config.stash.setdefault(_benches, {})
    if folder not in benches:
        benches[folder] = _Bench(folder)
    return benches[folder]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started for this run."""
    for bench in config.stash.get(_benches, {}).values():
        bench.close()
