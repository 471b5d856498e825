"""What a check file says about its checks, and the `Check` that the grader makes of it.

Points and visibility come from gradescope-utils' decorators, the judge from `judges.py`; here stand the rest: the part
that a check belongs to, what it builds on, its own limits, the device it asks for.
"""

import functools
import inspect
import marshal
import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One check as collected. `function` is never called in the parent: its source is sent to a worker."""

    id: str
    path: Path
    name: str
    function: Callable = field(repr=False, compare=False)
    judge: Any = field(repr=False, compare=False)
    weight: float
    part: str
    needs: tuple[str, ...]
    title: str
    limits: dict[str, float]
    hidden: bool = False
    number: str | None = None
    tags: tuple[str, ...] = ()
    visibility: str = "visible"
    hide_errors: str | None = None
    device: str | None = None
    ranks: tuple[str, str] | None = None
    on_request: bool = False
    share: float = 0.0  # of the points of its part, by weight among all checks of that part

    @property
    def module(self) -> str:
        """The module that the file of the check is about: tests/test_rope.py → rope."""
        return self.path.stem.removeprefix("test_")

    @property
    def seed(self) -> int:
        return zlib.crc32(self.name.removesuffix(f"_on_{self.device}").encode())  # the same inputs on every device

    @classmethod
    def of(cls, function: Callable, path: Path, hidden: bool = False) -> "Check":
        """The check that a decorated function is. ValueError when a decorator is missing."""
        get = lambda name, default=None: getattr(function, name, default)
        if get("__weight__") is None or not inspect.getdoc(function):
            raise ValueError(f"{path.name}::{function.__name__} needs @weight(points) and a docstring that students read")
        if get("__on_request__") and get("__weight__"):
            raise ValueError(f"{path.name}::{function.__name__} runs on request and so is worth no points: @weight(0)")
        return cls(
            id=f"{'hidden/' if hidden else ''}{path.name}::{function.__name__}",
            path=path,
            name=function.__name__,
            function=function,
            judge=get("__judge__"),
            weight=float(get("__weight__")),
            part=get("__part__") or path.stem.removeprefix("test_"),
            needs=tuple(get("__needs__", ())),
            title=" ".join(inspect.getdoc(function).split()),
            limits=dict(get("__limits__", {})),
            hidden=hidden,
            number=get("__number__"),
            tags=tuple(get("__tags__", ())),
            visibility=get("__visibility__", "visible"),
            hide_errors=get("__hide_errors__"),
            device=get("__device__"),
            ranks=get("__ranks__"),
            on_request=get("__on_request__", False),
        )


@functools.cache
def compiled(path: Path) -> bytes:
    """The code of a check file, as it is sent to workers: they need no right to read the file, and no time to compile it."""
    return marshal.dumps(compile(path.read_text(encoding="utf-8"), str(path), "exec"))


def load_code(code: bytes, path: str) -> types.ModuleType:
    """The module of a check file from its code, which comes from the grader itself and so may be trusted."""
    module = types.ModuleType(f"check_{Path(path).stem}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(marshal.loads(code), module.__dict__)
    return module
