"""One grade: every check in a worker, plain ones in parallel and timed ones alone, and then a second chance.

A check that fails while a part it `needs` is wrong too is run once more with the `given` part in the wrong one's place.
So a fault costs its own points.
"""

import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from autograder.assignment import Assignment, Part
from autograder.check.check import Check
from autograder.errors import GraderFault
from autograder.judge.evidence import Evidence
from autograder.judge.judge import Drive
from autograder.judge.reason import Reason
from autograder.observation.golden import Golden
from autograder.observation.golden_files import load_goldens
from autograder.observation.leaf import Array
from autograder.report.explanation import explain_outcome
from autograder.report.hints import Hint, recognise
from autograder.report.report import NOT_RUN, Report, Row, empty_rows, environment
from autograder.report.status import Status
from autograder.running import Runner
from autograder.sandbox.device import has_device
from autograder.sandbox.outcome import Ending, Interrupted, Outcome, ServerLost
from autograder.source.delegate import delegate
from autograder.source.stub_text import parse_todo
from autograder.submission.working_copy import Tree
from autograder.text import sanitize

Progress = Callable[[Row], None]


@dataclass
class Judgement:
    """What one run of a check came to, before points.

    share: of the points of the check, 0 to 1.
    fault: the grader itself is at fault, so the points are granted.
    ranked: the number for a leaderboard.
    leaf: the leaf of the observation in which the first difference was found.
    """

    share: float
    reason: Reason | None = None
    message: str = ""
    hints: list[Hint] = field(default_factory=list)
    fault: bool = False
    ranked: float | None = None
    leaf: str = ""
    outcome: Outcome = field(default_factory=lambda: Outcome(Ending.DIED))


class Grader:
    """Judges checks of one assignment. Golden values are read once for each file.

    golden_of: where golden values come from, if not from files.
    """

    def __init__(self, runner: Runner, golden_of: Callable[[Check], Golden] | None = None):
        self.runner, self._golden_of, self._lock = runner, golden_of, threading.Lock()
        self._goldens: dict[Path, dict[str, Golden]] = {}

    def golden(self, check: Check) -> Golden:
        """What the check expects. GraderFault: it was never recorded."""
        if self._golden_of:
            return self._golden_of(check)
        if check.on_request:
            return check.judge.expected(check.seed)
        with self._lock:
            if check.path not in self._goldens:
                self._goldens[check.path] = load_goldens(self.runner.inputs.golden_of(check))
        try:
            return self._goldens[check.path][check.name]
        except KeyError:
            raise GraderFault(f"golden values of {check.id} were never recorded; an instructor runs `make golden`") from None

    def judge(self, check: Check, tree: Tree) -> Judgement:
        """Run one check on a tree and compare what it saw. Interrupted: the run was cancelled, or its deadline came."""
        started = time.monotonic()
        try:
            golden = self.golden(check)
            outcome = self.runner.run(check, tree, golden)
        except ServerLost:
            outcome = Outcome(Ending.DIED, error={"signal": int(signal.SIGKILL)})
        except GraderFault as fault:
            return _fault(str(fault), started)
        try:
            judgement = self.compare(check, golden, outcome)
        except Exception as error:  # a judge that stumbles is our fault, whatever it stumbled over
            return _fault(f"{type(error).__name__}: {error}", started)
        judgement.outcome.seconds = time.monotonic() - started
        judgement.outcome.output = outcome.output.replace(f"{tree.path}/", "")  # a warning says where it comes from
        return judgement

    def compare(self, check: Check, golden: Golden, outcome: Outcome) -> Judgement:
        """The judgement on what became of a check."""
        if outcome.kind != Ending.OBSERVED:
            memory_mb = int(check.limits.get("memory_mb", self.runner.assignment.memory_mb))
            reason, message = explain_outcome(outcome, memory_mb)
            hints = self._recognise(outcome, golden) if reason is Reason.RAISED else []
            return Judgement(0.0, reason, message, hints, outcome=outcome)
        evidence = outcome.evidence(check.device or self.runner.device)
        mismatch = check.judge.compare(evidence, golden)
        if mismatch is None:
            message = check.judge.remark(evidence, golden)
            return Judgement(1.0, message=message, ranked=_ranked(check, evidence), outcome=outcome)
        hints = self._recognise(outcome, golden) if mismatch.reason.speaks_against_the_part else []
        ranked = _ranked(check, evidence) if mismatch.share else None
        return Judgement(mismatch.share, mismatch.reason, mismatch.text, hints, False, ranked, mismatch.leaf, outcome)

    def refuted(self, case: str, passed: list[Check]) -> bool:
        """Whether a misconception would have failed a check that passes."""
        return any(known.case == case for check in passed for known in self.golden(check).fingerprints)

    def _recognise(self, outcome: Outcome, golden: Golden) -> list[Hint]:
        return recognise(outcome, golden, self.runner.assignment.folder / "tests")


