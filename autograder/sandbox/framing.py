"""What goes through the pipes of a worker: frames, and signs of one byte.

A frame is eight bytes of length and then the bytes. The first byte of a frame from a worker says what the others are.
"""

import os
import struct

HEADER = struct.Struct("<Q")

# The first byte of a frame from a worker.
OBSERVATION = b"S"
EXCEPTION = b"E"
END_OF_STEPS = b"D"

# The parent's sign for the next step.
STEP = b"."
WATCHED_STEP = b"w"  # a step under the watch for forbidden calls


def write_frame(fd: int, data: bytes) -> None:
    """Write one frame. OSError: the other end is closed."""
    view = memoryview(HEADER.pack(len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def read_exactly(fd: int, n: int) -> bytes:
    """Read n bytes. EOFError: the other end closes before."""
    parts = []
    while n:
        chunk = os.read(fd, min(n, 1 << 20))
        if not chunk:
            raise EOFError("the other end closed the pipe")
        parts.append(chunk)
        n -= len(chunk)
    return b"".join(parts)


def read_frame(fd: int) -> bytes:
    """Read one frame, without its length. EOFError: the other end closes before the frame is complete."""
    return read_exactly(fd, *HEADER.unpack(read_exactly(fd, HEADER.size)))
