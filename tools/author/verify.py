"""Measure the grader: right code gets 100, empty code 0, every known mistake is rejected by the check meant for it and
named, mechanical mutants die, and every tolerance lies well between noise and mistake.

A check is *meant* for a misconception when it is in the test file of the module that the misconception is about.
"""

import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.grading import Grader, grade
from autograder.judge.judge import Drive
from autograder.observation.leaf import is_float
from autograder.report.report import Report
from autograder.submission.working_copy import Tree, working_copy
from tools.author.golden import record
from tools.author.reference_runs import ReferenceRuns, reference_runs
from tools.memory import PeakMemory

COLLATERAL = 0.15  # share of the assignment that one misconception may cost outside its own checks
MUTANTS, PER_SITE = 300, 2
TRAINED = 10  # grades of `--seeds` in which training checks run too


def verify(assignment: Assignment, extra: Path | None = None, seeds: int = 0, quick: bool = False) -> dict:
    """Everything that the page shows; "problems" lists what is not as it should be."""
    checks = collect(assignment, hidden=True)
    with reference_runs(assignment) as runs:
        result: dict = {"assignment": assignment.id, "title": assignment.title, "checks": len(checks), "problems": []}
        say = result["problems"].append
        result["noise"] = _noise(runs, checks, say)  # first, so that a golden value that is missing is told at once
        result["idle"] = _idle(checks, runs)
        started = time.monotonic()
        with PeakMemory(os.getpid()) as memory:
            report = _grade(runs, runs.reference, checks)
        result["reference"] = {
            "score": report.score,
            "seconds": round(time.monotonic() - started, 1),
            "peak_pss_mb": round(memory.peak / 2**20),
        }
        _expect(report, 100, "the reference", say)
        stubs = _grade(runs, working_copy(assignment.folder, assignment, runs.scratch / "stubs"), checks)
        result["stubs"] = stubs.score
        if stubs.score:
            say(f"stubs get {stubs.score}: {[r.id for r in stubs.rows if r.points]}")
        result["alternates"] = {}
        for case in runs.cases("alternates"):
            score = _grade(runs, runs.tree_of(case), checks)
            result["alternates"][f"{case.target}: {case.name}"] = score.score
            _expect(score, 100, f"alternate {case.name}", say)
        asked = minimum_cases(assignment)
        if len(result["alternates"]) < asked["alternates"]:
            say(f"{len(result['alternates'])} alternates, at least {asked['alternates']} are asked for")
        result["misconceptions"] = [
            _misconception(case, runs, [c for c in checks if c.module == case.module] if quick else checks, say)
            for case in runs.cases("misconceptions")
        ]
        if len(result["misconceptions"]) < asked["misconceptions"]:
            say(f"{len(result['misconceptions'])} misconceptions, at least {asked['misconceptions']} are asked for")
        if not quick:
            result["mutants"] = _mutants(runs, checks, say)
        if seeds:
            result["seeds"] = _seeds(runs, checks, seeds, say)
        if extra:
            result["extra"] = _extra(runs, checks, extra, say)
    return result


def minimum_cases(assignment: Assignment) -> dict[str, int]:
    """How many cases of each kind are asked for: 3 misconceptions and an alternate for each part in a module.

    More than 12 misconceptions and 3 alternates are asked of no assignment. Sums on paper are no part in a module.
    """
    parts = max(1, sum("." in part.name for part in assignment.parts))
    return {"misconceptions": min(12, 3 * parts), "alternates": min(3, parts)}


def _grade(runs: ReferenceRuns, tree: Tree, checks: list[Check]) -> Report:
    scratch = runs.scratch / f"grade_{time.monotonic_ns()}"
    scratch.mkdir()
    return grade(runs.run, tree, checks, scratch)


