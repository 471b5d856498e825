"""Grading: every check in a worker, side by side; timed ones alone; then once more what a wrong part has dragged down.

A check that fails while a part it `needs` is wrong too gets a second chance with the `given` part in the wrong one's
place, so that a fault costs its own points.
"""

import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType

from autograder.check.check import Check
from autograder.errors import GraderFault
from autograder.judge.task import Task
from autograder.observation.golden import Golden
from autograder.observation.golden_files import load_goldens
from autograder.observation.leaf import Array, Unsupported
from autograder.observation.tolerance import DEVICE_FACTOR
from autograder.report.explanation import explain_outcome
from autograder.report.hints import Hint, recognise
from autograder.report.report import Report, Row, empty_rows, environment
from autograder.running import Runner
from autograder.sandbox.outcome import Interrupted, Outcome, ServerLost
from autograder.source.delegate import delegate
from autograder.submission.working_copy import Tree
from autograder.text import sanitize


@dataclass
class Judgement:
    """What one run of a check came to, before points."""

    share: float
    reason: str = ""
    message: str = ""
    hints: list[Hint] = field(default_factory=list)
    fault: bool = False
    ranked: float | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome("died"))


class Grader:
    """Judges checks of one assignment. Golden values are read once a file.

    recorded: golden values by the id of the check, in place of those on disk.
    """

    def __init__(self, run: Runner, recorded: Mapping[str, Golden] | None = None):
        self.run, self._recorded, self._lock = run, recorded, threading.Lock()
        self._goldens: dict[Path, dict[str, Golden]] = {}

    def golden(self, check: Check) -> Golden:
        """What the check expects. GraderFault when it was never recorded."""
        if self._recorded is not None and check.id in self._recorded:
            return self._recorded[check.id]
        if check.on_request:
            return check.judge.expected(check.seed)
        with self._lock:
            if check.path not in self._goldens:
                self._goldens[check.path] = load_goldens(check.path.parent / "golden" / check.path.stem)
        try:
            return self._goldens[check.path][check.name]
        except KeyError:
            raise GraderFault(f"golden values of {check.id} were never recorded; an instructor runs `make golden`") from None

    def judge(self, check: Check, tree: Tree) -> Judgement:
        """Run one check on a tree and compare what it saw."""
        started = time.monotonic()
        try:
            golden, judge, ratio = self.golden(check), check.judge, 0.0
            if judge is None:
                raise GraderFault(f"{check.id} has no judge; decorate it with @matches_reference or another one")
            if judge.mode == "pace":
                outcome, ratio = self.run.pace(check, tree)
            elif judge.mode == "train":
                outcome = self.run.train(check, tree, Task.of(golden))
            else:
                outcome = self.run.observe(check, tree)
        except ServerLost:
            outcome = Outcome("died", error={"signal": int(signal.SIGKILL)})
        except GraderFault as fault:
            return _fault(str(fault), started)
        try:
            judgement = self._compare(check, golden, outcome, ratio)
        except Exception as error:  # a judge that stumbles is our fault, whatever it stumbled over
            return _fault(f"{type(error).__name__}: {error}", started)
        judgement.outcome.seconds = time.monotonic() - started
        judgement.ranked = _ranked(check, outcome, ratio) if judgement.share > 0 else None
        return judgement

    def _compare(self, check: Check, golden: Golden, outcome: Outcome, ratio: float) -> Judgement:
        judge = check.judge
        if outcome.kind != "observed":
            reason, text = explain_outcome(outcome, int(check.limits.get("memory_mb", self.run.assignment.memory_mb)))
            known = self._recognise(check, outcome, golden) if reason == "raised" else []
            return Judgement(0.0, reason, text, known, outcome=outcome)
        mismatch = judge.compare(outcome.observation, golden, DEVICE_FACTOR[check.device or self.run.device])
        if mismatch is None and judge.mode == "observe" and outcome.inputs != golden.inputs:
            return Judgement(
                0.0,
                "input",
                "The result is right, but an argument was overwritten on the way; whoever called "
                "still needs it. Which operation works in place?",
                self._recognise(check, outcome, golden),
                outcome=outcome,
            )
        if mismatch is not None:
            return Judgement(
                0.0, mismatch.reason, judge.explain(mismatch), self._recognise(check, outcome, golden), outcome=outcome
            )
        if judge.mode == "pace":
            share, slow = judge.score(ratio), judge.judge_ratio(ratio)
            return Judgement(share, "pace", slow.text if slow else f"{ratio:.2f} times the baseline", outcome=outcome)
        if judge.mode == "memory" and (large := judge.judge_growth(*[s.peak_bytes for s in outcome.steps[1:3]])):
            return Judgement(0.0, "growth", large.text, outcome=outcome)
        return Judgement(1.0, message=judge.remark(outcome.observation, golden), outcome=outcome)

    def _recognise(self, check: Check, outcome: Outcome, golden: Golden) -> list[Hint]:
        return recognise(outcome, golden, self.run.assignment.folder / "tests")

    def refuted(self, case: str, passed: list[Check]) -> bool:
        """Whether a misconception would have failed a check that passes."""
        return any(fingerprint.case == case for check in passed for fingerprint in self.golden(check).fingerprints)


