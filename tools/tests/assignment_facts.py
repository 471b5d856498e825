"""What the tests of an assignment need to know: the optional file `tests/facts.toml` of its reference, and a sample of cases.

missing = "norm.py"            # a file that is left out; its points are lost, and no others
demos = ["bpe", "all"]         # arguments of the demo, each in one string: together all that it can show, a short one first
demo_of_stubs = ["race"]       # arguments with which the demo meets a stub
demo_seconds = 300             # that each of them may take on a machine that does something else too
pictures = 3                   # at least so many does the notebook show
unnamed = ["mistake"]          # killed, but named on the machine alone where golden values were recorded; say why
"""

import random
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache

from autograder.assignment import Assignment, Course
from tools.author.cases import Case
from tools.author.reference_runs import cases_of


@dataclass(frozen=True)
class Facts:
    """The values of `facts.toml`, and its defaults. Without `missing`, it is the first module of the assignment."""

    missing: str = ""
    demos: tuple[str, ...] = ("",)
    demo_of_stubs: tuple[str, ...] = ()
    demo_seconds: float = 300
    pictures: int = 3
    unnamed: tuple[str, ...] = ()

    @classmethod
    def of(cls, assignment: Assignment) -> "Facts":
        """What is known about an assignment. TypeError for a key that is none."""
        path = assignment.reference / "tests" / "facts.toml"
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        return cls(**{"missing": assignment.deliverables[0], **values})


@cache
def seed() -> str:
    """The commit, so that every commit has a sample of its own; without git it is always the same."""
    result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Course.here().root, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "no commit"


def sample(assignment: Assignment, kind: str, count: int) -> list[Case]:
    """Some misconceptions or alternates of an assignment, others for another commit."""
    cases = cases_of(assignment, kind)
    return random.Random(f"{seed()} {assignment.id} {kind}").sample(cases, min(count, len(cases)))