def _expect(report: Report, points: float, who: str, say) -> None:
    if report.score != points:
        lost = [
            f"{r.id} ({r.message.splitlines()[0] if r.message else r.status})" for r in report.rows if r.points < r.max_points
        ]
        say(f"{who} gets {report.score} of {points}: {lost}")
    for row in report.faults:
        say(f"{who}: fault in {row.id}: {row.message}")


def _misconception(case, runs: ReferenceRuns, checks: list[Check], say) -> dict:
    """Training checks take seconds each, so they run only on what passes every other check of its module."""
    own_of = lambda report: [row for row in _lost(report) if row.check.module == case.module]
    report = _grade(runs, runs.tree_of(case), [c for c in checks if c.judge.drive != Drive.TRAIN])
    if not own_of(report) and any(c.judge.drive == Drive.TRAIN for c in checks):
        report = _grade(runs, runs.tree_of(case), checks)
    lost, own = _lost(report), own_of(report)
    named = [row for row in own if row.misconception == case.name]
    collateral = sum(row.max_points - row.points for row in lost if row not in own)
    entry = {
        "target": case.target,
        "name": case.name,
        "score": report.score,
        "killed_by": [r.id for r in own],
        "named_by": [r.id for r in named],
        "elsewhere": round(collateral, 2),
    }
    if not own:
        say(f"misconception {case.name} passes every check of its own module (score {report.score})")
    elif not any(not r.check.hidden for r in named):
        say(
            f"misconception {case.name} is rejected but not named; shown instead: {sorted({r.misconception for r in own if r.misconception})}"
        )
    if collateral > COLLATERAL * runs.assignment.points:
        say(
            f"misconception {case.name} costs {collateral:.1f} points outside its own checks: {[r.id for r in lost if r not in own]}"
        )
    return entry


def _lost(report: Report) -> list:
    return [row for row in report.rows if row.points < row.max_points or row.status == "failed"]


def _noise(runs: ReferenceRuns, checks: list[Check], say) -> list[dict]:
    """Noise, tolerance and nearest misconception of every check; all in units of the leaf where the ratio is worst."""
    grader, module = Grader(runs.run), {case.name: case.module for case in runs.cases("misconceptions")}
    rows = []
    for check in checks:
        golden = grader.golden(check)
        leaves = [
            e
            for e in golden.leaves.values()
            if is_float(e.value) and not e.random and getattr(e.value, "dtype", "float") in ("float32", "float64", "float")
        ]
        ratios = [e.noise / e.tolerance for e in leaves if e.tolerance]
        near = [s.distance for s in golden.fingerprints if module.get(s.case) == check.module]
        worst = max(leaves, key=lambda e: e.noise / e.tolerance if e.tolerance else 0, default=None)
        rows.append(
            {
                "check": check.id,
                "noise": worst.noise if worst else 0.0,
                "tolerance": worst.tolerance if worst else 0.0,
                "nearest": min(near, default=None),
                "wrong": len(near),
            }
        )
        if max(ratios, default=0) > 0.1:
            say(f"{check.id}: noise is {max(ratios):.2f} of the tolerance; at most 0.1 is sound")
        if near and min(near) < 10:
            close = min((s for s in golden.fingerprints if module.get(s.case) == check.module), key=lambda s: s.distance)
            say(
                f"{check.id}: misconception {close.case} lies only {close.distance:.1f} tolerances away; choose inputs that separate"
            )
    return rows


def _idle(checks: list[Check], runs: ReferenceRuns) -> list[str]:
    """Checks that no misconception fails; mutants may still fail them."""
    grader = Grader(runs.run)
    return [c.id for c in checks if c.judge.drive == Drive.OBSERVE and not grader.golden(c).fingerprints]


