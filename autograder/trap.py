"""Catches a call of the function that the student was asked to write, however it is spelled.

Every torch function, `torch.ops` included, passes a torch-function mode; the file that made the call decides: calls from
the student's files count, those of `given`, of a check or of torch itself do not. The name alone is no proof in a source
file (it may stand in an experiment that is never run), so nothing is judged by reading.
"""

import sys
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode

_TORCH = str(Path(torch.__file__).parent)


class ForbiddenCall(Exception):
    """A student's file called a function that stands on the assignment's list."""


class Trap(TorchFunctionMode):
    """names: functions and module classes ("gelu", "LayerNorm"); folder: where the student's files lie."""

    def __init__(self, names: list[str], folder: str):
        super().__init__()
        self.names, self.folder, self.caught = set(names), folder, None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "").split(".")[0]
        if name in self.names and (place := _caller(self.folder)):
            self.caught = f"{place} calls {name}, which is yours to write"
            raise ForbiddenCall(self.caught)
        return func(*args, **(kwargs or {}))


def _caller(folder: str) -> str | None:
    """ "file.py:12" of the nearest frame outside torch, if it is the student's; text from eval has no file of its own."""
    frame = sys._getframe(2)
    while frame:
        path = frame.f_code.co_filename
        if path.startswith(folder):
            return f"{Path(path).name}:{frame.f_lineno}"
        if not path.startswith((_TORCH, "<")):
            return None
        frame = frame.f_back
    return None
