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


class ForbiddenCalls(TorchFunctionMode):
    """names: functions and module classes ("gelu", "LayerNorm"); folder: where the student's files lie."""

    def __init__(self, names: list[str], folder: str):
        super().__init__()
        self.names, self.folder, self.violation = set(names), folder, None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if call := self._forbidden(getattr(func, "__name__", "").split(".")[0]):
            self.violation = f"{call}, which is yours to write"
            raise ForbiddenCall(self.violation)
        return func(*args, **(kwargs or {}))

    def _forbidden(self, name: str) -> str | None:
        """ "file.py:12 calls name" if the nearest frame outside torch is the student's and what it called is on the list.

        That may be a function of torch written in Python, which shows itself by its frame alone: nn.init.kaiming_normal_.
        Text from eval has no file of its own.
        """
        frame = sys._getframe(2)
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
