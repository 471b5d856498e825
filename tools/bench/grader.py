"""Speed of the grader, as ratios to `import torch` in the same run: machines differ and are busy, ratios stay.

u is the wall time of `python -c "import torch"`, measured in turn with each benchmark. The figures are medians of the pairs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.assignment import Assignment, Course
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.errors import BadInput, GraderFault
from autograder.judge.judge import Drive
from autograder.running import Runner
from autograder.sandbox.jail import Jail, detect_isolation
from tools.batch.batch import grade_class
from tools.batch.gradebook import Gradebook
from tools.batch.sample_class import write_class
from tools.bench.timing import REPEATS, print_figure
from tools.memory import PeakMemory

CLASS = 100  # submissions
ONE_CHECK = "test_masked_keys_take_no_part"


@dataclass(frozen=True)
class Timing:
    """Seconds of a command with its children: by the clock, and of CPU time."""

    wall: float
    cpu: float


def grade() -> None:
    """The reference of a01 as a submission, every check in its own process."""
    walls, cpus, per_check, units = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "r.json"
        command = _grade("--json", str(target))
        timed = {check.id for check in _checks() if check.judge.drive != Drive.OBSERVE}
        _time(command)
        for _ in range(REPEATS):
            unit, grading = _time(_IMPORT), _time(command)
            rows = json.loads(target.read_text())["checks"]
            seconds_timed = sum(row["seconds"] for row in rows if row["id"] in timed)
            isolated = [row["seconds"] for row in rows if row["id"] not in timed and row["status"] == "passed"]
            units.append(unit.wall)
            walls.append((grading.wall - seconds_timed) / unit.wall)
            cpus.append(grading.cpu / unit.cpu)
            per_check.append(1000 * statistics.median(isolated))
        peak = _peak_bytes(command)  # a run of its own: reading the memory of a worker stops it for a while
    print_figure("u: import torch, wall", units, "s")
    title = f"grade a01 of the reference, {len(isolated)} isolated checks, beyond timed checks, wall"
    print_figure(title, walls, "u", at_most=2.5)
    print_figure("  the same with timed checks, CPU of the whole tree", cpus, "u")
    print_figure("  one isolated parity check, wall, median of its grade", per_check, "ms", at_most=60)
    print_figure("  peak memory, PSS of the process tree", [peak / 2**20], "MB", at_most=750)


def only() -> None:
    """One check by name, which a student grades dozens of times a day."""
    ratios = []
    for _ in range(REPEATS):
        unit, grading = _time(_IMPORT), _time(_grade("--only", ONE_CHECK))
        ratios.append(grading.wall / unit.wall)
    print_figure(f"grade a01 --only {ONE_CHECK}, wall", ratios, "u", at_most=1.8)


def jail() -> None:
    """What the level of isolation adds to a check: each parity check of a01 in turn with and without it, on one warm server."""
    from tools.author.reference_runs import reference_runs

    checks = [check for check in _checks() if check.judge.drive == Drive.OBSERVE and not check.device]
    added, walls = [], []
    with reference_runs(_assignment()) as runs:
        unjailed = replace(runs.runner, jail=Jail(1, False))

        def milliseconds(runner: Runner, check: Check) -> float:
            started = time.perf_counter()
            runner.observe(check, runs.reference)
            return 1000 * (time.perf_counter() - started)

        for check in checks:
            pairs = [(milliseconds(runs.runner, check), milliseconds(unjailed, check)) for _ in range(REPEATS)]
            added.append(statistics.median(jailed - free for jailed, free in pairs))
            walls.append(statistics.median(free for _, free in pairs))
    print_figure(f"one check at level 1, wall, {len(checks)} checks", walls, "ms")
    print_figure(f"  what level {detect_isolation().level} adds to it", added, "ms", at_most=5)


def batch() -> None:
    """A class of a01, two submissions side by side, with everything that `batch` does except the timed checks."""
    checks = [check for check in _checks() if check.judge.drive == Drive.OBSERVE]
    units = [_time(_IMPORT) for _ in range(REPEATS)]
    book, grading = _grade_sample_class(checks)
    units += [_time(_IMPORT) for _ in range(REPEATS)]
    if faults := sum(entry.faults for entry in book.entries):
        raise GraderFault(f"{faults} checks of the class met a fault of the grader")
    unit = Timing(statistics.median(u.wall for u in units), statistics.median(u.cpu for u in units))
    levels = ", ".join(str(level) for level in {entry.report["isolation_level"] for entry in book.entries})
    seconds = [entry.seconds for entry in book.entries]
    print_figure("u: import torch, wall", [u.wall for u in units], "s")
    print_figure(f"one submission beside another one, at level {levels}, wall", seconds, "s")
    title = f"a class of {CLASS} at --jobs 2, {len(checks)} checks, wall for each submission"
    print_figure(title, [grading.wall / CLASS / unit.wall], "u", at_most=0.8)
    print_figure("  the same, CPU of the whole tree over that of import torch", [grading.cpu / CLASS / unit.cpu], "u")


def _grade_sample_class(checks: list[Check]) -> tuple[Gradebook, Timing]:
    assignment = _assignment()
    with tempfile.TemporaryDirectory() as folder:
        write_class(assignment, Path(folder) / "in", CLASS)
        before, started = os.times(), time.monotonic()
        book = grade_class(assignment, Path(folder) / "in", Path(folder) / "out", jobs=2, checks=checks)
        wall, after = time.monotonic() - started, os.times()
    return book, Timing(wall, sum(after[:4]) - sum(before[:4]))


def help_text() -> None:
    """The help of the command, which needs nothing heavy."""
    walls = [_time([sys.executable, "-m", "autograder", "--help"]).wall for _ in range(REPEATS)]
    print_figure("python -m autograder --help, wall", walls, "s", at_most=0.3)


_IMPORT = [sys.executable, "-c", "import torch"]


def _assignment() -> Assignment:
    return Course.here().load("a01")


def _grade(*options: str) -> list[str]:
    return [sys.executable, "-m", "autograder", "grade", "a01", "--from", str(_assignment().reference), *options]


def _checks() -> list[Check]:
    return collect(_assignment())


def _time(command: list[str]) -> Timing:
    """Run a command. BadInput if it fails."""
    before, started = os.times(), time.monotonic()
    _finish(command, _start(command))
    wall, after = time.monotonic() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Timing(wall, cpu)


def _peak_bytes(command: list[str]) -> int:
    """Run a command and measure the memory of its processes. BadInput if it fails."""
    process = _start(command)
    with PeakMemory(process.pid) as memory:
        _finish(command, process)
    return memory.peak


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _finish(command: list[str], process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    if process.returncode:
        raise BadInput(f"{' '.join(command[:6])} … ended with {process.returncode}: {errors[-500:]}")