def _ranked(check: Check, outcome: Outcome, ratio: float) -> float | None:
    """The number that @ranks names: a leaf with one finite number, or "pace", the time as a ratio to the baseline."""
    if check.ranks is None or check.hidden:
        return None
    leaf = ratio if check.judge.mode == "pace" and check.ranks[0] == "pace" else outcome.observation.get(check.ranks[0])
    values = leaf.values.ravel() if isinstance(leaf, Array) else [leaf]
    if len(values) != 1 or isinstance(values[0], str | Unsupported | NoneType) or not math.isfinite(values[0]):
        return None
    return float(values[0])


def _fault(message: str, started: float) -> Judgement:
    return Judgement(1.0, "fault", message, fault=True, outcome=Outcome("died", seconds=time.monotonic() - started))


def grade(
    run: Runner,
    tree: Tree,
    checks: list[Check],
    scratch: Path,
    jobs: int | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> Report:
    """The report on a working copy. Ctrl-C gives a partial one; `progress` is called with each row as it is done."""
    started, grader = time.monotonic(), Grader(run)
    rows = empty_rows(run.assignment, checks)
    report = Report(run.assignment, rows, run.jail.level, run.device, tree.notes, environment=environment())
    report.empty = len(tree.missing) == len(run.assignment.deliverables)
    try:
        _each(rows, lambda row: _settle(row, grader.judge(row.check, tree)), run, jobs, progress)
        _name_mistakes(rows, grader)
        _second_chance(rows, grader, tree, scratch, jobs)
    except KeyboardInterrupt:
        report.interrupted = True
        run.server.cancelled.set()
        for row in rows:
            if row.message == "not run":
                row.message = "interrupted before its turn"
    report.interrupted |= time.monotonic() >= run.deadline
    report.seconds = time.monotonic() - started
    return report


def _each(rows: list[Row], work: Callable[[Row], None], run: Runner, jobs: int | None, progress: Callable[[Row], None]) -> None:
    """Do the work for each row: plain checks side by side, stepwise ones alone after them."""
    timed = [r for r in rows if r.check.judge is not None and r.check.judge.mode != "observe"]
    parallel = [r for r in rows if r not in timed]

    def one(row: Row) -> None:
        if (device := row.check.device) and not has_device(device):
            row.status, row.message = "not_graded_here", f"for want of a {device.upper()} device"
        else:
            try:
                work(row)
            except Interrupted:
                row.message = row.message if row.reason else "interrupted"  # a first verdict stays
        progress(row)

    pool = ThreadPoolExecutor(jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    try:
        for future in [pool.submit(one, row) for row in parallel]:
            future.result()
    except KeyboardInterrupt:
        run.server.cancelled.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    for row in timed:
        with run.timing_lock:
            one(row)


def _settle(row: Row, judgement: Judgement) -> None:
    row.status = (
        "grader_fault"
        if judgement.fault
        else ("passed" if judgement.share == 1 else "partial" if judgement.share > 0 else "failed")
    )
    row.points = row.max_points * judgement.share
    row.reason, row.message, row.seconds = judgement.reason, sanitize(judgement.message), judgement.outcome.seconds
    row.candidates, row.ranked = judgement.hints, judgement.ranked
    _name(row, judgement.hints[:1])
    row.output = "" if row.check.hidden else judgement.outcome.output
    if row.check.hidden and row.status != "passed":  # nothing that the student could have shaped leaves a hidden check
        row.message = row.check.hide_errors or "a hidden check; what it saw is not shown"


def _name(row: Row, hints: list[Hint]) -> None:
    row.hint, row.misconception = (str(hints[0]), hints[0].name) if hints else ("", None)
    if row.check.hidden:
        row.hint = ""


def _name_mistakes(rows: list[Row], grader: Grader) -> None:
    """Where several mistakes look alike in one check, those go that would have failed a check which passes."""
    passed = [row.check for row in rows if row.status == "passed"]
    counts = Counter(hint.name for row in rows for hint in row.candidates)
    for row in rows:
        if row.status == "failed" and len(row.candidates) > 1:
            left = [hint for hint in row.candidates if not grader.refuted(hint.name, passed)] or row.candidates
            _name(row, sorted(left, key=lambda hint: -counts[hint.name]))


def _second_chance(rows: list[Row], grader: Grader, tree: Tree, scratch: Path, jobs: int | None) -> None:
    """Rerun what fails beside a wrong part that it needs, with the given part in its place.

    Part by part in the order of the assignment, which is the order of building: what is right once its foundations are
    is not wrong itself, and so replaces nothing further up.
    """
    wrong: set[str] = set()
    trees: dict[frozenset[str], Tree | None] = {}
    for part in grader.run.assignment.parts:
        failed = [row for row in rows if row.check.part == part.name and _is_wrong(row)]
        absent = {name for name in wrong if f"{name.partition('.')[0]}.py" in tree.missing}  # who imports it needs it
        needed = {row.id: frozenset(wrong & set(row.check.needs) | absent) for row in failed if not _is_unwritten(row)}
        for parts in set(needed.values()) - {frozenset()} - trees.keys():
            trees[parts] = substitute(tree, parts, grader.run, scratch / f"with_given_{len(trees)}")

        def retry(row: Row, needed=needed) -> None:
            parts = needed[row.id]
            if trees[parts] is None:
                row.status, row.message = "not_attempted", f"because {_names(parts)} does not pass yet"
                _name(row, [])
                return
            _settle(row, grader.judge(row.check, trees[parts]))
            row.given = tuple(sorted(parts))

        _each([row for row in failed if needed.get(row.id)], retry, grader.run, jobs, lambda row: None)
        if any(_is_wrong(row) for row in failed):
            wrong.add(part.name)


def _is_wrong(row: Row) -> bool:
    """Whether this check speaks against its part; a slow part still serves others."""
    return row.status in ("failed", "not_attempted") and row.reason not in ("pace", "growth")


def _is_unwritten(row: Row) -> bool:
    """Whether the part itself is not written yet, so that no other part can change that."""
    return row.reason == "todo" and row.check.part.rpartition(".")[2] in row.message


def substitute(tree: Tree, parts: frozenset[str], run: Runner, into: Path) -> Tree | None:
    """The tree with these parts imported from `given`; None where `given` has no such part or a file cannot be parsed."""
    package = run.assignment.package
    result = tree
    for number, part in enumerate(sorted(parts)):
        module, _, name = part.partition(".")
        given = run.given.path / "given" / package / f"{module}.py"
        if not given.exists() or f" {name}" not in given.read_text(encoding="utf-8"):
            return None
        try:
            text = (result.folder / f"{module}.py").read_text(encoding="utf-8")
            result = result.with_file(into / str(number), f"{module}.py", delegate(text, name, f"given.{package}.{module}"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return result


def _names(parts: frozenset[str]) -> str:
    return " and ".join(sorted(parts))


def has_device(device: str) -> bool:
    """Whether there is such a device, asked without importing torch."""
    import sys

    return Path("/dev/nvidiactl").exists() if device == "cuda" else sys.platform == "darwin" and os.uname().machine == "arm64"