def _mutants(runs: ReferenceRuns, checks: list[Check], say) -> dict:
    """Mechanical mutants of the graded code: fast checks first, stop at the first kill."""
    from tools.author.mutants import mutants

    reviewed = _equivalents(runs.source / "equivalents.toml")
    pool = []
    for name in runs.assignment.deliverables:
        if name.endswith(".py"):
            source = (runs.reference.folder / name).read_text(encoding="utf-8")
            pool += [(name, m) for m in mutants(source, None, seed=0, limit=10**6, per_site=PER_SITE)]
    sample = random.Random(0).sample(pool, min(MUTANTS, len(pool)))
    grader = Grader(replace(runs.run))
    quick = [c for c in checks if c.judge.drive == Drive.OBSERVE and not c.device]
    slow = [c for c in checks if c.judge.drive != Drive.OBSERVE and not c.device]

    def survives(number: int, name: str, mutant) -> str | None:
        tree = runs.tree_with(f"mutant_{number}", name, mutant.source)
        own = name.removesuffix(".py")
        order = sorted(quick, key=lambda c: c.module != own) + slow
        if all(grader.judge(check, tree).share == 1 for check in order):
            return f"{name}:{mutant.line} {mutant.operator}: {mutant.before.strip()} → {mutant.after.strip()}"
        return None

    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(survives, i, name, mutant) for i, (name, mutant) in enumerate(sample)]
    survivors = [line for job in jobs if (line := job.result())]
    equivalent = [s for s in survivors if _key(s) in reviewed]
    alive = [s for s in survivors if _key(s) not in reviewed]
    counted = len(sample) - len(equivalent)
    share = (counted - len(alive)) / counted if counted else 1.0
    if share < 0.95:
        say(f"only {share:.1%} of the mutants die")
    return {
        "sites": len(pool),
        "tried": len(sample),
        "equivalent": [f"{s}   because {reviewed[_key(s)]}" for s in equivalent],
        "killed": counted - len(alive),
        "share": round(share, 4),
        "survivors": alive,
    }


def _key(line: str) -> str:
    """A survivor without its line number, which moves."""
    return re.sub(r":\d+ ", " ", line, count=1)


def _equivalents(path: Path) -> dict[str, str]:
    """Mutants reviewed by a person as equal in effect: [[mutant]] with `line` as the page prints it, and `reason`."""
    import tomllib

    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []) if path.exists() else []
    return {_key(row["line"]): row["reason"] for row in rows}


def _seeds(runs: ReferenceRuns, checks: list[Check], seeds: int, say) -> dict:
    """Grades of reference and alternates with golden values recorded anew for each seed; stepwise checks keep theirs.

    The first TRAINED of them train as well, on the text that is there, from another start and with other batches.
    """
    plain = [c for c in checks if c.judge.drive == Drive.OBSERVE and not c.device]
    training = [c for c in checks if c.judge.drive == Drive.TRAIN]
    trees = [("reference", runs.reference)] + [(c.name, runs.tree_of(c)) for c in runs.cases("alternates")]
    kept, flaky = Grader(runs.run), []
    for seed in range(1, seeds + 1):
        seeded = replace(runs, run=replace(runs.run, seed=seed))
        goldens = record(seeded, plain, fingerprints=False)
        grader = Grader(seeded.run)
        goldens |= {c.id: kept.golden(c) for c in training}
        grader.golden = lambda check, goldens=goldens: goldens[check.id]
        name, tree = trees[seed % len(trees)]
        flaky += [
            f"seed {seed}, {name}: {c.id}: {j.message.splitlines()[0]}"
            for c in (plain + training if seed <= TRAINED else plain)
            if (j := grader.judge(c, tree)).share < 1
        ]
    for line in flaky:
        say(f"flaky: {line}")
    return {"grades": seeds, "flaky": flaky}