def grade(
    runner: Runner,
    tree: Tree,
    checks: list[Check],
    scratch: Path,
    jobs: int | None = None,
    progress: Progress = lambda row: None,
    try_all: bool = False,
) -> Report:
    """The report on a working copy. Ctrl-C gives a partial one.

    progress: called with each row as it is done.
    try_all: try every check, also those behind a time-out; see `_judge_in_turn`.
    """
    started, grader = time.monotonic(), Grader(runner)
    rows = empty_rows(runner.assignment, checks)
    report = Report(runner.assignment, rows, runner.jail.level, runner.device, tree.notes, environment=environment(runner.inputs))
    report.empty = len(tree.missing) == len(runner.assignment.deliverables)
    try:
        judge_all = partial(_judge_in_turn, runner=runner, jobs=jobs, try_all=try_all)
        waiting = judge_all(rows, lambda row: _settle(row, grader.judge(row.check, tree)), progress=progress)
        for row in rows:
            if row.id in waiting:
                _forget(row)
        _name_mistakes(rows, grader)
        _second_chance(rows, waiting, grader, tree, scratch, judge_all)
    except KeyboardInterrupt:
        runner.cancelled.set()
    report.interrupted = runner.cancelled.is_set() or time.monotonic() >= runner.deadline
    for row in rows:
        if row.message == NOT_RUN:
            row.message = "interrupted before its turn"
    report.seconds = time.monotonic() - started
    return report


def _judge_in_turn(
    rows: list[Row],
    work: Callable[[Row], None],
    runner: Runner,
    jobs: int | None,
    try_all: bool,
    progress: Progress = lambda row: None,
) -> dict[str, Row]:
    """Judge rows side by side, and come to what one after another comes to. Plain checks have their turn before timed ones.

    An endless loop would cost the time limit of each check that meets it. So a row is passed over if a check before it ran
    into its limit, of the same part or of a part that this one needs. It may have been judged by then, where another worker
    was quick. That does not count, so that a grade does not depend on which worker ends first.

    Returns, by id, who was passed over, and which check is the reason.
    """
    rows = sorted(rows, key=lambda row: _is_timed(row.check))
    timed_out: set[str] = set()
    skipped: set[str] = set()

    def reason_to_pass_over(row: Row) -> Row | None:
        before = rows[: rows.index(row)]
        found = [other for other in before if other.id in timed_out and _stops(other, row)]
        return next((other for other in found if other.check.part == row.check.part), found[0] if found else None)

    def one(row: Row) -> None:
        if not try_all and reason_to_pass_over(row):
            skipped.add(row.id)
            return
        work(row)
        if row.status is Status.FAILED and row.reason is Reason.TIMEOUT:
            timed_out.add(row.id)

    left = rows
    passed_over: dict[str, Row] = {}
    while left:
        skipped.clear()
        _judge_each(left, one, runner, jobs, progress)
        passed_over = {}
        for row in rows if not try_all else []:
            if other := reason_to_pass_over(row):
                passed_over[row.id] = other
                timed_out.discard(row.id)
        left = [row for row in left if row.id in skipped and row.id not in passed_over]
    return passed_over


def _stops(other: Row, row: Row) -> bool:
    """Whether a row is passed over once the other one has run into its time limit.

    Not everybody has hidden checks, or a device, or asks for what takes minutes. Such rows change nothing for others.
    """
    same_for_everybody = other.max_points > 0 and (row.check.hidden or not other.check.hidden)
    return same_for_everybody and other.check.part in (row.check.part, *row.check.needs)


