"""Record the golden values: what each check expects of an answer, and what each known mistake looks like in it.

A check expects what the reference computes in float64, within the noise of the float32 runs (`expected_values.py`). The
float32 runs are those of the reference and of every alternate. Each misconception of a module leaves a fingerprint in
every check of that module that it fails, together with its distance from the right answer (`distances.py`).
"""

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.errors import GraderFault
from autograder.judge.training import TrainsTo
from autograder.observation.fingerprint import fingerprint
from autograder.observation.golden import Fingerprint, Golden
from autograder.observation.golden_files import load_goldens, save_goldens
from autograder.observation.leaf import Unsupported, is_float, numbers
from autograder.report.hints import hints_path, raised
from autograder.sandbox.outcome import Ending, Outcome
from autograder.submission.working_copy import Tree
from tools.author.cases import Case
from tools.author.distances import distance_from_golden
from tools.author.expected_values import expected_value
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.tasks import task_of

Version = tuple[Case, Tree]  # another version of the reference, and the tree that it lies in


def write_goldens(assignment: Assignment, only: str | None = None) -> list[Path]:
    """Record the golden values of an assignment, and write them beside its checks. Returns the files.

    only: record the checks that this expression selects, as pytest's -k. The values of all others stay as they are.
    BadInput: nothing fits `only`.
    GraderFault: a check cannot be recorded. There is a line for each of them, and nothing is written.
    """
    checks = collect(assignment, hidden=True)
    twins, selected = cpu_twins(checks), {check.id for check in collect(assignment, only, hidden=True)}
    selected |= {twins[name] for name in selected & twins.keys()}
    with reference_runs(assignment) as runs:
        goldens = record(runs, [check for check in checks if not check.device and check.id in selected])
        hints = {case.name: _hint(case) for case in runs.cases("misconceptions")}
    goldens |= {name: goldens[twin] for name, twin in twins.items() if twin in goldens}
    written = []
    for path in dict.fromkeys(check.path for check in checks if check.id in goldens):
        target = path.parent / "golden" / path.stem
        kept = load_goldens(target) if only and target.with_suffix(".json").exists() else {}
        recorded = {check.name: goldens.get(check.id) or kept.get(check.name) for check in checks if check.path == path}
        save_goldens(target, {name: golden for name, golden in recorded.items() if golden})
        written.append(target.with_suffix(".json"))
    hints_path(assignment).write_text(json.dumps(hints, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, hints_path(assignment)]


def _hint(case: Case) -> dict[str, str | int | None]:
    return {"text": " ".join(case.doc.split()), "section": case.module, "pitfall": case.pitfall, "ask": case.ask}


def cpu_twins(checks: Sequence[Check]) -> dict[str, str]:
    """For each check of another device, the check on the CPU whose golden values it shares; both by id.

    The twin of `test_x_on_cuda` is `test_x` in the same file.
    GraderFault: a check of another device has no twin. There is a line for each of them.
    """
    on_cpu = {check.id for check in checks if not check.device}
    twins = {check.id: check.id.removesuffix(f"_on_{check.device}") for check in checks if check.device}
    faults = [_no_twin(check, twins[check.id]) for check in checks if check.device and twins[check.id] not in on_cpu]
    if faults:
        raise GraderFault("\n".join(faults))
    return twins


def _no_twin(check: Check, twin: str) -> str:
    remedy = f"write {twin}" if twin != check.id else f"call it test_x_on_{check.device} if test_x is the same check on the CPU"
    return f"{check.id} has no check on the CPU to take its golden values from; {remedy}"


def record(
    runs: ReferenceRuns,
    checks: Sequence[Check],
    fingerprints: bool = True,
    noticed: Callable[[Check], Collection[str]] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Golden]:
    """Golden observations by the id of the check.

    checks: those of the CPU.
    fingerprints: `False` runs only the alternates of the check's own module, and no misconceptions. That is faster, and
        tolerances can only become tighter.
    noticed: names of the misconceptions that a check is known to notice. No others are run on it. By default all are.
    progress: called with the number of checks that are recorded, and of all.
    GraderFault: a check cannot be recorded. There is a line for each of them.
    """
    versions = lambda kind: [(case, runs.tree_of(case)) for case in runs.cases(kind)]
    mistakes = versions("misconceptions") if fingerprints else []
    alternates = versions("alternates")
    of_module = lambda check, cases: [version for version in cases if version[0].module == check.module]
    with ThreadPoolExecutor(2) as pool:
        jobs = {
            check.id: pool.submit(
                _record_one,
                runs,
                check,
                alternates if fingerprints else of_module(check, alternates),
                # Where another module suffers, the given part takes the wrong one's place.
                [one for one in of_module(check, mistakes) if noticed is None or one[0].name in noticed(check)],
            )
            for check in checks
        }
        for number, _ in enumerate(as_completed(jobs.values()), 1):
            progress(number, len(jobs))
    faults = [str(job.exception()) for job in jobs.values() if isinstance(job.exception(), GraderFault)]
    if faults:
        raise GraderFault("\n".join(faults))
    return {name: job.result() for name, job in jobs.items()}


def _record_one(runs: ReferenceRuns, check: Check, alternates: list[Version], mistakes: list[Version]) -> Golden:
    if isinstance(check.judge, TrainsTo):
        return task_of(check.judge, check.seed + runs.runner.inputs.seed & 0xFFFFFFFF).as_golden()
    float32 = require_comparable(runs.runner.observe(check, runs.reference), check, "the reference in float32")
    if hasattr(check.judge, "record"):  # answers by hand: only their hashes may ship
        return replace(check.judge.record(float32.observation), inputs=float32.inputs)
    float64 = require_comparable(runs.runner.in_float64().observe(check, runs.reference), check, "the reference in float64")
    if odd := set(float32.observation) ^ set(float64.observation):
        raise GraderFault(f"{check.id}: float32 and float64 give different leaves: {odd}")
    observations = [float32.observation] + [
        require_comparable(runs.runner.observe(check, tree), check, f"alternate {case.name}").observation
        for case, tree in alternates
    ]
    leaves = {
        path: expected_value(f"{check.id}: {path}", path, float64.observation[path], observations, path in check.judge.random)
        for path in float32.observation
    }
    golden = Golden(leaves, float32.inputs)
    for case, tree in mistakes:
        if trace := _fingerprint(runs.runner.observe(check, tree), check, case, golden):
            golden.fingerprints.append(trace)
    return golden


def _fingerprint(outcome: Outcome, check: Check, case: Case, golden: Golden) -> Fingerprint | None:
    """What the mistake looks like in this check; None if the check does not notice it."""
    if outcome.kind == Ending.RAISED:
        return Fingerprint(case.name, {"raised": raised(outcome)}, float("inf"))
    if outcome.kind != Ending.OBSERVED:
        return None
    if not check.judge.compare(outcome.evidence(), golden):
        return None
    distance = distance_from_golden(outcome.observation, golden)
    return Fingerprint(case.name, fingerprint(outcome.observation, golden), distance)


def require_comparable(outcome: Outcome, check: Check, who: str) -> Outcome:
    """The outcome, if an answer can be compared with it.

    who: whose outcome it is, for the message.
    GraderFault: there is no observation, or it holds NaN or a value of a type that cannot leave a worker.
    """
    if outcome.kind != Ending.OBSERVED:
        raise GraderFault(f"{check.id}: {who} gave no observation: {outcome.kind} {outcome.error}")
    odd = [path for path, leaf in outcome.observation.items() if isinstance(leaf, Unsupported)]
    if odd:
        raise GraderFault(f"{check.id}: {who} returned something that cannot be compared at {odd}")
    if any(is_float(leaf) and np.isnan(numbers(leaf)[0]).any() for leaf in outcome.observation.values()):
        raise GraderFault(f"{check.id}: {who} returned NaN")
    return outcome
