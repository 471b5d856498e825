"""Landlock: from here on this process reaches the listed folders and nothing else of the file system.

Unlike user ids, it also hides what every user may read, such as a course folder that was cloned as usual. The kernel tells
which version of the interface it has. What an older version lacks is left out, and without Landlock nothing is done.
Source: landlock(7); linux/landlock.h.
"""

import ctypes
import os
import struct
from contextlib import suppress
from functools import cache

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15  # rights that a rule on a single file may carry
_SINCE = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer; truncate; ioctl on devices
_NETWORK_SINCE, _TCP = 4, 0b11
_SCOPE_SINCE, _SCOPES = 6, 0b11  # abstract Unix sockets, signals


@cache
def version() -> int:
    """The version of Landlock that this kernel has. 0 for none."""
    with suppress(OSError, AttributeError):
        return max(0, ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION))
    return 0


def restrict(readable: list[str], writable: list[str]) -> None:
    """Allow reading below `readable`, and everything below `writable`. Folders that do not exist are passed over.

    It needs no-new-privileges or root.
    OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    every_right = sum(bits for since, bits in _SINCE.items() if since <= version())
    ruleset = _ruleset(libc, every_right)
    for paths, rights in ((readable, _READ), (writable, every_right)):
        for path in paths:
            _allow(libc, ruleset, path, rights, every_right)
    if libc.syscall(_RESTRICT, ruleset, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not apply the Landlock ruleset")
    os.close(ruleset)


def _ruleset(libc: ctypes.CDLL, every_right: int) -> int:
    """The descriptor of an empty ruleset, which refuses all that this kernel can refuse."""
    network = _TCP if version() >= _NETWORK_SINCE else 0
    scopes = _SCOPES if version() >= _SCOPE_SINCE else 0
    attributes = struct.pack("QQQ", every_right, network, scopes)
    size = 24 if version() >= _SCOPE_SINCE else 16 if version() >= _NETWORK_SINCE else 8
    ruleset = libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "the kernel makes no Landlock ruleset")
    return ruleset


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int, every_right: int) -> None:
    """Add the rule that gives these rights below a path, if the path exists."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112 (called for every check)
        rights &= _OF_FILES & every_right
    if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0):
        raise OSError(ctypes.get_errno(), f"Landlock takes no rule for {path}")
    os.close(beneath)
