"""Record golden observations: the reference in float64 cast to what float32 gave, the noise between them, and fingerprints.

The noise of a leaf is the largest distance of the float32 runs of the reference and of every alternate from the float64
run of the reference. Each misconception of a module leaves a fingerprint in every check of that module that it fails.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.errors import GraderFault
from autograder.judge.judge import Drive
from autograder.observation.fingerprint import fingerprint
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.golden_files import save_goldens
from autograder.observation.leaf import Array, Leaf, Observation, Unsupported, is_float, numbers
from autograder.observation.tolerance import gap, tolerance
from autograder.report.hints import hints_path, raised
from autograder.sandbox.outcome import Ending, Outcome
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.author.tasks import task_of


def record(runs: ReferenceRuns, checks: list[Check], fingerprints: bool = True) -> dict[str, Golden]:
    """Golden observations by check id. GraderFault with a line for each check that cannot be recorded.

    fingerprints: without them, noise is that of alternates of the check's own module too: a few of the runs, tolerances no wider.
    """
    mistakes = [(case, runs.tree_of(case)) for case in runs.cases("misconceptions")] if fingerprints else []
    alternates = [(case, runs.tree_of(case)) for case in runs.cases("alternates")]
    others = lambda check: [a for a in alternates if fingerprints or a[0].module == check.module]
    with ThreadPoolExecutor(2) as pool:
        jobs = {check.id: pool.submit(_record_one, runs, check, others(check), mistakes) for check in checks if not check.device}
    faults = [str(job.exception()) for job in jobs.values() if isinstance(job.exception(), GraderFault)]
    if faults:
        raise GraderFault("\n".join(faults))
    goldens = {name: job.result() for name, job in jobs.items()}
    for check in checks:  # a device check expects what its twin on the CPU does, named test_x_on_cuda
        if check.device:
            goldens[check.id] = goldens[check.id.removesuffix(f"_on_{check.device}")]
    return goldens


def _record_one(runs: ReferenceRuns, check: Check, others: list, mistakes: list) -> Golden:
    if check.judge.drive == Drive.TRAIN:
        return task_of(check.judge, check.seed).as_golden()
    plain = _seen(runs.run.observe(check, runs.reference), check, "the reference in float32")
    if hasattr(check.judge, "record"):  # answers by hand: only their hashes may ship
        return replace(check.judge.record(plain.observation), inputs=plain.inputs)
    exact = _seen(runs.run.in_float64().observe(check, runs.reference), check, "the reference in float64")
    if plain.observation.keys() != exact.observation.keys():
        raise GraderFault(
            f"{check.id}: float32 and float64 give different leaves: {set(plain.observation) ^ set(exact.observation)}"
        )
    golden = Golden(inputs=plain.inputs)
    observations = [plain.observation] + [
        _seen(runs.run.observe(check, tree), check, f"alternate {c.name}").observation for c, tree in others
    ]
    for path, leaf in plain.observation.items():
        random = path in check.judge.random
        golden.leaves[path] = (
            Expected(leaf, random=True) if random else _expected(check, path, leaf, exact.observation[path], observations)
        )
    for case, tree in mistakes:
        if case.module != check.module:
            continue  # where another module suffers, the given part takes the wrong one's place
        outcome = runs.run.observe(check, tree)
        if outcome.kind == Ending.RAISED:
            golden.fingerprints.append(Fingerprint(case.name, {"raised": raised(outcome)}, float("inf")))
        elif outcome.kind == Ending.OBSERVED and check.judge.compare(outcome.evidence(), golden):
            golden.fingerprints.append(
                Fingerprint(
                    case.name, fingerprint(outcome.observation, golden), distance_from_golden(outcome.observation, golden)
                )
            )
    return golden


def _expected(check: Check, path: str, plain: Leaf, exact: Leaf, observations: list[Observation]) -> Expected:
    if not is_float(plain):
        if _literal(plain) != _literal(exact):
            raise GraderFault(f"{check.id}: {path} differs between float32 and float64, though it is not a float")
        return Expected(plain)
    value: Leaf = _cast(exact, plain)
    noise = max(gap(seen[path], value) if path in seen else float("inf") for seen in observations)
    if not np.isfinite(noise):
        raise GraderFault(f"{check.id}: {path} of the reference and its alternates differ in shape or by an infinite amount")
    return Expected(value, noise, tolerance(noise, value))


def _cast(exact: Leaf, plain: Leaf) -> Leaf:
    if not isinstance(plain, Array):
        return exact
    values = exact.values
    if plain.dtype == "bfloat16":
        values = np.asarray(values, np.float32)  # kept wide; the tolerance is that of bfloat16
        return Array("bfloat16", values)
    return Array(plain.dtype, values.astype(plain.dtype))


def distance_from_golden(observation: Observation, golden: Golden) -> float:
    """Largest distance of a float32 or float64 leaf in units of its tolerance; infinite where anything else differs.

    Leaves of low precision are left out, because sound orders of rounding lie as far apart there as wrong ones.
    """
    distances = [
        gap(observation[path], e.value) / e.tolerance
        for path, e in golden.leaves.items()
        if not e.random and e.tolerance and _is_precise(e.value) and path in observation and is_float(observation[path])
    ]
    worst = max(distances, default=0.0)
    return worst if worst > 1 else float("inf")


def _is_precise(leaf: Leaf) -> bool:
    return is_float(leaf) and getattr(leaf, "dtype", "float32") in ("float32", "float64")


def _literal(leaf: Leaf):
    return (leaf.dtype, leaf.shape, leaf.values.tobytes()) if isinstance(leaf, Array) else leaf


def _seen(outcome: Outcome, check: Check, who: str) -> Outcome:
    if outcome.kind != Ending.OBSERVED:
        raise GraderFault(f"{check.id}: {who} gave no observation: {outcome.kind} {outcome.error}")
    odd = [p for p, leaf in outcome.observation.items() if isinstance(leaf, Unsupported)]
    if odd:
        raise GraderFault(f"{check.id}: {who} returned something that cannot be compared at {odd}")
    if any(is_float(leaf) and np.isnan(numbers(leaf)[0]).any() for leaf in outcome.observation.values()):
        raise GraderFault(f"{check.id}: {who} returned NaN")
    return outcome


def golden(assignment: Assignment) -> list[Path]:
    """Record everything of one assignment; returns the files written."""
    checks = collect(assignment, hidden=True)
    with reference_runs(assignment) as runs:
        goldens = record(runs, checks)
        mistakes = runs.cases("misconceptions")
    written = []
    for path in dict.fromkeys(check.path for check in checks):
        target = path.parent / "golden" / path.stem
        save_goldens(target, {c.name: goldens[c.id] for c in checks if c.path == path})
        written.append(target.with_suffix(".json"))
    hints = {c.name: {"text": " ".join(c.doc.split()), "section": c.module, "pitfall": c.pitfall, "ask": c.ask} for c in mistakes}
    hints_path(assignment).write_text(json.dumps(hints, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, hints_path(assignment)]