def _pass_over(row: Row, other: Row, assignment: Assignment) -> None:
    """Say that a row is not tried, because another one of its part ran into its time limit."""
    _forget(row)
    command = f"make grade A={assignment.id} ARGS=--try-all"
    row.reason = Reason.NOT_TRIED
    row.message = f"because {other.check.name} of this part ran into its time limit; `{command}` tries it"
    if row.check.hidden:
        row.status = Status.FAILED
        _hide(row)


def _forget(row: Row) -> None:
    """Make a row what it was before its turn. It may have a verdict, where a worker was quick, and the verdict does not count."""
    vars(row).update(vars(Row(row.check, row.number, row.max_points, message=NOT_RUN)))


def _is_timed(check: Check) -> bool:
    return check.judge.drive != Drive.OBSERVE


def _judge_each(rows: list[Row], work: Callable[[Row], None], runner: Runner, jobs: int | None, progress: Progress) -> None:
    """Do the work for each row: plain checks in parallel, and after them timed ones, one at a time."""
    timed = [row for row in rows if _is_timed(row.check)]
    parallel = [row for row in rows if not _is_timed(row.check)]

    def one(row: Row) -> None:
        if (device := row.check.device) and not has_device(device):
            row.status, row.message = Status.NOT_GRADED_HERE, f"for want of a {device.upper()} device"
        else:
            try:
                work(row)
            except Interrupted:
                row.message = row.message if row.reason else "interrupted"  # a first verdict stays
        progress(row)

    pool = ThreadPoolExecutor(jobs or _cores())
    try:
        for future in [pool.submit(one, row) for row in parallel]:
            future.result()
    except KeyboardInterrupt:
        runner.cancelled.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    for row in timed:
        with runner.timing_lock:
            one(row)


def _settle(row: Row, judgement: Judgement) -> None:
    """Fill in the row of a check that was judged. Nothing that a student could have shaped leaves a hidden check."""
    outcome = judgement.outcome
    row.status = _status(judgement)
    row.points = row.max_points * judgement.share
    row.reason, row.leaf, row.seconds = judgement.reason, sanitize(judgement.leaf, kept=""), outcome.seconds
    row.message = sanitize(judgement.message)
    row.cpu_seconds, row.peak_kb = outcome.cpu_seconds, outcome.peak_kb
    row.candidates, row.ranked = judgement.hints, judgement.ranked
    _name(row, judgement.hints[:1])
    row.output = "" if row.check.hidden else outcome.output
    if row.check.hidden and row.status is not Status.PASSED:
        _hide(row)


def _hide(row: Row) -> None:
    """Let nothing of why a hidden check does not pass be seen."""
    row.message = row.check.hide_errors or "a hidden check; what it saw is not shown"


def _status(judgement: Judgement) -> Status:
    if judgement.fault:
        return Status.GRADER_FAULT
    if judgement.share == 1:
        return Status.PASSED
    return Status.PARTIAL if judgement.share > 0 else Status.FAILED


def _name(row: Row, hints: list[Hint]) -> None:
    row.hint, row.misconception = (str(hints[0]), hints[0].name) if hints else ("", None)
    if row.check.hidden:
        row.hint = ""


def _name_mistakes(rows: list[Row], grader: Grader) -> None:
    """Where several mistakes look alike in one check, leave out those that would have failed a check which passes."""
    passed = [row.check for row in rows if row.status is Status.PASSED]
    counts = Counter(hint.name for row in rows for hint in row.candidates)
    for row in rows:
        if row.status is Status.FAILED and len(row.candidates) > 1:
            left = [hint for hint in row.candidates if not grader.refuted(hint.name, passed)] or row.candidates
            _name(row, sorted(left, key=lambda hint: -counts[hint.name]))


