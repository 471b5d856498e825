"""Peak memory of a process and its descendants, as proportional set size: pages that processes share count once."""

import re
import threading
from pathlib import Path


class PeakMemory:
    """A context manager that measures again and again while it is open.

    pid: the process whose tree is measured.
    every: seconds between two measurements.
    peak: the largest value so far in bytes; 0 where there is no /proc.
    """

    def __init__(self, pid: int, every: float = 0.05):
        self.pid, self.every, self.peak, self._stop = pid, every, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self.peak = max(self.peak, tree_pss(self.pid))


def tree_pss(pid: int) -> int:
    """Bytes of the process and all its descendants now. A process that ends meanwhile counts 0."""
    import psutil

    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_pss(process.pid) for process in tree)


def _pss(pid: int) -> int:
    try:
        match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) << 10 if match else 0
