"""A plain sentence for every way in which a worker ends without an observation. Nothing here shows an answer."""

import signal
from typing import Any

from autograder.judge.reason import Reason
from autograder.sandbox.outcome import Ending, Outcome
from autograder.source.stub_text import parse_todo


def explain_outcome(outcome: Outcome, memory_mb: int) -> tuple[Reason, str]:
    """Why a worker ended without an observation, and the sentence that a student reads.

    memory_mb: the limit that the worker had.
    """
    error = outcome.error
    match outcome.kind:
        case Ending.TIMEOUT:
            text = f"No answer after {error['seconds']:.0f} s, so it was stopped. An endless loop, or far too slow?"
            return Reason.TIMEOUT, text
        case Ending.FLOODED:
            return Reason.FLOODED, f"The result could not be taken: {error.get('message', 'it is too large')}"
        case Ending.DIED:
            return Reason.DIED, _explain_death(error)
    return _explain_exception(error, memory_mb)


def _explain_death(error: dict[str, Any]) -> str:
    """The sentence about a process that ended before its check did."""
    if "signal" in error:
        number = error["signal"]
        name = signal.Signals(number).name if number in iter(signal.Signals) else f"signal {number}"
        note = " (out of memory?)" if name == "SIGKILL" else ""
        return f"The process was ended by {name}{note} before it returned anything"
    status = error.get("exit", "unknown")
    return f"The process ended itself with exit status {status} before the check was over. Does the code call exit()?"


def _explain_exception(error: dict[str, Any], memory_mb: int) -> tuple[Reason, str]:
    """The reason and the sentence for an exception, with the last three places of student code that it came through."""
    kind, message = error["type"], error["message"]
    where = "".join(f"\n  {frame}" for frame in error.get("frames", [])[-3:])
    match kind:
        case "NotImplementedError" if parse_todo(message):
            return Reason.TODO, message
        case "ForbiddenCall":
            return Reason.FORBIDDEN, message
        case "FileNotFoundError":  # our own one, about a missing deliverable, comes from no place worth showing
            return Reason.MISSING, message if "in __getattr__" in where else message + where
        case "SystemExit":
            return Reason.DIED, f"The code ended itself with exit({message}) before the check was over{where}"
        case "MemoryError":
            return Reason.MEMORY, f"Out of memory: more than {memory_mb} MB were asked for{where}"
        case "ModuleNotFoundError" if error.get("module"):
            return Reason.IMPORT, f"The module {error['module']!r} does not exist in the grading environment{where}"
        case "SyntaxError" | "IndentationError" | "TabError":
            return Reason.SYNTAX, f"{kind}: {message}{where}"
    return Reason.RAISED, f"{kind}: {message}{where}" if message else f"{kind}{where}"
