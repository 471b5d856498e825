"""Speed of the grader, as ratios to `import torch` in the same run (machines differ and are busy, ratios stay); and of references.

u is the wall time of `python -c "import torch"`, measured in turn with each benchmark; medians of the pairs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autograder.assignment import Course
from autograder.errors import BadInput, GraderFault
from autograder.judge.judge import Drive
from tools.bench.timing import REPEATS, line
from tools.memory import PeakMemory

CLASS = 100  # submissions


def run(name: str = "") -> None:
    """Print one line a figure, with its bar. BadInput for an unknown name."""
    from tools.bench.bench import modern, scaling

    benches: dict[str, Callable[[], None]] = {"grade": grade, "only": only, "jail": jail, "help": help_text, "batch": batch}
    benches |= {"cache": modern.cache, "stream": modern.stream, "step": modern.step, "stack": modern.stack}
    benches |= {"tokens": scaling.tokens, "update": scaling.update}
    if name and name not in benches:
        raise BadInput(f"there is no benchmark {name!r}; there are {', '.join(benches)}")
    for bench in [benches[name]] if name else benches.values():
        bench()


def grade() -> None:
    """The reference of a01 as a submission, every check in its own process."""
    walls, cpus, per_check, units, peaks = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "r.json"
        command = _grade("--json", str(target))
        timed = {c.id for c in _checks() if c.judge.drive != Drive.OBSERVE}
        _time(command)
        for _ in range(REPEATS):
            units.append(_time(_IMPORT))
            started = _time(command)
            report = json.loads(target.read_text())
            apart = sum(c["seconds"] for c in report["checks"] if c["id"] in timed)
            plain = [c["seconds"] for c in report["checks"] if c["id"] not in timed and c["status"] == "passed"]
            walls.append((started[0] - apart) / units[-1][0])
            cpus.append(started[1] / units[-1][1])
            per_check.append(statistics.median(plain))
        _time(command, peaks)  # a run of its own: reading the memory of a worker stops it for a while
        isolated = len(plain)
    line("u: import torch, wall", [u[0] for u in units], "s")
    line(f"grade a01 of the reference, {isolated} isolated checks, beyond timed checks, wall", walls, "u", 2.5)
    line("  the same with timed checks, CPU of the whole tree", cpus, "u")
    line("  one isolated parity check, wall, median of its grade", [1000 * s for s in per_check], "ms", 60)
    line("  peak memory, PSS of the process tree", [p / 2**20 for p in peaks], "MB", 750)


def only() -> None:
    """One check by name, which a student does dozens of times a day."""
    name = "test_masked_keys_take_no_part"
    ratios = []
    for _ in range(REPEATS):
        unit = _time(_IMPORT)[0]
        ratios.append(_time(_grade("--only", name))[0] / unit)
    line(f"grade a01 --only {name}, wall", ratios, "u", 1.8)


def jail() -> None:
    """What the level of isolation costs a check: each parity check of a01 by turns with and without it, on one warm server."""
    from dataclasses import replace

    from autograder.sandbox.jail import Jail, detect_isolation
    from tools.author.reference_runs import workshop

    checks = [c for c in _checks() if c.judge.drive == Drive.OBSERVE and not c.device]
    extra, walls = [], []
    with workshop(Course.here().load("a01")) as shop:
        free = replace(shop.run, jail=Jail(1, False))

        def milliseconds(run, check) -> float:
            started = time.perf_counter()
            run.observe(check, shop.reference)
            return 1000 * (time.perf_counter() - started)

        for check in checks:
            pairs = [(milliseconds(shop.run, check), milliseconds(free, check)) for _ in range(REPEATS)]
            extra.append(statistics.median(a - b for a, b in pairs))
            walls.append(statistics.median(b for _, b in pairs))
    line(f"one check at level 1, wall, {len(checks)} checks", walls, "ms")
    line(f"  what level {detect_isolation().level} adds to it", extra, "ms", 5)


def batch() -> None:
    """A class of a01, two side by side, with everything that `batch` does but the timed checks."""
    from tools.batch.batch import batch as grade_class
    from tools.batch.sample_class import write_class

    assignment, checks = Course.here().load("a01"), [c for c in _checks() if c.judge.drive == Drive.OBSERVE]
    with tempfile.TemporaryDirectory() as folder:
        write_class(assignment, Path(folder) / "in", CLASS)
        units = [_time(_IMPORT) for _ in range(REPEATS)]
        before, started = os.times(), time.monotonic()
        book = grade_class(assignment, Path(folder) / "in", Path(folder) / "out", jobs=2, checks=checks)
        wall, after = time.monotonic() - started, os.times()
        units += [_time(_IMPORT) for _ in range(REPEATS)]
    levels = {e.report["isolation_level"] for e in book.entries}
    if faults := sum(e.faults for e in book.entries):
        raise GraderFault(f"{faults} checks of the class met a fault of the grader")
    unit, unit_cpu = (statistics.median(u[i] for u in units) for i in (0, 1))
    cpu = sum(after[:4]) - sum(before[:4])
    line("u: import torch, wall", [u[0] for u in units], "s")
    line(
        f"one submission beside another one, at level {', '.join(map(str, levels))}, wall", [e.seconds for e in book.entries], "s"
    )
    line(f"a class of {CLASS} at --jobs 2, {len(checks)} checks, wall for each submission", [wall / CLASS / unit], "u", 0.8)
    line("  the same, CPU of the whole tree over that of import torch", [cpu / CLASS / unit_cpu], "u")


def help_text() -> None:
    """What comes before anything heavy is imported."""
    line(
        "python -m autograder --help, wall",
        [_time([sys.executable, "-m", "autograder", "--help"])[0] for _ in range(REPEATS)],
        "s",
        0.3,
    )


_IMPORT = [sys.executable, "-c", "import torch"]


def _grade(*options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "autograder",
        "grade",
        "a01",
        "--from",
        str(Course.here().reference / "a01_transformer"),
        *options,
    ]


def _checks():
    from autograder.check.collecting import collect

    return collect(Course.here().load("a01"))


def _time(command: list[str], peaks: list[int] | None = None) -> tuple[float, float]:
    """Wall and CPU seconds of a command with its children; a command that fails ends the benchmark."""
    before, started = os.times(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if peaks is None:
        _, error = process.communicate()
    else:
        with PeakMemory(process.pid) as memory:
            _, error = process.communicate()
        peaks.append(memory.peak)
    wall, after = time.monotonic() - started, os.times()
    if process.returncode:
        raise BadInput(f"{' '.join(command[:6])} … ended with {process.returncode}: {error[-500:]}")
    return wall, after.children_user + after.children_system - before.children_user - before.children_system
