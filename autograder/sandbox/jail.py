"""How well a submission can be shut in on this machine, and the user id that it runs under (DESIGN §4).

Level 3 is root on Linux. A submission has a user of its own, seccomp, and Landlock where the kernel has it. Afterwards every
process of that user is killed, and its files in shared places are removed.
Level 2 is Linux without root: the same without the user. The server, as their subreaper, kills processes left over.
Level 1 is macOS: a process with limits.
Level 0 is anything else: a process and the clock.

`limits.confine` applies it inside the worker. Nothing here runs beside student code.
"""

import contextlib
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.errors import GraderFault
from autograder.sandbox import landlock, seccomp

UIDS = range(50000, 60000)
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/run/shm")  # where every user may leave files
_LOCKS = Path("/run/autograder-users")


@dataclass(frozen=True)
class Jail:
    """What shuts a submission in.

    level: 0 to 3, as above.
    landlock: whether the kernel has Landlock.
    uid: the user of the submission. None for the grader's own.
    notes: why the level is no higher, for the instructor.
    """

    level: int
    landlock: bool
    uid: int | None = None
    notes: tuple[str, ...] = ()

    def can_hide(self, folder: Path) -> bool:
        """Whether code in the jail cannot read this folder, where hidden checks and golden values lie."""
        return (self.level >= 2 and self.landlock) or (self.level >= 3 and closed_folder([folder]) is not None)

    def give_to_user(self, path: Path) -> None:
        """Give a folder to the submission, for itself alone."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
            path.chmod(0o700)


@cache
def detect_isolation() -> Jail:
    """The best level that this machine allows. Its notes say why it is no better."""
    if platform.system() != "Linux" or not seccomp.available():
        return Jail(1 if sys.platform == "darwin" else 0, False, notes=("no seccomp here",))
    has_landlock = landlock.version() > 0
    notes = () if has_landlock else ("this kernel has no Landlock, so files that every user may read can be read",)
    if os.geteuid() != 0:
        return Jail(2, has_landlock, notes=(*notes, "not root, so submissions run as the user who grades"))
    if closed := closed_folder([sys.executable, os.path.realpath(sys.executable), *library_folders()]):
        note = f"other users cannot reach {closed}, where Python lies: install it elsewhere (make setup PYTHON=/usr/bin/python3)"
        return Jail(2, has_landlock, notes=(*notes, note))
    return Jail(3, has_landlock, notes=notes)


def closed_folder(paths: Iterable[str | Path]) -> str | None:
    """A folder among these paths, or on the way to one, that another user cannot enter."""
    folders = {folder for path in paths for folder in [Path(path), *Path(path).parents]}
    return next((str(f) for f in sorted(folders) if f.is_dir() and not f.stat().st_mode & 0o001), None)


@cache
def library_folders() -> tuple[str, ...]:
    """What an import may read: the environment and the standard library."""
    paths = sysconfig.get_paths()
    others = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]  # environments on top of others
    return tuple(dict.fromkeys([sys.prefix, paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], *others]))


@contextlib.contextmanager
def reserve_user() -> Iterator[Jail]:
    """The jail for one submission. At level 3 it has a user that no other run holds, and nothing of it is left afterwards.

    GraderFault: every user is held by another run.
    """
    best = detect_isolation()
    if best.level < 3:
        yield best
        return
    uid, lock = _lock_user()
    try:
        yield Jail(3, best.landlock, uid, best.notes)
    finally:
        try:
            kill_and_clean(uid, files=not best.landlock)
        finally:
            os.close(lock)


def _lock_user() -> tuple[int, int]:
    """A user that no other run holds, and the descriptor that holds it until it is closed."""
    _LOCKS.mkdir(mode=0o700, exist_ok=True)
    for uid in UIDS:
        lock = os.open(_LOCKS / str(uid), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return uid, lock
        except BlockingIOError:
            os.close(lock)
    raise GraderFault(f"every user id from {UIDS[0]} to {UIDS[-1]} is held by another run")


def kill_and_clean(uid: int, files: bool = True) -> None:
    """Kill every process of a user, and remove its files from shared places.

    files: whether there may be files. With Landlock the user could not leave any.
    """
    kill_all = f"import os; os.setgroups([]); os.setresuid({uid}, {uid}, {uid}); os.kill(-1, {int(signal.SIGKILL)})"
    for _ in range(50):  # what forks on meanwhile is met by the next round
        if not any(_processes(uid)):
            break
        subprocess.run([sys.executable, "-IS", "-c", kill_all], check=False, stderr=subprocess.DEVNULL)
        time.sleep(0.02)
    if files:
        for folder in SHARED:
            _remove_files(uid, Path(folder))


def _remove_files(uid: int, folder: Path) -> None:
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == uid:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _processes(uid: int) -> Iterator[int]:
    """Processes of a user that still run. Those that have ended and wait for their parent do no harm."""
    for name in (path.name for path in Path("/proc").iterdir()):
        if name.isdigit():
            with contextlib.suppress(OSError):
                status = Path("/proc", name, "status").read_text()
                if f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status:
                    yield int(name)
