"""What the benchmarks share: lines with a bar, work done by turns, modules of the references, and the matmuls of a training step."""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType

from autograder.assignment import Course

REPEATS = 5


def line(what: str, values: list[float], unit: str, bar: float | None = None, at_least: float | None = None) -> None:
    """A figure: median, smallest and largest; its bar is what the median may not exceed, or has to reach."""
    middle, verdict = statistics.median(values), ""
    if bar is not None:
        verdict = f"   bar at most {bar:g} {unit}: {'met' if middle <= bar else 'NOT MET'}"
    if at_least is not None:
        verdict = f"   bar at least {at_least:g} {unit}: {'met' if middle >= at_least else 'NOT MET'}"
    print(f"{middle:8.3f} {unit:<3} ({min(values):.3f} to {max(values):.3f})  {what}{verdict}")


def by_turns(actions: dict[str, Callable[[], object]], repeats: int = REPEATS) -> list[dict[str, float]]:
    """CPU seconds of each action by turns; the first round warms up and does not count."""
    rounds = []
    for _ in range(repeats + 1):
        times = {}
        for name, action in actions.items():
            begin = time.process_time()
            action()
            times[name] = time.process_time() - begin
        rounds.append(times)
    return rounds[1:]


def course_module(name: str) -> ModuleType:
    """A module of the references by its name there, one of `given`, or one that lies beside the stubs; on one thread."""
    import torch

    torch.set_num_threads(1)
    course = Course.here()
    sys.path[:0] = [
        p for p in map(str, (course.reference, course.assignments)) if p not in sys.path
    ]  # references come before stubs
    package = importlib.import_module(name.partition(".")[0])
    if (beside := str(course.assignments / package.__name__)) not in package.__path__:
        package.__path__.append(beside)  # the demo
    return importlib.import_module(name)


def products(wide: list[tuple[int, int]]) -> Callable[[], None]:
    """Forward matmuls of a step and the two that each has backward: projections, head, scores and weights times values."""
    import torch

    shapes = [(128, 384), (128, 128), *wide] * 4 + [(128, 65)]
    tokens = 12 * 64
    dense = [(torch.randn(tokens, a), torch.randn(a, b), torch.randn(tokens, b)) for a, b in shapes]
    q, scores = torch.randn(48, 64, 32), torch.randn(48, 64, 64)  # 12 texts of 4 heads

    def work() -> None:
        for x, w, grad in dense:
            _ = x @ w, grad @ w.T, x.T @ grad
        for _ in range(4 * 3):
            _ = q @ q.mT, scores @ q

    return work
