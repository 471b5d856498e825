"""What is done to a worker after the fork and before any student code is imported.

Level 1 of DESIGN §4: a process of its own, rlimits, a wall-clock deadline kept by the parent. Levels 2 and 3 (uid,
seccomp, Landlock) belong into `confine`, the one place that every worker passes.
"""

import ctypes
import os
import resource
import signal
from pathlib import Path

LEVEL = 1


def confine(memory_mb: int, seconds: float, scratch: str) -> None:
    """Limit this process for good. memory_mb comes on top of what the server already maps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    cpu = int(seconds) + 5  # the parent's wall clock is the deadline; this only ends what no one watches any more
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    if memory_mb and (mapped := _mapped_bytes()):
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (memory_mb << 20),) * 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.chdir(scratch)


def return_freed_memory() -> None:
    """Have glibc give every block above 64 KB back as soon as it is freed, so that resident memory is what is in use."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(-3, 1 << 16)  # M_MMAP_THRESHOLD; a fixed value also ends its growth with the blocks that are freed


def _mapped_bytes() -> int:
    """Address space of this process; 0 where there is no /proc (macOS does not enforce RLIMIT_AS anyway)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
