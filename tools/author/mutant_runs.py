"""Run mechanical mutants of the graded code, and see whether some check notices each of them."""

import random
import re
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from autograder.check.check import Check
from autograder.grading import Grader
from autograder.judge.judge import Drive
from tools.author.mutants import Mutant, mutants
from tools.author.reference_runs import ReferenceRuns
from tools.author.verification import MutantCounts

MUTANTS, PER_SITE = 300, 2  # how many are tried, and at most how many at one place of the code
LEAST_SHARE = 0.95  # of the mutants that some check must fail


def run_mutants(runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> MutantCounts:
    """Try a sample of mutants. Problems are appended.

    Fast checks come first, and the first one that fails ends a mutant. Checks of other devices do not run.
    KeyError: a row of `equivalents.toml` lacks `line` or `reason`.
    """
    pool = _pool(runs)
    sample = random.Random(0).sample(pool, min(MUTANTS, len(pool)))
    trial = _Trial(runs, Grader(runs.runner), [check for check in checks if not check.device])
    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(trial.survivor, i, name, mutant) for i, (name, mutant) in enumerate(sample)]
    survivors = [line for job in jobs if (line := job.result())]
    reviewed = _reviewed(runs.source / "equivalents.toml")
    equivalent = [f"{line}   because {reviewed[_key(line)]}" for line in survivors if _key(line) in reviewed]
    alive = [line for line in survivors if _key(line) not in reviewed]
    counted = len(sample) - len(equivalent)
    share = (counted - len(alive)) / counted if counted else 1.0
    if share < LEAST_SHARE:
        problems.append(f"only {share:.1%} of the mutants die")
    return MutantCounts(len(pool), len(sample), equivalent, counted - len(alive), round(share, 4), alive)


def _pool(runs: ReferenceRuns) -> list[tuple[str, Mutant]]:
    """All mutants of all deliverables, each with the name of its file."""
    pool = []
    for name in runs.assignment.deliverables:
        if name.endswith(".py"):
            source = (runs.reference.folder / name).read_text(encoding="utf-8")
            pool += [(name, mutant) for mutant in mutants(source, None, seed=0, limit=10**6, per_site=PER_SITE)]
    return pool


@dataclass(frozen=True)
class _Trial:
    """How a mutant is tried."""

    runs: ReferenceRuns
    grader: Grader
    checks: list[Check]

    def survivor(self, number: int, name: str, mutant: Mutant) -> str | None:
        """A line about the mutant if it passes every check."""
        tree = self.runs.tree_with(f"mutant_{number}", name, mutant.source)
        if all(self.grader.judge(check, tree).share == 1 for check in self._in_order(name.removesuffix(".py"))):
            return f"{name}:{mutant.line} {mutant.operator}: {mutant.before.strip()} → {mutant.after.strip()}"
        return None

    def _in_order(self, module: str) -> list[Check]:
        """Checks of the module first, then the others, and those that take seconds last."""
        return sorted(self.checks, key=lambda check: 2 if check.judge.drive != Drive.OBSERVE else check.module != module)


def _key(line: str) -> str:
    """A line about a survivor without its line number, which changes with the file."""
    return re.sub(r":\d+ ", " ", line, count=1)


def _reviewed(path: Path) -> dict[str, str]:
    """The reason for each mutant that a person has reviewed as equal in effect.

    The file has tables [[mutant]] with `line`, as the page of `verify` prints it, and `reason`.
    """
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []) if path.exists() else []
    return {_key(row["line"]): row["reason"] for row in rows}