def _extra(runs: ReferenceRuns, checks: list[Check], folder: Path, say) -> list[dict]:
    """Cases from outside the repository: score, failed checks, and what was named or shown."""
    import tomllib

    from autograder.errors import BadInput
    from tools.author.cases import load_cases

    if not folder.is_dir():
        may_hold = "misconceptions.py or misconceptions/, alternates.py or alternates/, and submissions/NAME/"
        raise BadInput(f"--extra {folder} is no folder; it may hold {may_hold}")
    found = []
    for kind, low, high in (("misconceptions", 0.0, 99.99), ("alternates", 100.0, 100.0)):
        for path in filter(Path.exists, (folder / f"{kind}.py", folder / kind)):
            found += [
                (f"{kind[:-1]} {c.name}", runs.tree_of(replace(c, name=f"extra_{c.name}")), low, high) for c in load_cases(path)
            ]
    for path in sorted((folder / "submissions").glob("*/")) if (folder / "submissions").exists() else []:
        bounds = tomllib.loads((path / "expect.toml").read_text()) if (path / "expect.toml").exists() else {}
        tree = working_copy(path, runs.assignment, runs.scratch / "extra" / path.name)
        found.append((f"submission {path.name}", tree, bounds.get("min_score", 0.0), bounds.get("max_score", 100.0)))
    rows = []
    for label, tree, low, high in found:
        report = _grade(runs, tree, checks)
        failed = [
            {"check": r.id, "shown": r.hint or r.message.split("\n")[0], "misconception": r.misconception}
            for r in report.rows
            if r.status == "failed"
        ]
        rows.append({"case": label, "score": report.score, "expected": [low, high], "failed": failed})
        if not low <= report.score <= high:
            say(f"extra {label} gets {report.score}, expected {low:g} to {high:g}")
    return rows


def render_verification(r: dict) -> str:
    """The result as one page of text."""
    out = [
        f"# {r['assignment']}: {r['title']}",
        "",
        f"{r['checks']} checks. Reference {r['reference']['score']:g} in {r['reference']['seconds']} s, "
        f"{r['reference']['peak_pss_mb']} MB (PSS of the whole tree, verify itself included). Stubs {r['stubs']:g}.",
        "",
        "## Alternates",
    ]
    out += [f"{score:6g}  {name}" for name, score in r["alternates"].items()]
    named = sum(bool(m["named_by"]) for m in r["misconceptions"])
    killed = sum(bool(m["killed_by"]) for m in r["misconceptions"])
    out += [
        "",
        f"## Misconceptions: {len(r['misconceptions'])}, {killed} killed in their module, {named} named",
        " score  elsewhere  named by / killed by",
    ]
    for m in r["misconceptions"]:
        first = (m["named_by"] or m["killed_by"] or ["NOT KILLED"])[0]
        out.append(
            f"{m['score']:6g}  {m['elsewhere']:9g}  {len(m['named_by'])}/{len(m['killed_by'])}  {m['target']}: {m['name']}  ← {first}"
        )
    out += ["", "## Noise and tolerance", "   noise  tolerance  nearest mistake (tolerances)  check"]
    for n in r["noise"]:
        near = "-" if n["nearest"] is None else f"{n['nearest']:.3g}"
        out.append(f"{n['noise']:8.1e}  {n['tolerance']:8.1e}  {near:>10} of {n['wrong']:2}  {n['check']}")
    if r["idle"]:
        out += ["", "Checks that no misconception fails: " + ", ".join(r["idle"])]
    if "mutants" in r:
        m = r["mutants"]
        out += [
            "",
            f"## Mutants: {m['killed']} of {m['tried'] - len(m['equivalent'])} killed ({m['share']:.1%}); "
            f"{m['sites']} possible, {len(m['equivalent'])} equivalent as reviewed",
        ]
        out += [f"  survives: {s}" for s in m["survivors"]] + [f"  equivalent: {s}" for s in m["equivalent"]]
    if "seeds" in r:
        out += ["", f"## Seeds: {r['seeds']['grades']} grades, {len(r['seeds']['flaky'])} flaky"]
    for e in r.get("extra", []):
        out += ["", f"extra {e['case']}: {e['score']:g}"] + [f"   {f['check']}: {f['shown']}" for f in e["failed"]]
    out += ["", "## Problems" if r["problems"] else "No problems."] + [f"- {p}" for p in r["problems"]]
    return "\n".join(out)
