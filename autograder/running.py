"""One check on one tree: builds the request, drives the worker as the judge asks for, and hands back what was seen."""

import base64
import json
import math
import random
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check, compiled
from autograder.judge.task import Task
from autograder.observation.serialization import MalformedObservation
from autograder.sandbox.jail import Jail, library_folders
from autograder.sandbox.outcome import Interrupted, Outcome, Step
from autograder.sandbox.server_handle import Server
from autograder.sandbox.worker_handle import Worker, observe
from autograder.submission.working_copy import Tree

UNTIMED, WATCHED = 2, 2  # steps of a timed check: set-up and warm-up; those that are watched for forbidden calls
_UNFORESEEN = random.SystemRandom()  # which ones: a submission that knew would behave in these alone


@dataclass(frozen=True)
class Runner:
    """How to run a check. scratch: a folder in which each worker gets one of its own; given: a tree without student code;
    exact: float64 for float32; seed: added to the check's own; deadline: of the whole grade, by time.monotonic();
    quiet: held while a timed check runs, so that those of other grades on this machine wait."""

    server: Server
    assignment: Assignment
    scratch: Path
    given: Tree
    jail: Jail
    exact: bool = False
    seed: int = 0
    device: str = "cpu"
    deadline: float = math.inf
    timing_lock: AbstractContextManager = field(default_factory=nullcontext)

    def in_float64(self) -> "Runner":
        return replace(self, exact=True)

    def observe(self, check: Check, tree: Tree) -> Outcome:
        """What the check sees in this tree; the steps of a stepwise check become leaves "step 0.out", …."""
        with self._private_folder() as folder:
            request = self._request(check, tree, folder)
            if check.judge.mode == "observe":
                return self._in_time(observe(self.server, request, self._seconds(check)))
            with Worker(self.server, request) as worker:
                worker.start_clock()
                return self._in_time(self._drive([worker], self._seconds(check), rounds=_rounds(check)))

    def train(self, check: Check, tree: Tree, task: Task) -> Outcome:
        """Train in one worker, predict in another: the first never gets held-out text, the second never what follows.

        What the first sends back goes to the second as it came; here it is only looked through.
        """
        with self._private_folder() as folder:
            request = self._request(check, tree, folder)
            trained = self._in_time(observe(self.server, request, self._seconds(check), [zlib.compress(task.text)]))
        if trained.kind != "observed":
            return trained
        with self._private_folder() as folder:
            request = self._request(check, tree, folder) | {"mode": "predict", "name": check.judge.predict.__name__}
            prefixes = json.dumps([list(p) for p in task.prefixes]).encode()
            predicted = self._in_time(observe(self.server, request, self._seconds(check), [prefixes, trained.frame]))
        if predicted.kind == "observed":
            predicted.observation = {
                "history": trained.observation.get("history"),
                "log_probs": predicted.observation.get("log_probs"),
            }
        return replace(predicted, output=trained.output + predicted.output)

    def compile(self, tree: Tree) -> Outcome:
        """The compiled code of each file of the package, by module; nothing of it is run."""
        with self._private_folder() as folder:
            request = {"mode": "compile", "folder": str(tree.folder), "scratch": folder, "seconds": self.assignment.seconds}
            jail = self._jail(tree, self.assignment.memory_mb)
            return observe(self.server, request | {"jail": jail}, self.assignment.seconds)

    def pace(self, check: Check, tree: Tree) -> tuple[Outcome, float]:
        """The observation, and the median ratio to the baseline; both workers take turns, one repetition each."""
        watched = frozenset(_UNFORESEEN.sample(range(UNTIMED, _rounds(check)), WATCHED))
        with ExitStack() as stack:
            mine, theirs = (stack.enter_context(self._private_folder()) for _ in range(2))
            requests = self._request(check, tree, mine), self._request(check, self.given, theirs, baseline=True)
            workers = [stack.enter_context(Worker(self.server, request)) for request in requests]
            for worker in workers:
                worker.start_clock()
            outcome = self._in_time(self._drive(workers, self._seconds(check), _rounds(check), watched))
        if outcome.kind != "observed":
            return outcome, float("inf")
        pairs = zip(outcome.steps[::2], outcome.steps[1::2], strict=True)
        timed = [(m.seconds, t.seconds) for i, (m, t) in enumerate(pairs) if i >= UNTIMED and i not in watched]
        return outcome, check.judge.ratio(*zip(*timed, strict=True))

    def _drive(self, workers: list[Worker], seconds: float, rounds: int, watched: frozenset[int] = frozenset()) -> Outcome:
        """Step the workers in turn; the first is the one that is judged, the outcome carries the steps of all.

        seconds: for all steps together, from now on: what the server took to start is not the submission's. watched: steps under the trap on forbidden calls, which takes time and so does not count.
        """
        steps: list[Step] = []
        first, deadline = Outcome("observed"), time.monotonic() + seconds
        for number in range(rounds):
            for worker in workers:
                try:
                    step = worker.step(max(0.0, deadline - time.monotonic()), watched=number in watched or number == 1)
                except MalformedObservation as error:
                    return Outcome("flooded", error={"message": str(error)})
                if isinstance(step, Outcome):
                    if step.kind == "observed" and worker is workers[0]:
                        step = Outcome("raised", error={"type": "RuntimeError", "message": "the check ended early", "frames": []})
                    return step
                if worker is workers[0]:
                    first.observation |= {f"step {number}.{path}": leaf for path, leaf in step.observation.items()}
                steps.append(step)
        first.steps = steps
        return first

    def _seconds(self, check: Check) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Interrupted
        return min(left, check.limits.get("seconds", self.assignment.seconds))

    def _in_time(self, outcome: Outcome) -> Outcome:
        """The outcome, unless it was the deadline of the whole grade that ended it: that is no verdict on the check."""
        if outcome.kind == "timeout" and time.monotonic() >= self.deadline:
            raise Interrupted
        return outcome

    @contextmanager
    def _private_folder(self) -> Iterator[str]:
        """An empty folder for one worker, so that nothing written there outlives its check."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        self.jail.give_to_user(folder)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _request(self, check: Check, tree: Tree, folder: str, baseline: bool = False) -> dict:
        probe = check.judge.probe if baseline else None
        return {
            "code": base64.b64encode(compiled(check.path)).decode(),
            "path": str(check.path),
            "name": probe.__name__ if probe else check.name,
            "probe": probe is not None,
            "tree": str(tree.path),
            "folder": str(tree.folder),
            "scratch": folder,
            "solution": f"given.{self.assignment.package}" if baseline else self.assignment.package,
            "seed": (check.seed + self.seed) & 0xFFFFFFFF,
            "exact": self.exact,
            "device": check.device or self.device,
            "mode": check.judge.mode,
            "seconds": self._seconds(check),
            "jail": self._jail(
                tree,
                0 if "cuda" in (check.device, self.device) else check.limits.get("memory_mb", self.assignment.memory_mb),
            ),
            "forbidden": [] if baseline else list(self.assignment.forbidden),
        }

    def _jail(self, tree: Tree, memory_mb: int) -> dict:
        return {
            "level": self.jail.level,
            "uid": self.jail.uid,
            "memory_mb": memory_mb,
            "readable": [str(tree.path), *library_folders()],
            "processes": self.assignment.processes,
        }


def _rounds(check: Check) -> int:
    """Steps of a stepwise check: set-up, warm-up and repetitions, or set-up, small and large."""
    return UNTIMED + check.judge.repeats if check.judge.mode == "pace" else 3
