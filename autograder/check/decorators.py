"""What a check file says about its checks, besides judge and points. Each decorator marks the function that it stands above."""

from collections.abc import Callable


def part(name: str) -> Callable[[Callable], Callable]:
    """The part of the assignment ("attention.causal_mask") whose points this check carries."""
    return _mark("__part__", name)


def needs(*parts: str) -> Callable[[Callable], Callable]:
    """Parts that this check builds on. A wrong one is replaced by the `given` one. Where that is impossible, the check is not attempted."""
    return _mark("__needs__", parts)


def limits(seconds: float | None = None, memory_mb: int | None = None) -> Callable[[Callable], Callable]:
    """Limits of this check, where those of the assignment do not fit.

    seconds: wall clock.
    memory_mb: beyond what the server has mapped before the check.
    """
    given = {"seconds": seconds, "memory_mb": memory_mb}
    return _mark("__limits__", {name: value for name, value in given.items() if value is not None})


def on_device(name: str) -> Callable[[Callable], Callable]:
    """An extra row outside the 100 points that asks for this device ("cuda", "mps")."""
    return _mark("__device__", name)


def ranks(leaf: str, order: str = "desc") -> Callable[[Callable], Callable]:
    """A leaderboard column: the number in this leaf. The parent reads it once the check passes.

    leaf: the leaf "pace" of a `keeps_pace` check is the time as a ratio to the baseline, which the parent measures.
    order: "asc" or "desc".
    """
    return _mark("__ranks__", (leaf, order))


def on_request(function: Callable) -> Callable:
    """A check that takes minutes. It is left out unless `--long` asks for it, and it is worth no points (its weight is 0).

    What it expects is not recorded. Its judge works it out when the check is asked for, as `trains_below` does.
    """
    return _mark("__on_request__", True)(function)


def _mark(attribute: str, value: object) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        setattr(function, attribute, value)
        return function

    return decorate
