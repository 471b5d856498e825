"""Record golden observations: the reference in float64 cast to what float32 gave, the noise between them, and sketches.

The noise of a leaf is the largest distance of the float32 runs of the reference and of every alternate from the float64
run of the reference. Each misconception of a module leaves a sketch in every check of that module that it fails.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autograder.assignment import REFERENCE, Assignment
from autograder.cases import Case, load_cases
from autograder.checks import Check
from autograder.collect import collect
from autograder.diagnosis import hints_path, raised
from autograder.errors import GraderFault
from autograder.golden import Expected, Golden, Sketch, gap, is_float, numbers, save, sketch, tolerance
from autograder.jail import lease
from autograder.observation import Array, Leaf, Observation
from autograder.overlay import replace as overlay
from autograder.running import Run
from autograder.session import scratch_space
from autograder.submission import Tree, working_copy
from autograder.workers import Outcome, Server
from tools.tasks import task_of


def cases_of(assignment: Assignment, kind: str) -> list[Case]:
    """All cases of a kind, "misconceptions" or "alternates"; modules come in the order in which students meet them."""
    folder = REFERENCE / assignment.package / kind
    cases = load_cases(folder) if folder.exists() else []
    return sorted(cases, key=lambda case: assignment.deliverables.index(f"{case.module}.py"))


@dataclass(frozen=True)
class Workshop:
    """The trees that golden and verify run on, and how to run on them."""

    assignment: Assignment
    run: Run
    reference: Tree
    scratch: Path

    @property
    def source(self) -> Path:
        return REFERENCE / self.assignment.package

    def cases(self, kind: str) -> list[Case]:
        """kind: "misconceptions" or "alternates"."""
        return cases_of(self.assignment, kind)

    def tree_of(self, case: Case) -> Tree:
        """The reference with one definition replaced, in a tree of its own."""
        name = f"{case.module}.py"
        text = overlay((self.reference.folder / name).read_text(encoding="utf-8"), case.qualname, case)
        return self.tree_with(case.name, name, text)

    def tree_with(self, label: str, name: str, text: str) -> Tree:
        into = self.scratch / "trees" / label
        return Tree(into, into / self.assignment.package) if into.exists() else self.reference.with_file(into, name, text)


@contextmanager
def workshop(assignment: Assignment, seed: int = 0) -> Iterator[Workshop]:
    """Server, scratch folders and a working copy of the reference."""
    with scratch_space() as scratch, Server(assignment.preload, for_a_class=True) as server, lease() as jail:
        tree = working_copy(REFERENCE / assignment.package, assignment, scratch / "reference")
        yield Workshop(assignment, Run(server, assignment, scratch / "cwd", tree, jail, seed=seed), tree, scratch)


def record(shop: Workshop, checks: list[Check], sketches: bool = True) -> dict[str, Golden]:
    """Golden observations by check id. GraderFault with a line for each check that cannot be recorded.

    sketches: without them, noise is that of alternates of the check's own module too: a few of the runs, tolerances no wider.
    """
    mistakes = [(case, shop.tree_of(case)) for case in shop.cases("misconceptions")] if sketches else []
    alternates = [(case, shop.tree_of(case)) for case in shop.cases("alternates")]
    others = lambda check: [a for a in alternates if sketches or a[0].module == check.module]
    with ThreadPoolExecutor(2) as pool:
        jobs = {check.id: pool.submit(_record_one, shop, check, others(check), mistakes) for check in checks if not check.device}
    faults = [str(job.exception()) for job in jobs.values() if isinstance(job.exception(), GraderFault)]
    if faults:
        raise GraderFault("\n".join(faults))
    goldens = {name: job.result() for name, job in jobs.items()}
    for check in checks:  # a device check expects what its twin on the CPU does, named test_x_on_cuda
        if check.device:
            goldens[check.id] = goldens[check.id.removesuffix(f"_on_{check.device}")]
    return goldens


def _record_one(shop: Workshop, check: Check, others: list, mistakes: list) -> Golden:
    if check.judge.mode == "train":
        return task_of(check.judge, check.seed).as_golden()
    plain = _seen(shop.run.observe(check, shop.reference), check, "the reference in float32")
    if hasattr(check.judge, "record"):  # answers by hand: only their hashes may ship
        return replace(check.judge.record(plain.seen), inputs=plain.inputs)
    exact = _seen(shop.run.exactly().observe(check, shop.reference), check, "the reference in float64")
    if plain.seen.keys() != exact.seen.keys():
        raise GraderFault(f"{check.id}: float32 and float64 give different leaves: {set(plain.seen) ^ set(exact.seen)}")
    golden = Golden(inputs=plain.inputs)
    runs = [plain.seen] + [_seen(shop.run.observe(check, tree), check, f"alternate {c.name}").seen for c, tree in others]
    for path, leaf in plain.seen.items():
        random = path in check.judge.random
        golden.leaves[path] = Expected(leaf, random=True) if random else _expected(check, path, leaf, exact.seen[path], runs)
    for case, tree in mistakes:
        if case.module != check.module:
            continue  # where another module suffers, the given part takes the wrong one's place
        outcome = shop.run.observe(check, tree)
        if outcome.kind == "raised":
            golden.sketches.append(Sketch(case.name, {"raised": raised(outcome)}, float("inf")))
        elif outcome.kind == "observed" and (check.judge.compare(outcome.seen, golden) or outcome.inputs != golden.inputs):
            golden.sketches.append(Sketch(case.name, sketch(outcome.seen, golden), departure(outcome.seen, golden)))
    return golden


def _expected(check: Check, path: str, plain: Leaf, exact: Leaf, runs: list[Observation]) -> Expected:
    if not is_float(plain):
        if _literal(plain) != _literal(exact):
            raise GraderFault(f"{check.id}: {path} differs between float32 and float64, though it is not a float")
        return Expected(plain)
    value: Leaf = _cast(exact, plain)
    noise = max(gap(run[path], value) if path in run else float("inf") for run in runs)
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


def departure(seen: Observation, golden: Golden) -> float:
    """Largest distance of a float32 or float64 leaf in units of its tolerance; infinite where anything else differs.

    Leaves of low precision are left out, because sound orders of rounding lie as far apart there as wrong ones.
    """
    distances = [
        gap(seen[path], e.value) / e.tolerance
        for path, e in golden.leaves.items()
        if not e.random and e.tolerance and _is_precise(e.value) and path in seen and is_float(seen[path])
    ]
    worst = max(distances, default=0.0)
    return worst if worst > 1 else float("inf")


def _is_precise(leaf: Leaf) -> bool:
    return is_float(leaf) and getattr(leaf, "dtype", "float32") in ("float32", "float64")


def _literal(leaf: Leaf):
    return (leaf.dtype, leaf.shape, leaf.values.tobytes()) if isinstance(leaf, Array) else leaf


def _seen(outcome: Outcome, check: Check, who: str) -> Outcome:
    if outcome.kind != "observed":
        raise GraderFault(f"{check.id}: {who} gave no observation: {outcome.kind} {outcome.error}")
    odd = [p for p, leaf in outcome.seen.items() if type(leaf).__name__ == "Alien"]
    if odd:
        raise GraderFault(f"{check.id}: {who} returned something that cannot be compared at {odd}")
    if any(is_float(leaf) and np.isnan(numbers(leaf)[0]).any() for leaf in outcome.seen.values()):
        raise GraderFault(f"{check.id}: {who} returned NaN")
    return outcome


def golden(assignment: Assignment) -> list[Path]:
    """Record everything of one assignment; returns the files written."""
    checks = collect(assignment, hidden=True)
    with workshop(assignment) as shop:
        goldens = record(shop, checks)
        mistakes = shop.cases("misconceptions")
    written = []
    for path in dict.fromkeys(check.path for check in checks):
        target = path.parent / "golden" / path.stem
        save(target, {c.name: goldens[c.id] for c in checks if c.path == path})
        written.append(target.with_suffix(".json"))
    hints = {c.name: {"text": " ".join(c.doc.split()), "section": c.module, "pitfall": c.pitfall, "ask": c.ask} for c in mistakes}
    hints_path(assignment).write_text(json.dumps(hints, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, hints_path(assignment)]
