"""Two working tokenizers: one of bytes, one of characters."""

import re
from collections.abc import Iterable, Sequence


class ByteTokenizer:
    """Tokens 0 … 255 are bytes, and special texts follow.

    ValueError: a special text is empty, or stands there twice.
    """

    def __init__(self, special: Sequence[str] = ()):
        self.ids = dict(zip(special, range(256, 256 + len(special)), strict=True))
        self.vocab_size = 256 + len(special)
        if len(self.ids) != len(special) or not all(special):
            raise ValueError(f"special tokens must be different texts, none of them empty; got {list(special)}")
        self._pattern = re.compile("|".join(re.escape(s) for s in sorted(special, reverse=True)) or r"(?!)")
        self._bytes = [bytes([b]) for b in range(256)] + [s.encode() for s in special]

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The tokens of a text. Special texts become one token if `allow_special` is True."""
        tokens, end = [], 0
        for match in self._pattern.finditer(text) if allow_special else ():
            tokens += [*text[end : match.start()].encode(), self.ids[match[0]]]
            end = match.end()
        return [*tokens, *text[end:].encode()]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens. What cannot be read becomes U+FFFD."""
        known = range(self.vocab_size)
        return b"".join(self._bytes[t] if t in known else b"\xef\xbf\xbd" for t in map(int, tokens)).decode(errors="replace")


class CharTokenizer:
    """A token for each character of an alphabet.

    ValueError: the alphabet is empty, or has a character twice.
    """

    def __init__(self, alphabet: str):
        self.alphabet, self.vocab_size = alphabet, len(alphabet)
        self._ids = {c: i for i, c in enumerate(alphabet)}
        if len(self._ids) != len(alphabet) or not alphabet:
            raise ValueError(f"the alphabet must be at least one character, each of them once; got {alphabet!r}")

    @classmethod
    def of(cls, text: str) -> "CharTokenizer":
        """The tokenizer of all characters that stand in a text."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> list[int]:
        """A token for each character. ValueError: a character is outside the alphabet. The message names it and its position."""
        if odd := re.search(f"[^{re.escape(self.alphabet)}]", text):
            raise ValueError(f"{odd[0]!r} at position {odd.start()} is not in the alphabet {self.alphabet!r}")
        return list(map(self._ids.__getitem__, text))

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens. One outside the alphabet becomes U+FFFD."""
        return "".join(dict(enumerate(self.alphabet)).get(int(t), "\ufffd") for t in tokens)
