"""A progress bar for what takes minutes, with the rate and the time left. It is shown on a terminal alone."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that moves the bar on stderr. Without a terminal it does nothing."""
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
            if not progress.tasks:  # stored results of an earlier run say nothing about the speed of this one
                progress.add_task(title, total=total, completed=done, rate="")
            task = progress.tasks[0]
            progress.update(task.id, completed=done, rate=f"{60 * task.speed:.1f} a minute" if task.speed else "")

        yield move
