"""What a check file says about its checks."""

from collections.abc import Callable
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


def _mark(attribute: str, value: Any) -> Callable:
    def decorate(function):
        setattr(function, attribute, value)
        return function

    return decorate
