"""Where pytest's `--pdb` stops: in the student's code, or in the check that calls it, and not in the grader around them.

After an exception it stops where the student's code was. A wrong value has no such place, so the check runs once more under
a debugger, from its first line. There is a breakpoint where the student's part begins.
"""

import bdb
import importlib
import inspect
import pdb
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, TracebackType
from typing import Any

import pytest

from autograder.check.check import Check

HOW = (
    "The check runs once more. c: go on to {part}; n: next line; s: step into a call; p x: print x; u: up to the caller; q: quit"
)


def show_students_frame(error: Exception, folder: Path, check: Path) -> Exception:
    """The error with a traceback that ends in the student's code, or in the check where none of it was running.

    folder: where the student's files lie.
    check: the file of the check.
    """
    steps = list(_steps(error.__traceback__))
    files = [Path(step.tb_frame.f_code.co_filename) for step in steps]
    places = [i for i, file in enumerate(files) if file.parent == folder] or [i for i, file in enumerate(files) if file == check]
    shown = None
    for step in reversed(steps[: places[-1] + 1] if places else steps):
        shown = TracebackType(shown, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return error.with_traceback(shown)


def step_through(config: pytest.Config, check: Check, why: str, run: Callable[[Callable[..., Any]], object]) -> None:
    """Run a check under a debugger that stops at its first line, and again where the student's part begins.

    why: what is wrong, printed first.
    run: runs the check by way of the function that it is given.
    pytest.exit: the debugger was left.
    """
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.suspend_global_capture(in_=True)
    debugger = pdb.Pdb()
    config.hook.pytest_enter_pdb(config=config, pdb=debugger)  # pytest-timeout then stops its clock
    print(f"\n\n{why}\n{HOW.format(part=check.part)}")

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        for code in _entries(check):
            debugger.set_break(code.co_filename, code.co_firstlineno, funcname=code.co_name)
        if (seen := debugger.runcall(function, *arguments)) is None:
            raise bdb.BdbQuit  # which some versions of Python keep to themselves
        return seen

    try:
        run(call)
    except bdb.BdbQuit:
        pytest.exit("the debugger was left")
    finally:
        config.hook.pytest_leave_pdb(config=config, pdb=debugger)
        if capture:
            capture.resume_global_capture()


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback:
        yield traceback
        traceback = traceback.tb_next


def _entries(check: Check) -> list[CodeType]:
    """The code of the student's part: a function, or the methods of a class."""
    module_name, _, name = check.part.partition(".")
    module = importlib.import_module(f"{check.path.parents[1].name}.{module_name}")
    part: Any = module
    for step in name.split("."):
        part = getattr(part, step, None)
    members = vars(part).values() if inspect.isclass(part) else [part]
    functions = [inspect.unwrap(getattr(member, "__func__", member)) for member in members if callable(member)]
    return [f.__code__ for f in functions if isinstance(f, FunctionType) and f.__code__.co_filename == module.__file__]
