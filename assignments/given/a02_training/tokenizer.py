"""Working tokenizers of bytes and of characters."""

import re
from collections.abc import Iterable, Sequence


class ByteTokenizer:
    """Bytes are 0 … 255, special texts follow."""

    def __init__(self, special: Sequence[str] = ()):
        self.ids = dict(zip(special, range(256, 256 + len(special)), strict=True))
        self.vocab_size = 256 + len(special)
        if len(self.ids) != len(special) or not all(special):
            raise ValueError(f"special tokens must be different texts, none of them empty; got {list(special)}")
        self._pattern = re.compile("|".join(re.escape(s) for s in sorted(special, reverse=True)) or r"(?!)")
        self._bytes = [bytes([b]) for b in range(256)] + [s.encode() for s in special]

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Bytes; special texts as one token if allowed."""
        found, end = [], 0
        for match in self._pattern.finditer(text) if allow_special else ():
            found += [*text[end : match.start()].encode(), self.ids[match[0]]]
            end = match.end()
        return [*found, *text[end:].encode()]

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of any tokens; what cannot be read is U+FFFD."""
        known = range(self.vocab_size)
        return b"".join(self._bytes[t] if t in known else b"\xef\xbf\xbd" for t in map(int, tokens)).decode(errors="replace")


class CharTokenizer:
    """A token for each character of an alphabet."""

    def __init__(self, alphabet: str):
        self.alphabet, self.vocab_size = alphabet, len(alphabet)
        self._ids = {c: i for i, c in enumerate(alphabet)}
        if len(self._ids) != len(alphabet) or not alphabet:
            raise ValueError(f"the alphabet must be at least one character, each of them once; got {alphabet!r}")

    @classmethod
    def of(cls, text: str) -> "CharTokenizer":
        """Of all characters in a text."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> list[int]:
        """Tokens; ValueError for a character outside the alphabet."""
        if odd := re.search(f"[^{re.escape(self.alphabet)}]", text):
            raise ValueError(f"{odd[0]!r} at place {odd.start()} is not in the alphabet {self.alphabet!r}")
        return list(map(self._ids.__getitem__, text))

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of any tokens."""
        return "".join(dict(enumerate(self.alphabet)).get(int(t), "\ufffd") for t in tokens)
