"""A progress bar with rate and time left, on a terminal alone."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that moves the bar on stderr."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def move(done: int, total: int) -> None:
            if not progress.tasks:  # what an earlier run has done is no work of this one, and says nothing about its speed
                progress.add_task(what, total=total, completed=done, rate="")
            speed = progress.tasks[0].speed
            progress.update(progress.tasks[0].id, completed=done, rate=f"{60 * speed:.1f} a minute" if speed else "")

        yield move
