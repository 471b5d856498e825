"""A check as the grader sees it, and the code of its file.

Points and visibility come from the decorators of gradescope-utils, the judge from `autograder.judge`. The others, such as
the part that a check belongs to and what it builds on, come from `decorators.py`.
"""

import __future__

import functools
import inspect
import marshal
import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from autograder.judge.judge import Judge


@dataclass(frozen=True)
class Check:
    """One check as collected.

    id: "test_rope.py::test_rotation". A hidden check has "hidden/" before it.
    path: of the check file.
    name: of the function.
    function: never called in the parent. Its code is sent to a worker.
    weight: for the share of the points of its part.
    part: "rope.rotate".
    needs: parts that it builds on.
    title: what students read.
    limits: "seconds" and "memory_mb", where those of the assignment do not fit.
    number: what precedes the title in a report.
    visibility, hide_errors: as in gradescope-utils.
    device: "cuda" or "mps" for an extra row outside the points.
    ranks: leaf and order of a leaderboard column.
    on_request: it is left out unless --long asks for it.
    share: of the points of its part, by weight among all checks of that part.
    """

    id: str
    path: Path
    name: str
    function: Callable = field(repr=False, compare=False)
    judge: Judge = field(repr=False, compare=False)
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
    share: float = 0.0

    @property
    def module(self) -> str:
        """The module that the file of the check is about: "rope" for tests/test_rope.py."""
        return self.path.stem.removeprefix("test_")

    @property
    def seed(self) -> int:
        """Seed of the draw. The inputs are the same on every device."""
        return zlib.crc32(self.name.removesuffix(f"_on_{self.device}").encode())

    @classmethod
    def of(cls, function: Callable, path: Path, hidden: bool = False) -> "Check":
        """The check that a decorated function is. ValueError: a decorator or the docstring is missing, or does not fit."""
        marks, name = vars(function), f"{path.name}::{function.__name__}"
        title, judge = inspect.getdoc(function), marks.get("__judge__")
        if marks.get("__weight__") is None or not title:
            raise ValueError(f"{name} needs @weight(points) and a docstring that students read")
        if marks.get("__on_request__") and marks["__weight__"]:
            raise ValueError(f"{name} runs on request and so is worth no points: @weight(0)")
        if not isinstance(judge, Judge):
            raise ValueError(f"{name} has no judge; decorate it with @matches_reference or another one")
        return cls(
            id=f"hidden/{name}" if hidden else name,
            path=path,
            name=function.__name__,
            function=function,
            judge=judge,
            weight=float(marks["__weight__"]),
            part=marks.get("__part__") or path.stem.removeprefix("test_"),
            needs=tuple(marks.get("__needs__", ())),
            title=" ".join(title.split()),
            limits=dict(marks.get("__limits__", {})),
            hidden=hidden,
            number=marks.get("__number__"),
            tags=tuple(marks.get("__tags__", ())),
            visibility=marks.get("__visibility__", "visible"),
            hide_errors=marks.get("__hide_errors__"),
            device=marks.get("__device__"),
            ranks=marks.get("__ranks__"),
            on_request=marks.get("__on_request__", False),
        )


@functools.cache
def compiled(path: Path) -> bytes:
    """The code of a check file, as it is sent to workers. They need no right to read the file, and no time to compile it.

    Annotations are not evaluated, because they name classes of torch, and the parent reads check files without torch.
    OSError, SyntaxError: the file cannot be read or compiled.
    """
    text, flags = path.read_text(encoding="utf-8"), __future__.annotations.compiler_flag
    return marshal.dumps(compile(text, str(path), "exec", flags, dont_inherit=True))


def load_code(code: bytes, path: str) -> types.ModuleType:
    """The module of a check file from its code. The code comes from the grader itself and so may be trusted."""
    module = types.ModuleType(f"check_{Path(path).stem}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(marshal.loads(code), module.__dict__)
    return module
