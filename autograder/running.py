"""One check on one tree: build the request, drive the workers as the judge asks for, and hand back what became of them."""

import base64
import json
import math
import random
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check, compiled
from autograder.check.inputs import PUBLIC, Inputs
from autograder.errors import GraderFault
from autograder.judge.judge import Drive, StepJudge
from autograder.judge.pace import UNTIMED, WATCHED
from autograder.judge.task import Task
from autograder.judge.training import TrainingJudge
from autograder.observation.golden import Golden
from autograder.observation.serialization import MalformedObservation
from autograder.sandbox.jail import Jail, library_folders
from autograder.sandbox.outcome import Ending, Interrupted, Outcome, Step
from autograder.sandbox.request import CheckRequest, Confinement, Job, Request
from autograder.sandbox.server_handle import Server
from autograder.sandbox.worker_handle import Worker, observe
from autograder.source.given_parts import GivenParts, parts_that_checks_import
from autograder.submission.working_copy import Tree

_UNFORESEEN = random.SystemRandom()  # which steps are watched: a submission that knew would behave in these alone


@dataclass(frozen=True)
class Runner:
    """How checks are run.

    scratch: a folder in which each worker gets one of its own.
    baseline: a tree without student code, in which what timed checks are compared with is run.
    given: the given parts of this assignment.
    exact: float64 instead of float32.
    inputs: which inputs checks draw.
    deadline: of the whole grade, by time.monotonic().
    timing_lock: held while a timed check runs, so that those of other grades on this machine wait.
    cancelled: set by Ctrl-C. It ends this run and no other run of the same server.
    """

    server: Server
    assignment: Assignment
    scratch: Path
    baseline: Tree
    given: GivenParts
    jail: Jail
    exact: bool = False
    inputs: Inputs = PUBLIC
    device: str = "cpu"
    deadline: float = math.inf
    timing_lock: AbstractContextManager = field(default_factory=nullcontext)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def in_float64(self) -> "Runner":
        """The same, with every float32 number of a check as the float64 of the same value."""
        return replace(self, exact=True)

    def run(self, check: Check, tree: Tree, golden: Golden) -> Outcome:
        """What becomes of a check in this tree, with everything measured that its judge decides on.

        ServerLost: the server was killed again and again.
        Interrupted: the run was cancelled, or its deadline came.
        """
        match check.judge:
            case TrainingJudge():
                return self.train(check, tree, Task.of(golden))
            case StepJudge() as judge:
                return self.step(check, tree, timed=judge.baseline)
            case _:
                return self.observe(check, tree)

    def observe(self, check: Check, tree: Tree) -> Outcome:
        """What the check sees in this tree, without a clock. Steps of a stepwise check become leaves "step 0.out", …."""
        if check.judge.drive == Drive.STEP:
            return replace(self.step(check, tree, timed=False), peaks=None)
        with self._private_folder() as folder:
            return self._observe(self._request(Job.OBSERVE, check, tree, folder))

    def step(self, check: Check, tree: Tree, timed: bool) -> Outcome:
        """Step a check to its end.

        timed: in turns with the baseline, one repetition each.
        GraderFault: the judge of the check is none of steps.
        """
        judge = _step_judge(check)
        watched = frozenset(_UNFORESEEN.sample(range(UNTIMED, judge.steps), WATCHED) if timed else ())
        with ExitStack() as stack:
            requests = [self._request(Job.STEP, check, tree, stack.enter_context(self._private_folder()))]
            if timed:
                requests.append(self._baseline_request(check, judge, stack.enter_context(self._private_folder())))
            workers = [stack.enter_context(Worker(self.server, r, cancelled=self.cancelled)) for r in requests]
            for worker in workers:
                worker.start_clock()
            outcome, rounds = self._drive(workers, self._seconds(check), judge.steps, watched)
            outcome.output = workers[0].output()  # the judged one; the other one runs no student code
        if outcome.kind == Ending.OBSERVED:
            judged = [steps[0] for steps in rounds]
            outcome.peaks = tuple(step.peak_bytes for step in judged)
            outcome.cpu_seconds, outcome.peak_kb = sum(step.seconds for step in judged), max(outcome.peaks) >> 10
            if timed:
                counted = [steps for number, steps in enumerate(rounds) if number >= UNTIMED and number not in watched]
                outcome.times = tuple((actual.seconds, baseline.seconds) for actual, baseline in counted)
        return self._in_time(outcome)

    def train(self, check: Check, tree: Tree, task: Task) -> Outcome:
        """Train in one worker and predict in another. The first gets no held-out text, the second never what follows.

        What the first sends back goes to the second as it came. Here it is only looked through.
        GraderFault: the judge of the check is none of training.
        """
        judge = check.judge
        if not isinstance(judge, TrainingJudge):
            raise GraderFault(f"{check.id} cannot be trained: its judge is {type(judge).__name__}")
        with self._private_folder() as folder:
            trained = self._observe(self._request(Job.TRAIN, check, tree, folder), [zlib.compress(task.text)])
        if trained.kind != Ending.OBSERVED:
            return trained
        with self._private_folder() as folder:
            request = self._request(Job.PREDICT, check, tree, folder)
            request["name"] = judge.predict.__name__
            prefixes = json.dumps([list(prefix) for prefix in task.prefixes]).encode()
            predicted = self._observe(request, [prefixes, trained.frame])
        if predicted.kind == Ending.OBSERVED:
            leaves = {"history": trained.observation.get("history"), "log_probs": predicted.observation.get("log_probs")}
            predicted.observation = leaves
        return replace(
            predicted,
            output=trained.output + _without_beginning(predicted.output, trained.output),
            cpu_seconds=trained.cpu_seconds + predicted.cpu_seconds,
            peak_kb=max(trained.peak_kb, predicted.peak_kb),
        )

    def compile(self, tree: Tree) -> Outcome:
        """The compiled code of each file of the package, by module. Nothing of it is run."""
        seconds, jail = self.assignment.seconds, self._confinement(tree, self.assignment.memory_mb)
        with self._private_folder() as folder:
            request = Request(job=Job.COMPILE, folder=str(tree.folder), scratch=folder, seconds=seconds, jail=jail)
            return observe(self.server, request, seconds, cancelled=self.cancelled)

    def _observe(self, request: CheckRequest, data: Sequence[bytes] = ()) -> Outcome:
        """Run the check of a request in one go, within the time that the request has."""
        return self._in_time(observe(self.server, request, request["seconds"], data, self.cancelled))

    def _drive(
        self, workers: list[Worker], seconds: float, steps: int, watched: frozenset[int]
    ) -> tuple[Outcome, list[list[Step]]]:
        """Step the workers in turn; the first is the one that is judged. Returns a list of steps for each round.

        seconds: for all steps together, from now on. What the server took to start is not the submission's.
        watched: steps under the watch for forbidden calls. It takes time, so these do not count.
        """
        outcome, deadline = Outcome(Ending.OBSERVED), time.monotonic() + seconds
        rounds: list[list[Step]] = []
        for number in range(steps):
            rounds.append([])
            for worker in workers:
                try:
                    step = worker.step(max(0.0, deadline - time.monotonic()), watched=number in watched or number == 1)
                except MalformedObservation as error:
                    return Outcome(Ending.FLOODED, error={"message": str(error)}), rounds
                if isinstance(step, Outcome):
                    return _ended_early(step, worker is workers[0]), rounds
                rounds[-1].append(step)
            outcome.observation |= {f"step {number}.{path}": leaf for path, leaf in rounds[-1][0].observation.items()}
        return outcome, rounds

    def _seconds(self, check: Check) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0 or self.cancelled.is_set():
            raise Interrupted
        return min(left, check.limits.get("seconds", self.assignment.seconds))

    def _in_time(self, outcome: Outcome) -> Outcome:
        """The outcome, unless the deadline of the whole grade ended it: that is no verdict on the check."""
        if outcome.kind == Ending.TIMEOUT and time.monotonic() >= self.deadline:
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

    def _request(self, job: Job, check: Check, tree: Tree, folder: str) -> CheckRequest:
        """The request to run a check on a submission. folder: an empty one, for what the worker writes."""
        judge, device = check.judge, check.device or self.device
        memory_mb = 0 if device == "cuda" else int(check.limits.get("memory_mb", self.assignment.memory_mb))
        return CheckRequest(
            job=job,
            folder=str(tree.folder),
            scratch=folder,
            seconds=self._seconds(check),
            jail=self._confinement(tree, memory_mb),
            code=base64.b64encode(compiled(check.path)).decode(),
            path=str(check.path),
            name=check.name,
            probe=False,
            tree=str(tree.path),
            given_package=f"given.{self.assignment.package}",
            given=self.given_to(check, tree),
            solution=self.assignment.package,
            seed=(check.seed + self.inputs.seed) & 0xFFFFFFFF,
            exact=self.exact,
            device=device,
            measures_memory=isinstance(judge, StepJudge) and not judge.baseline,
            forbidden=list(self.assignment.forbidden),
        )

    def given_to(self, check: Check, tree: Tree) -> dict[str, str]:
        """The modules of given parts that a check may import: those it imports itself, and those that the tree substitutes."""
        imported = parts_that_checks_import(check.path, self.assignment.package).get(check.name, frozenset())
        return self.given.only(tree.substituted | imported)

    def _baseline_request(self, check: Check, judge: StepJudge, folder: str) -> CheckRequest:
        """The request to run the same steps on `given`, or the probe, where no student code is."""
        request = self._request(Job.STEP, check, self.baseline, folder)
        request["solution"], request["forbidden"] = f"given.{self.assignment.package}", []
        request["given"] = self.given.whole()
        if judge.probe:
            request["name"], request["probe"] = judge.probe.__name__, True
        return request

    def _confinement(self, tree: Tree, memory_mb: int) -> Confinement:
        return Confinement(
            level=self.jail.level,
            uid=self.jail.uid,
            memory_mb=memory_mb,
            readable=[str(tree.path), *library_folders()],
            processes=self.assignment.processes,
        )


def _step_judge(check: Check) -> StepJudge:
    if not isinstance(check.judge, StepJudge):
        raise GraderFault(f"{check.id} cannot be run in steps: its judge is {type(check.judge).__name__}")
    return check.judge


def _without_beginning(text: str, other: str) -> str:
    """The text without the lines at its beginning that another text begins with too: what a module prints at its import."""
    lines, others = text.splitlines(keepends=True), other.splitlines(keepends=True)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(lines, others, strict=False))
    return "".join(lines[len(list(alike)) :])


def _ended_early(outcome: Outcome, judged: bool) -> Outcome:
    """The outcome of a worker that has no further step. The judged one should have had as many as its judge asks for."""
    if outcome.kind == Ending.OBSERVED and judged:
        return Outcome(Ending.RAISED, error={"type": "RuntimeError", "message": "the check ended early", "frames": []})
    return outcome
