"""Catches a call of the function that the student was asked to write, however it is spelled.

Every torch function, `torch.ops` included, passes a torch-function mode. The file that made the call decides: calls from
the student's files count, and those of `given`, of a check or of torch itself do not. No source file is searched for the
name, because it may stand in an experiment that is never run.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_TORCH = str(Path(torch.__file__).parent)


class ForbiddenCall(Exception):
    """A student's file called a function that stands on the assignment's list."""


class ForbiddenCalls(TorchFunctionMode):
    """Watches for forbidden calls while it is entered.

    names: functions and module classes ("gelu", "LayerNorm").
    folder: where the student's files lie.
    violation: the call that was caught, in words. It stays when student code catches the exception.
    """

    def __init__(self, names: list[str], folder: str):
        super().__init__()
        self.names, self.folder = set(names), folder
        self.violation: str | None = None

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call the function. ForbiddenCall: a student's file must not."""
        if call := self._forbidden(getattr(func, "__name__", "").split(".")[0]):
            self.violation = f"{call}, which is yours to write"
            raise ForbiddenCall(self.violation)
        return func(*args, **(kwargs or {}))

    def _forbidden(self, name: str) -> str | None:
        """Say "file.py:12 calls name" if the nearest frame outside torch is the student's and the callee is on the list.

        The callee may be a function of torch that is written in Python, such as nn.init.kaiming_normal_. It shows by its
        frame alone. Text from eval has no file of its own.
        """
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 (there is no public way to the frames)
        while frame:
            path = frame.f_code.co_filename
            if path.startswith(self.folder):
                return f"{Path(path).name}:{frame.f_lineno} calls {name}" if name in self.names else None
            if not path.startswith((_TORCH, "<")):
                return None
            if path.startswith(_TORCH) and frame.f_code.co_name in self.names:
                name = frame.f_code.co_name
            frame = frame.f_back
        return None
