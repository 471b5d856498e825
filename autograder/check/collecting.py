"""The pytest plug-in that collects checks, so that `-k`, test ids and editors behave as everywhere.

A check file is a `test_*.py` in `tests/` beside an `assignment.toml`, or in a folder `hidden/`. While it is read, torch is a
stand-in (`loaded_later.py`). The parent only reads decorators, and a grade imports torch once, in the server.
"""

import contextlib
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.assignment import Assignment
from autograder.check.check import Check, compiled, load_code
from autograder.check.loaded_later import loaded_later
from autograder.errors import BadInput, GraderFault


class NothingFits(BadInput):
    """No check of an assignment is selected."""


class CheckFile(pytest.File):
    """A file of checks, in the order in which they are written."""

    def collect(self) -> Iterator["CheckItem"]:
        """The checks of this file. Those that run on request are left out without --long."""
        item = self.config.stash.get(ITEM, CheckItem)
        for check in read_checks(self.path):
            if not check.on_request or self.config.option.long:
                yield item.from_parent(self, name=check.name, check=check)


class CheckItem(pytest.Item):
    """One check as pytest sees it. It cannot be run: `autograder.plugin` has an item that can."""

    def __init__(self, *, check: Check, **kwargs: Any):
        super().__init__(**kwargs)
        self.check = check
        self.extra_keyword_matches.update({check.part, *check.tags})

    def runtest(self) -> None:
        """NotImplementedError: always."""
        raise NotImplementedError("this plug-in collects checks and runs none")


ITEM = pytest.StashKey[type[CheckItem]]()  # the class of the items, where another plug-in can run them


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option --long."""
    parser.addoption("--long", action="store_true", help="also the checks of the course that take minutes and carry no points")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Take check files. Any other file stays with pytest."""
    return CheckFile.from_parent(parent, path=module_path) if is_check_file(module_path) else None


def is_check_file(path: Path) -> bool:
    """Whether this is a file of checks, by its name and its place."""
    return path.name.startswith("test_") and (
        path.parent.name == "hidden" or (path.parent.name == "tests" and (path.parents[1] / "assignment.toml").exists())
    )


def read_checks(path: Path) -> list[Check]:
    """The checks of one file, in its order. GraderFault: the file itself is broken."""
    try:
        with loaded_later("torch"):
            module = load_code(compiled(path), str(path))
        return [
            Check.of(function, path, hidden=path.parent.name == "hidden")
            for name, function in vars(module).items()
            if name.startswith("test_") and callable(function)
        ]
    except Exception as error:
        raise GraderFault(f"the check file {path.name} cannot be read: {type(error).__name__}: {error}") from error


def collect(assignment: Assignment, only: str | None = None, hidden: bool = False, long: bool = False) -> list[Check]:
    """The checks of an assignment.

    only: an expression as for pytest's -k, which selects some.
    hidden: also the hidden ones, where there are any.
    long: also those that run on request alone.
    NothingFits: nothing fits `only`.
    BadInput: `only` is no expression.
    GraderFault: a check file is broken, or there are no checks.
    """
    folders = [assignment.folder / "tests"]
    if hidden and assignment.hidden.exists():
        folders.append(assignment.hidden)
    status, selection, output = _run_pytest(assignment.course.root, folders, only, long)
    if selection.checks and status == pytest.ExitCode.OK:
        return [replace(check, share=selection.share(check)) for check in selection.checks]
    if status == pytest.ExitCode.NO_TESTS_COLLECTED and only:
        left_out = "" if long else "; checks that take minutes are left out without --long"
        raise NothingFits(f"no check of {assignment.id} fits {only!r}; try a part of a name, such as attention or mask{left_out}")
    if status == pytest.ExitCode.USAGE_ERROR or "-k" in output:
        raise BadInput(f"{only!r} is no expression for -k; try a part of a name, or 'mask and not bad'")
    raise GraderFault(f"no checks were collected for {assignment.id}:\n{output.strip()[-1500:]}")


class _Selection:
    """The checks that are left after pytest's own selection."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self._weights: defaultdict[str, float] = defaultdict(float)  # of all checks of a part

    def share(self, check: Check) -> float:
        """The share of the points of its part that a check carries."""
        return check.weight / self._weights[check.part] if check.weight else 0.0

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Count the weight of a check, before any is left out."""
        if isinstance(item, CheckItem) and item.check.device is None:  # rows for other devices are outside the 100 points
            self._weights[item.check.part] += item.check.weight

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take what is left, if every file could be read."""
        if session.testsfailed == 0:
            self.checks = [item.check for item in session.items if isinstance(item, CheckItem)]


def _run_pytest(root: Path, folders: list[Path], only: str | None, long: bool) -> tuple[int, _Selection, str]:
    """Let pytest collect in these folders of a course. Returns its exit status, what it selected and what it printed."""
    selection, output = _Selection(), io.StringIO()
    settings = Path(__file__).with_name("collect.ini")
    arguments = ["-c", str(settings), f"--rootdir={root}", "--collect-only", "-q", "--noconftest"]
    arguments += ["-p", "no:cacheprovider", "-p", __name__]
    arguments += ["-k", only] if only else []
    arguments += ["--long"] if long else []
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), _no_plugins():
        status = pytest.main([*arguments, *map(str, folders)], plugins=[selection])
    return status, selection, output.getvalue()


@contextlib.contextmanager
def _no_plugins() -> Iterator[None]:
    """Keep plug-ins of the environment out. They are none of ours, and they cost a second to import."""
    before = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"), os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for key, value in zip(("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS"), before, strict=True):
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
