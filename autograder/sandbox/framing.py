"""Frames on a pipe: eight bytes of length, then the bytes."""

import os
import struct


def write_frame(fd: int, data: bytes) -> None:
    view = memoryview(struct.pack("<Q", len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def read_exactly(fd: int, n: int) -> bytes:
    """n bytes; EOFError if the other end closes before."""
    parts = []
    while n:
        chunk = os.read(fd, min(n, 1 << 20))
        if not chunk:
            raise EOFError("the other end closed the pipe")
        parts.append(chunk)
        n -= len(chunk)
    return b"".join(parts)


def read_frame(fd: int) -> bytes:
    return read_exactly(fd, *struct.unpack("<Q", read_exactly(fd, 8)))
