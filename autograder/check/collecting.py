"""The pytest plug-in that collects checks, so that `-k`, test ids and editors behave as everywhere.

A check file is a `test_*.py` beside an `assignment.toml` (in `tests/`) or in a `hidden/` folder. While it is read, torch
is a stand-in that loads when it is first used: the parent only reads decorators, and a grade imports torch once, in the
server.
"""

import contextlib
import importlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from autograder.assignment import Assignment
from autograder.check.check import Check, compiled, load_code
from autograder.errors import BadInput, GraderFault


class _Later(ModuleType):
    """A module that is imported when something is first taken from it."""

    def __getattr__(self, name: str):
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = importlib.import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


@contextlib.contextmanager
def _torch_later() -> Iterator[None]:
    if "torch" in sys.modules:
        yield
        return
    later = sys.modules["torch"] = _Later("torch")
    try:
        yield
    finally:
        if sys.modules.get("torch") is later:
            del sys.modules["torch"]


class CheckFile(pytest.File):
    """A file of checks, in the order in which they are written."""

    def collect(self) -> Iterator["CheckItem"]:
        item = self.config.stash.get(ITEM, CheckItem)
        for check in read_checks(self.path):
            if not check.on_request or self.config.option.long:
                yield item.from_parent(self, name=check.name, check=check)


class CheckItem(pytest.Item):
    """One check as pytest sees it. It cannot be run: `autograder.plugin` has an item that can."""

    def __init__(self, *, check: Check, **kwargs):
        super().__init__(**kwargs)
        self.check = check
        self.extra_keyword_matches.update({check.part, *check.tags})

    def runtest(self) -> None:
        raise NotImplementedError("this plug-in collects checks and runs none")


ITEM = pytest.StashKey[type[CheckItem]]()  # the class of the items, where another plug-in can run them


def pytest_addoption(parser) -> None:
    parser.addoption("--long", action="store_true", help="also the checks of the course that take minutes and carry no points")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent):
    return CheckFile.from_parent(parent, path=module_path) if is_check_file(module_path) else None


def is_check_file(path: Path) -> bool:
    return path.name.startswith("test_") and (
        path.parent.name == "hidden" or (path.parent.name == "tests" and (path.parents[1] / "assignment.toml").exists())
    )


def read_checks(path: Path) -> list[Check]:
    """The checks of one file, in its order. GraderFault when the file itself is broken."""
    try:
        with _torch_later():
            module = load_code(compiled(path), str(path))
        return [
            Check.of(f, path, hidden=path.parent.name == "hidden")
            for name, f in vars(module).items()
            if name.startswith("test_") and callable(f)
        ]
    except Exception as error:
        raise GraderFault(f"the check file {path.name} cannot be read: {type(error).__name__}: {error}") from error


def collect(assignment: Assignment, only: str | None = None, hidden: bool = False, long: bool = False) -> list[Check]:
    """The checks of an assignment, or those that pytest's `-k only` selects. BadInput if that is none.

    long: also those that run on request alone.
    """
    folders = [assignment.folder / "tests"] + ([assignment.hidden] if hidden and assignment.hidden.exists() else [])
    found = _Found()
    arguments = [
        "-c",
        str(Path(__file__).with_name("collect.ini")),
        f"--rootdir={assignment.course.root}",
        "--collect-only",
        "-q",
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-p",
        __name__,
        *(["-k", only] if only else []),
        *(["--long"] if long else []),
        *map(str, folders),
    ]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _no_plugins():
        status = pytest.main(arguments, plugins=[found])
    if found.checks and status == pytest.ExitCode.OK:
        return [replace(check, share=check.weight / found.weights[check.part] if check.weight else 0.0) for check in found.checks]
    if status == pytest.ExitCode.NO_TESTS_COLLECTED and only:
        raise BadInput(
            f"no check of {assignment.id} fits {only!r}; try a part of a name, such as attention or mask"
            + ("" if long else "; checks that take minutes are left out without --long")
        )
    if status == pytest.ExitCode.USAGE_ERROR or "-k" in said.getvalue():
        raise BadInput(f"{only!r} is no expression for -k; try a part of a name, or 'mask and not bad'")
    raise GraderFault(f"no checks were collected for {assignment.id}:\n{said.getvalue().strip()[-1500:]}")


class _Found:
    """Takes the checks that are left after pytest's own selection."""

    def __init__(self):
        self.checks: list[Check] = []
        self.weights: Counter[str] = Counter()

    def pytest_itemcollected(self, item) -> None:
        if hasattr(item, "check") and item.check.device is None:  # rows for other devices are outside the 100 points
            self.weights[item.check.part] += item.check.weight

    def pytest_collection_finish(self, session) -> None:
        if session.testsfailed == 0:
            self.checks = [item.check for item in session.items if hasattr(item, "check")]


@contextlib.contextmanager
def _no_plugins() -> Iterator[None]:
    """Plug-ins of the environment are none of ours here, and cost a second to import."""
    import os

    before = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"), os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for key, value in zip(("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS"), before, strict=True):
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