def _second_chance(
    rows: list[Row],
    waiting: dict[str, Row],
    grader: Grader,
    tree: Tree,
    scratch: Path,
    judge_all: Callable[[list[Row], Callable[[Row], None]], dict[str, Row]],
) -> None:
    """Run once more what fails beside a wrong part that it needs, with the given part in its place.

    It goes part by part in the order of the assignment, which is the order of building. A part that passes after its
    prerequisites were replaced counts as correct. It is therefore not replaced for the checks that depend on it.

    waiting: rows that were passed over, and the check because of which. They have their first turn now, unless it was their
    own part that ran into the time limit, with nothing wrong that it needs.
    """
    wrong: set[str] = set()
    trees: dict[frozenset[str], Tree | None] = {frozenset(): tree}
    for part in grader.runner.assignment.parts:
        if grader.runner.cancelled.is_set():
            return
        failed = [row for row in rows if row.check.part == part.name and _is_wrong(row)]
        absent = {name for name in wrong if f"{name.partition('.')[0]}.py" in tree.missing}  # who imports it needs it
        written = [row for row in failed if not is_unwritten(row, grader.runner.assignment.package)]
        needed = {row.id: frozenset(wrong & set(row.check.needs) | absent) for row in written}
        for parts in set(needed.values()) - trees.keys():
            trees[parts] = substitute(tree, parts, grader.runner, scratch / f"with_given_{len(trees)}")

        def retry(row: Row, needed: dict[str, frozenset[str]] = needed) -> None:
            parts = needed[row.id]
            with_given = trees[parts] or (tree if row.id in waiting else None)
            if with_given is None:
                row.status, row.message = Status.NOT_ATTEMPTED, f"because {' and '.join(sorted(parts))} does not pass yet"
                _name(row, [])
                return
            _settle(row, grader.judge(row.check, with_given))
            row.given = tuple(sorted(parts)) if with_given is not tree else ()

        looping = {
            row.id: waiting[row.id] for row in failed if row.id in waiting and _is_own_fault(waiting[row.id], part, needed)
        }
        again = [row for row in failed if (row.id in waiting or needed.get(row.id)) and row.id not in looping]
        looping |= judge_all(again, retry)
        for row in failed:
            if row.id in looping:
                _pass_over(row, looping[row.id], grader.runner.assignment)
        if any(_is_wrong(row) for row in failed):
            wrong.add(part.name)


def _is_own_fault(timed_out: Row, part: Part, needed: dict[str, frozenset[str]]) -> bool:
    """Whether a time-out is the doing of this part: it is one of its checks, and nothing that it needs is to be replaced."""
    return timed_out.check.part == part.name and not needed.get(timed_out.id)


def _is_wrong(row: Row) -> bool:
    """Whether this check shows that its part is wrong."""
    against = row.reason is None or row.reason.speaks_against_the_part
    return row.status in (Status.FAILED, Status.NOT_ATTEMPTED) and against


def is_unwritten(row: Row, package: str) -> bool:
    """Whether the part itself is not written yet, so that no other part can change that.

    package: that of the assignment. A stub of another part, or of another assignment, does not count.
    """
    sentence = parse_todo(row.message) if row.reason is Reason.TODO else None
    return sentence is not None and sentence.lies_in(package, row.check.part)


def substitute(tree: Tree, parts: frozenset[str], runner: Runner, into: Path) -> Tree | None:
    """The tree with these parts imported from `given`. None where `given` has no such part or a file cannot be parsed."""
    package = runner.assignment.package
    result = tree
    for number, part in enumerate(sorted(parts)):
        module, _, name = part.partition(".")
        if not runner.given.has(part):
            return None
        try:
            text = (result.folder / f"{module}.py").read_text(encoding="utf-8")
            result = result.with_file(into / str(number), f"{module}.py", delegate(text, name, f"given.{package}.{module}"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return replace(result, substituted=tree.substituted | parts)


def _ranked(check: Check, evidence: Evidence) -> float | None:
    """The number that @ranks names: one that the judge has measured, or a leaf with one finite number."""
    if check.ranks is None or check.hidden:
        return None
    name, _ = check.ranks
    if (measured := check.judge.number(name, evidence)) is not None:
        return measured
    leaf = evidence.observation.get(name)
    values = leaf.values.ravel().tolist() if isinstance(leaf, Array) else [leaf]
    number = values[0] if len(values) == 1 else None
    return float(number) if isinstance(number, int | float) and math.isfinite(number) else None


def _fault(message: str, started: float) -> Judgement:
    outcome = Outcome(Ending.DIED, seconds=time.monotonic() - started)
    return Judgement(1.0, Reason.FAULT, message, fault=True, outcome=outcome)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
