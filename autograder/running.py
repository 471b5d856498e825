"""One check on one tree: builds the request, drives the worker as the judge asks for, and hands back what was seen."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.assignment import Assignment
from autograder.checks import Check
from autograder.observation import MalformedObservation
from autograder.submission import Tree
from autograder.workers import Outcome, Server, Step, Worker


@dataclass(frozen=True)
class Run:
    """How to run a check. exact: float64 for float32; seed: added to the check's own; given: a tree without student code."""

    server: Server
    assignment: Assignment
    scratch: Path
    given: Tree
    exact: bool = False
    seed: int = 0
    device: str = "cpu"

    def exactly(self) -> "Run":
        return replace(self, exact=True)

    def observe(self, check: Check, tree: Tree) -> Outcome:
        """What the check sees in this tree; the steps of a stepwise check become leaves "step 0.out", …."""
        seconds, request = self._seconds(check), self._request(check, tree)
        if check.judge.mode == "observe":
            return self.server.observe(request, seconds)
        started = time.monotonic()
        with Worker(self.server, request) as worker:
            worker.start_clock()
            return self._drive([worker], started + seconds, rounds=_rounds(check))

    def pace(self, check: Check, tree: Tree) -> tuple[Outcome, float]:
        """The observation, and the median ratio to the baseline; both workers take turns, one repetition each."""
        judge, started = check.judge, time.monotonic()
        baseline = self._request(check, self.given, baseline=True)
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(self.server, r)) for r in (self._request(check, tree), baseline)]
            for worker in workers:
                worker.start_clock()
            outcome = self._drive(workers, started + self._seconds(check), rounds=_rounds(check))
        if outcome.kind != "observed":
            return outcome, float("inf")
        mine, theirs = outcome.steps[2::2], outcome.steps[3::2]  # without the set-up pair
        return outcome, judge.ratio([s.seconds for s in mine[1:]], [s.seconds for s in theirs[1:]])

    def _drive(self, workers: list[Worker], deadline: float, rounds: int) -> Outcome:
        """Step the workers in turn; the first is the one that is judged, the outcome carries the steps of all."""
        steps: list[Step] = []
        first = Outcome("observed")
        for number in range(rounds):
            for worker in workers:
                try:
                    step = worker.step(max(0.0, deadline - time.monotonic()))
                except MalformedObservation as error:
                    return Outcome("flooded", error={"message": str(error)})
                if isinstance(step, Outcome):
                    if step.kind == "observed" and worker is workers[0]:
                        step = Outcome("raised", error={"type": "RuntimeError", "message": "the check ended early", "frames": []})
                    return step
                if worker is workers[0]:
                    first.seen |= {f"step {number}.{path}": leaf for path, leaf in step.seen.items()}
                steps.append(step)
        first.steps = steps
        return first

    def _seconds(self, check: Check) -> float:
        return check.limits.get("seconds", self.assignment.seconds)

    def _request(self, check: Check, tree: Tree, baseline: bool = False) -> dict:
        probe = check.judge.probe if baseline else None
        return {
            "source": check.path.read_text(encoding="utf-8"),
            "path": str(check.path),
            "name": probe.__name__ if probe else check.name,
            "probe": probe is not None,
            "tree": str(tree.path),
            "folder": str(tree.folder),
            "scratch": str(self.scratch),
            "solution": f"given.{self.assignment.package}" if baseline else self.assignment.package,
            "seed": (check.seed + self.seed) & 0xFFFFFFFF,
            "exact": self.exact,
            "device": check.device or self.device,
            "mode": check.judge.mode,
            "seconds": self._seconds(check),
            "memory_mb": 0 if "cuda" in (check.device, self.device) else check.limits.get("memory_mb", self.assignment.memory_mb),
            "forbidden": [] if baseline or check.judge.mode == "pace" else list(self.assignment.forbidden),
        }


def _rounds(check: Check) -> int:
    """Steps of a stepwise check: set-up, warm-up and repetitions, or set-up, small and large."""
    return check.judge.repeats + 2 if check.judge.mode == "pace" else 3
