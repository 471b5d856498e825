"""From what happened to what a student reads: a plain sentence for every way to fail, and the name of a known mistake.

Names of mistakes come from fingerprints: short descriptions of what each misconception was seen to do in this check, stored
with the golden values. Nothing here shows an answer.
"""

import signal

from autograder.sandbox.outcome import Outcome
from autograder.source.stub_text import parse_todo


def explain_outcome(outcome: Outcome, memory_mb: int) -> tuple[str, str]:
    """(reason, text) of a worker that brought no observation."""
    error = outcome.error
    where = "".join(f"\n  {frame}" for frame in error.get("frames", [])[-3:])
    match outcome.kind:
        case "timeout":
            return "timeout", f"No answer after {error['seconds']:.0f} s, so it was stopped. An endless loop, or far too slow?"
        case "flooded":
            return "flooded", f"The result could not be taken: {error.get('message', 'it is too large')}"
        case "died" if "signal" in error:
            number = error["signal"]
            name = signal.Signals(number).name if number in iter(signal.Signals) else f"signal {number}"
            note = " (out of memory?)" if name == "SIGKILL" else ""
            return "died", f"The process was ended by {name}{note} before it returned anything"
        case "died":
            return "died", (
                f"The process ended itself with exit status {error.get('exit', 'unknown')} before the check was over. "
                "Does the code call exit()?"
            )
    kind, message = error["type"], error["message"]
    if kind == "NotImplementedError" and parse_todo(message):
        return "todo", message
    if kind == "ForbiddenCall":
        return "forbidden", message
    if kind == "FileNotFoundError":
        return "missing", message + where if "in __getattr__" not in where else message  # ours stands in for a missing file
    if kind == "SystemExit":
        return "died", f"The code ended itself with exit({message}) before the check was over{where}"
    if kind == "MemoryError":
        return "memory", f"Out of memory: more than {memory_mb} MB were asked for{where}"
    if kind == "ModuleNotFoundError" and error.get("module"):
        return "import", f"The module {error['module']!r} does not exist in the grading environment{where}"
    if kind in ("SyntaxError", "IndentationError", "TabError"):
        return "syntax", f"{kind}: {message}{where}"
    return "raised", f"{kind}: {message}{where}" if message else f"{kind}{where}"
