"""What a student saves while a grade is under way. Each save ends that grade, and the next one begins."""

import threading
from pathlib import Path

from watchfiles import watch

from autograder.assignment import Assignment


class Saves:
    """Watches the deliverables of an assignment in a thread of its own. Use it as a context manager.

    cancelled: set from a save until `wait` has told of it.
    """

    def __init__(self, assignment: Assignment):
        self._folder, self._names = assignment.folder, assignment.deliverables
        self._saved: set[str] = set()
        self._error: Exception | None = None
        self._news, self._end = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.cancelled = threading.Event()

    def __enter__(self) -> "Saves":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def wait(self) -> list[str]:
        """Wait until something is saved, or was saved since the last call. Returns the names of the files.

        OSError: the folder cannot be watched.
        """
        with self._news:
            self._news.wait_for(lambda: self._saved or self._error)
            if self._error:
                raise self._error
            saved, self._saved = sorted(self._saved), set()
            self.cancelled.clear()
            return saved

    def _watch(self) -> None:
        wanted = lambda _, path: Path(path).name in self._names
        try:
            for changes in watch(self._folder, watch_filter=wanted, stop_event=self._end, raise_interrupt=False):
                with self._news:
                    self._saved |= {Path(path).name for _, path in changes}
                    self.cancelled.set()
                    self._news.notify()
        except Exception as error:
            with self._news:
                self._error = error
                self._news.notify()
