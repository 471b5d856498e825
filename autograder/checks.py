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


def part(name: str) -> Callable:
    """The part of the assignment ("attention.causal_mask") whose points this check carries."""
    return _mark("__part__", name)


def needs(*parts: str) -> Callable:
    """Parts that this check builds on. One that is wrong is replaced by the `given` one, or the check not attempted."""
    return _mark("__needs__", parts)


def limits(seconds: float | None = None, memory_mb: int | None = None) -> Callable:
    """Wall-clock seconds and memory of this check, where the assignment's own do not fit."""
    return _mark("__limits__", {k: v for k, v in (("seconds", seconds), ("memory_mb", memory_mb)) if v is not None})


def on_device(name: str) -> Callable:
    """An extra row outside the 100 points that asks for this device ("cuda", "mps")."""
    return _mark("__device__", name)


def ranks(leaf: str, order: str = "desc") -> Callable:
    """A leaderboard column: the number in this leaf, read by the parent once the check passes. order: "asc" or "desc".

    The leaf "pace" of a `keeps_pace` check is the time as a ratio to the baseline, which the parent measures.
    """
    return _mark("__ranks__", (leaf, order))


def on_request(function: Callable) -> Callable:
    """A check that takes minutes: left out unless `--long` asks for it, and worth no points (its weight is 0).

    What it expects is not recorded: its judge makes it when the check is asked for, as `trains_below` does.
    """
    return _mark("__on_request__", True)(function)


def refusal(call: Callable[[], Any]) -> str:
    """The name of the exception that the call raises, or "accepted": an observation of how bad input is met.

    A part that is not written yet refuses nothing, so NotImplementedError goes on its way.
    """
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "accepted"


def parameter_table(module) -> dict[str, str]:
    """State-dict keys of the parameters with their shape, and the dtype if it is not the default; tied names are listed.

    Buffers are ignored: they are the student's own affair.
    """
    import torch

    odd = lambda p: "" if p.dtype is torch.get_default_dtype() else f" {p.dtype}"
    return {key: f"{tuple(p.shape)}{odd(p)}" for key, p in module.named_parameters(remove_duplicate=False)}


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


def _mark(attribute: str, value: Any) -> Callable:
    def decorate(function):
        setattr(function, attribute, value)
        return function

    return decorate
