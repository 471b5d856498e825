"""What a worker prints, kept within bounds: where it begins and where it ends. The end shows what came before a time-out."""

KEPT = 8 << 10  # bytes of the beginning, and as many of the end


class Printed:
    """Takes in any number of bytes and keeps the first and the last of them."""

    def __init__(self) -> None:
        self._head, self._tail, self._left_out = bytearray(), bytearray(), 0

    def extend(self, chunk: bytes) -> None:
        """Take what comes next."""
        room = KEPT - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        surplus = max(0, len(self._tail) - KEPT)
        del self._tail[:surplus]
        self._left_out += surplus

    def text(self) -> str:
        """What was kept, and a line that says how much was not. What is no UTF-8 becomes �."""
        between = f"\n… {self._left_out:,} bytes are left out here …\n".encode() if self._left_out else b""
        return b"".join([self._head, between, self._tail]).decode(errors="replace")
