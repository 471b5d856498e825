"""From what happened to what a student reads: a plain sentence for every way to fail, and the name of a known mistake.

Names of mistakes come from sketches: short descriptions of what each misconception was seen to do in this check, stored
with the golden values. Nothing here shows an answer.
"""

import json
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.assignment import Assignment
from autograder.golden import Golden, same_sketch, sketch
from autograder.workers import Outcome


@dataclass(frozen=True)
class Hint:
    """A known mistake. text: what it does wrong; section and pitfall: of the handout; ask: a question that leads on."""

    name: str
    text: str
    section: str
    pitfall: int | None
    ask: str | None

    def __str__(self) -> str:
        question = f" {self.ask}" if self.ask else ""
        pitfall = f", pitfall {self.pitfall}" if self.pitfall else ""
        return f"Looks like: {self.text}{question} Read: handout, {self.section}{pitfall}."


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
    if kind == "NotImplementedError" and ("yours to write" in message or "is still open" in message):
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


def recognise(outcome: Outcome, golden: Golden, folder: Path) -> list[Hint]:
    """The misconceptions that this outcome looks like; usually none or one."""
    known = hints(folder)
    if outcome.kind == "raised":
        said = raised(outcome)
        return [known[s.case] for s in golden.sketches if s.case in known and s.leaves.get("raised") == said]
    if outcome.kind != "observed":
        return []
    mine = sketch(outcome.seen, golden)
    return [known[s.case] for s in golden.sketches if s.case in known and same_sketch(mine, s.leaves, golden)]


def raised(outcome: Outcome) -> str:
    """An exception in a form that two runs of the same mistake share."""
    return f"{outcome.error['type']}: {outcome.error['message'].splitlines()[0][:120] if outcome.error['message'] else ''}"


@cache
def hints(folder: Path) -> dict[str, Hint]:
    """Hints by name of the misconception, from golden/hints.json beside the checks."""
    path = folder / "golden" / "hints.json"
    return {name: Hint(name, **entry) for name, entry in json.loads(path.read_text()).items()} if path.exists() else {}


def hints_path(assignment: Assignment) -> Path:
    return assignment.folder / "tests" / "golden" / "hints.json"
