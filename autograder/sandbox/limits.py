"""What is done to a worker after the fork and before any student code is imported: the inside of `jail.py`'s levels."""

import contextlib
import ctypes
import os
import resource
import signal
import tempfile

from autograder.sandbox import landlock, seccomp

FILE_BYTES = 64 << 20  # one file
OPEN_FILES = 256
THREADS = 64  # threads and processes of a submission, where it has a user of its own
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
SYSTEM = (  # what torch and the C library look up: shared libraries, time zones, the number of cores
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/localtime", "/etc/ld.so.cache"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)
_NO_NEW_PRIVILEGES = 38  # of prctl
_MMAP_THRESHOLD = -3  # of mallopt


def confine(
    level: int, uid: int | None, memory_mb: int, seconds: float, scratch: str, readable: list[str], processes: int
) -> None:
    """Limit this process for good.

    level: of isolation; see `jail.py`.
    uid: the user to become. None: stay the grader's own.
    memory_mb: comes on top of what the server already maps. 0 for no limit.
    seconds: of CPU time, with a few to spare. The parent watches the wall clock.
    scratch: the only folder that can be written.
    readable: folders that can be read.
    processes: how many may be started.
    OSError: the kernel refuses. Nothing of the submission must run then.
    """
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = None  # torch has asked for it in the server, and Python keeps the answer
    os.chdir(scratch)
    _limit_resources(memory_mb, seconds, processes if uid is not None else None)
    if level < 2:
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not promise that nothing gains rights")
    if landlock.version():
        landlock.restrict([*readable, *SYSTEM], [scratch, *DEVICES])
    if uid is not None:
        os.setgroups([])  # before the user changes; afterwards root's groups would stay
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    seccomp.install(processes=processes > 0)


def _limit_resources(memory_mb: int, seconds: float, processes: int | None) -> None:
    limit = lambda what, soft, hard=None: resource.setrlimit(what, (soft, soft if hard is None else hard))
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    cpu = int(seconds) + 5  # the parent's wall clock is the deadline; this only ends what no one watches any more
    limit(resource.RLIMIT_CPU, cpu, cpu + 1)
    if memory_mb and (mapped := _mapped_bytes()):
        limit(resource.RLIMIT_AS, mapped + (memory_mb << 20))
    if processes is not None:
        limit(resource.RLIMIT_NPROC, THREADS + processes)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # where memory runs out all the same, this is the process that goes
        _write("/proc/self/oom_score_adj", b"1000")


def return_freed_memory() -> None:
    """Have glibc give every block above 64 KB back as soon as it is freed, so that resident memory is what is in use."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MMAP_THRESHOLD, 1 << 16)  # a fixed value also ends its growth with the blocks that are freed


def _mapped_bytes() -> int:
    """Address space of this process. 0 where there is no /proc; macOS does not enforce RLIMIT_AS anyway."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(statm, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(statm)


def _write(path: str, data: bytes) -> None:
    """Write to a file by bare system calls. In a process just forked, a text file costs half a millisecond."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
