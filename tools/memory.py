"""Peak memory of a process tree, as proportional set size: pages that processes share count once."""

import re
import threading
from pathlib import Path


class PeakMemory:
    """Samples while it is open; `peak` in bytes, 0 where there is no /proc."""

    def __init__(self, pid: int, every: float = 0.05):
        self.pid, self.every, self.peak, self._stop = pid, every, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self.peak = max(self.peak, tree_pss(self.pid))


def tree_pss(pid: int) -> int:
    """Bytes of the process and all its descendants now; a process that ends meanwhile counts nothing."""
    import psutil

    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in tree:
        try:
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process.pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) << 10 if found else 0
        except OSError:
            continue
    return total
