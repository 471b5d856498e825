"""What the kernel tells of a process: its CPU time, its peak memory, the bytes that it has written."""

import sys
import time
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads, as the kernel accounts it.

    There is the wall clock instead where the kernel does not tell (macOS), or the process has ended.
    """
    if sys.platform != "linux" or not pid:
        return time.monotonic()
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the encoding of clock_getcpuclockid
    except OSError:
        return time.monotonic()


def bytes_written(pid: int) -> int:
    """Bytes that a process has written so far, by write() or through mapped files.

    0 where the kernel does not tell, or the process has ended.
    """
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines() if pid else []
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith(("wchar", "write_bytes"))), default=0)


def reset_peak(pid: int) -> None:
    """Start the peak of `peak_bytes` anew. Nothing happens where there is no /proc, or the process has ended."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM starts again from what is resident now


def peak_bytes(pid: int) -> int:
    """Peak resident memory since the last reset. 0 where there is no /proc, or the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
