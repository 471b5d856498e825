"""Known mistakes, and how one is recognised by its fingerprint."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.assignment import Assignment
from autograder.observation.fingerprint import fingerprint, matches_fingerprint
from autograder.observation.golden import Golden
from autograder.sandbox.outcome import Ending, Outcome


@dataclass(frozen=True)
class Hint:
    """A known mistake.

    text: what it does wrong.
    section, pitfall: where the handout warns of it.
    ask: a question that leads on.
    """

    name: str
    text: str
    section: str
    pitfall: int | None
    ask: str | None

    def __str__(self) -> str:
        question = f" {self.ask}" if self.ask else ""
        pitfall = f", pitfall {self.pitfall}" if self.pitfall else ""
        return f"Looks like: {self.text}{question} Read: handout, {self.section}{pitfall}."


def recognise(outcome: Outcome, golden: Golden, folder: Path) -> list[Hint]:
    """The misconceptions that this outcome looks like. Usually there is one or none.

    folder: where the checks lie.
    """
    known = hints(folder)
    stored = [s for s in golden.fingerprints if s.case in known]
    if outcome.kind == Ending.RAISED:
        return [known[s.case] for s in stored if s.leaves.get("raised") == raised(outcome)]
    if outcome.kind != Ending.OBSERVED:
        return []
    actual = fingerprint(outcome.observation, golden)
    return [known[s.case] for s in stored if matches_fingerprint(actual, s.leaves, golden)]


def raised(outcome: Outcome) -> str:
    """An exception in a form that two runs of the same mistake share.

    It is the type, and at most 120 characters of the first line.
    """
    lines = outcome.error["message"].splitlines()
    return f"{outcome.error['type']}: {lines[0][:120] if lines else ''}"


@cache
def hints(folder: Path) -> dict[str, Hint]:
    """Hints by name of the misconception, from golden/hints.json beside the checks. None where there is no such file."""
    path = folder / "golden" / "hints.json"
    table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: Hint(name, **entry) for name, entry in table.items()}


def hints_path(assignment: Assignment) -> Path:
    """The file that holds the hints of an assignment."""
    return assignment.folder / "tests" / "golden" / "hints.json"
