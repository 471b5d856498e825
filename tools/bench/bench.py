"""The benchmarks by name: the speed of the grader, and that of the references."""

from collections.abc import Callable

from autograder.errors import BadInput


def benchmarks() -> dict[str, Callable[[], None]]:
    """Every benchmark by its name on the command line. Each prints its figures."""
    from tools.bench import grader, modern, scaling

    return {
        "grade": grader.grade,
        "only": grader.only,
        "jail": grader.jail,
        "help": grader.help_text,
        "batch": grader.batch,
        "cache": modern.cache,
        "stream": modern.stream,
        "step": modern.step,
        "stack": modern.stack,
        "tokens": scaling.tokens,
        "update": scaling.update,
    }


def run(name: str = "") -> None:
    """Run one benchmark, or all of them without a name.

    BadInput: there is no benchmark of that name, or a command that is timed fails.
    GraderFault: the results of the timed code are wrong.
    """
    known = benchmarks()
    if name and name not in known:
        raise BadInput(f"there is no benchmark {name!r}; there are {', '.join(known)}")
    for benchmark in [known[name]] if name else known.values():
        benchmark()
