"""What the benchmarks share: figures with a target, work done in turns, and the modules of the references."""

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

from autograder.assignment import Course

REPEATS = 5

Round = dict[str, float]  # CPU seconds of each action in one round, by its name


def print_figure(
    title: str, values: Sequence[float], unit: str, at_most: float | None = None, at_least: float | None = None
) -> None:
    """Print a figure on one line: median, smallest and largest value, and whether the median meets its target.

    at_most, at_least: the target of the median, in the same unit; without both there is none.
    """
    median, verdict = statistics.median(values), ""
    if at_most is not None:
        verdict = f"   target at most {at_most:g} {unit}: {'met' if median <= at_most else 'NOT MET'}"
    if at_least is not None:
        verdict = f"   target at least {at_least:g} {unit}: {'met' if median >= at_least else 'NOT MET'}"
    print(f"{median:8.3f} {unit:<3} ({min(values):.3f} to {max(values):.3f})  {title}{verdict}")


def in_turns(actions: Mapping[str, Callable[[], object]], repeats: int = REPEATS) -> list[Round]:
    """CPU seconds of each action, one after another in every round. The first round warms up and does not count."""
    rounds = []
    for _ in range(repeats + 1):
        times = {}
        for name, action in actions.items():
            started = time.process_time()
            action()
            times[name] = time.process_time() - started
        rounds.append(times)
    return rounds[1:]


def ratios(rounds: Sequence[Round], above: str, below: str) -> list[float]:
    """The time of one action over that of another one, round by round."""
    return [times[above] / times[below] for times in rounds]


def course_module(name: str) -> ModuleType:
    """A module of a reference by its name there, one of `given`, or one that lies beside the stubs. It uses one thread.

    ModuleNotFoundError: there is no such module.
    """
    import torch

    torch.set_num_threads(1)
    course = Course.here()
    folders = (str(course.reference), str(course.assignments))  # references come before stubs
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    package = importlib.import_module(name.partition(".")[0])
    beside = str(course.assignments / package.__name__)  # where the demo lies
    if beside not in package.__path__:
        package.__path__.append(beside)
    return importlib.import_module(name)


def matmuls_of_a_step(feed_forward: list[tuple[int, int]]) -> Callable[[], None]:
    """All matrix products of a training step, forward and backward, and nothing else.

    The model has 4 blocks of d_model 128 with 4 heads and a vocabulary of 65. A batch is 12 sequences of 64 tokens.
    feed_forward: the shapes (in, out) of the feed-forward layers of one block.
    """
    import torch

    shapes = [(128, 384), (128, 128), *feed_forward] * 4 + [(128, 65)]
    tokens = 12 * 64
    dense = [(torch.randn(tokens, a), torch.randn(a, b), torch.randn(tokens, b)) for a, b in shapes]
    q, scores = torch.randn(48, 64, 32), torch.randn(48, 64, 64)  # 12 sequences of 4 heads

    def work() -> None:
        for x, w, grad in dense:
            _ = x @ w, grad @ w.T, x.T @ grad
        for _ in range(4 * 3):  # scores and weighted values of 4 blocks, each with two products in backward
            _ = q @ q.mT, scores @ q

    return work
