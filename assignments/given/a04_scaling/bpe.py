"""Byte-pair encoding: merges are counted with NumPy, and tiktoken encodes."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import regex
import tiktoken

Pair = tuple[int, int]

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
FORMAT = "byte pairs, 1"


def split_special(text: str, special: Iterable[str]) -> list[str]:
    """The text cut at special texts: ordinary segments and special ones, alternately."""
    segments, end = [], 0
    for found in re.finditer("|".join(map(re.escape, sorted(special, key=len)[::-1])) or "(?!)", text):
        segments += [text[end : found.start()], found[0]]
        end = found.end()
    return [*segments, text[end:]]


def count_pretokens(texts: Iterable[str], special: Sequence[str] = (), pattern: str = PATTERN) -> Counter[bytes]:
    """How often each pre-token stands in the texts, as UTF-8."""
    cut = regex.compile(pattern)
    ordinary = (segment for text in texts for segment in split_special(text, special)[::2])
    found = Counter(chain.from_iterable(map(cut.findall, ordinary)))
    return Counter(dict(zip((text.encode("utf-8") for text in found), found.values(), strict=True)))


def _starts(row: np.ndarray, pair: Pair) -> np.ndarray:
    """Where the pair begins, from the left and without overlap."""
    hits = np.flatnonzero((row[:-1] == pair[0]) & (row[1:] == pair[1]))
    if pair[0] != pair[1] or len(hits) == 0:
        return hits
    run = np.cumsum(np.diff(hits, prepend=hits[0]) != 1)  # hits in a row belong to one run, of which every other one counts
    first = np.searchsorted(run, run)
    return hits[(np.arange(len(hits)) - first) % 2 == 0]


def _merged(row: np.ndarray, pair: Pair, new: int) -> tuple[np.ndarray, np.ndarray]:
    """The row after a merge, and which positions of the old one are gone."""
    at = _starts(row, pair)
    changed = row.copy()
    changed[at] = new
    return np.delete(changed, at + 1), at + 1


def merge(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """`ids` with every occurrence of the pair replaced by `new`, from the left."""
    return _merged(np.array(ids, np.int64), pair, new)[0].tolist()


def train_merges(words: Mapping[bytes, int], n_merges: int) -> list[Pair]:
    """The first n_merges merges. Of the most frequent pairs the lowest is merged each time.

    All words are in one row with -1 between them. Each merge is a few passes of NumPy over it.
    """
    row = np.array([token for word in words for token in (*word, -1)], np.int64)
    weight = np.repeat(np.array(list(words.values()), np.int64), [len(word) + 1 for word in words])
    found: list[Pair] = []
    while len(found) < n_merges:
        inside = (row[:-1] >= 0) & (row[1:] >= 0)
        keys, group = np.unique(row[:-1][inside] << 32 | row[1:][inside], return_inverse=True)
        if not len(keys):
            break
        best = int(keys[np.bincount(group, weight[:-1][inside]).argmax()])  # the first of equal ones, and keys are sorted
        found.append((best >> 32, best & 0xFFFFFFFF))
        row, gone = _merged(row, found[-1], 255 + len(found))
        weight = np.delete(weight, gone)
    return found


class Tokenizer:
    """tiktoken.Encoding with these merges.

    ValueError: a merge names a token that does not exist yet, or stands there twice.
    ValueError: a special text is empty, or stands there twice.
    """

    def __init__(self, merges: Sequence[Pair], special: Sequence[str] = (), pattern: str = PATTERN):
        self.merges, self.special, self.pattern = list(map(tuple, merges)), list(special), pattern
        if len(set(self.special) - {""}) != len(self.special):
            raise ValueError(f"special tokens must be different texts, none of them empty; got {self.special}")
        self.order = dict(zip(self.merges, range(len(self.merges)), strict=True))
        if len(self.order) != len(self.merges):
            raise ValueError("each pair is merged once; one stands there twice")
        self.token_bytes = [bytes([b]) for b in range(256)]
        for pair in self.merges:
            if not 0 <= min(pair) <= max(pair) < len(self.token_bytes):
                raise ValueError(f"merge {len(self.token_bytes) - 256} names a token that is not there yet: {pair}")
            self.token_bytes.append(b"".join(self.token_bytes[token] for token in pair))
        self._encoding = tiktoken.Encoding("given", pat_str=pattern, mergeable_ranks=self.ranks(), special_tokens={})
        self.ids = {text: number for number, text in enumerate(self.special, 256 + len(self.merges))}
        self.token_bytes.extend(text.encode() for text in self.special)
        self.vocab_size = 256 + len(self.merges) + len(self.special)

    def encode_word(self, word: bytes) -> list[int]:
        """The tokens of one pre-token."""
        return self._encoding._encode_single_piece(word) if word else []

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The tokens of a text.

        allow_special: whether special texts become their one token.
        ValueError: the text has half a surrogate pair (UnicodeEncodeError).
        """
        text.encode("utf-8")  # raises for what has no UTF-8, which tiktoken would replace
        if not allow_special:
            return self._encoding.encode_ordinary(text)
        each = zip(split_special(text, self.special), cycle((self._encoding.encode_ordinary, lambda name: [self.ids[name]])))
        return list(chain.from_iterable(tokens_of(segment) for segment, tokens_of in each))

    def settled(self, text: str, allow_special: bool = False) -> int:
        """How many characters from the left are cut in the same way, whatever text follows."""
        special = self.special if allow_special else []
        horizon = max(0, len(text) - max(map(len, special), default=1) + 1)
        start = end = 0
        for index, segment in enumerate(split_special(text, special)):
            end += len(segment)
            start = end if index % 2 and end - len(segment) < horizon else start
        found = list(regex.finditer(self.pattern, text, pos=start, endpos=horizon))
        for number in range(len(found) - 3, -1, -1):
            if not number or not (found[number - 1][0][-1] + found[number][0]).isspace():  # alone, two of space would be one
                return found[number].end()
        return start

    def encode_chunks(self, chunks: Iterable[str], allow_special: bool = False) -> Iterator[int]:
        """The tokens of the joined chunks, one by one, exactly those of `encode`."""
        open_end = ""
        for chunk in chain(chunks, [None]):
            open_end += chunk or ""
            cut = len(open_end) if chunk is None else self.settled(open_end, allow_special)
            yield from self.encode(open_end[:cut], allow_special)
            open_end = open_end[cut:]

    def encode_file(self, path: Path | str, allow_special: bool = False, chunk_size: int = 2**16) -> Iterator[int]:
        """The tokens of a UTF-8 file, read `chunk_size` characters at a time.

        ValueError: the file is no UTF-8 (UnicodeDecodeError).
        """

        def chunks() -> Iterator[str]:
            with open(path, encoding="utf-8", newline="") as source:  # noqa: PTH123
                while chunk := source.read(chunk_size):
                    yield chunk

        return self.encode_chunks(chunks(), allow_special)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens. It never fails: what is no UTF-8 or no token becomes U+FFFD."""
        table = dict(enumerate(self.token_bytes))
        return b"".join([table.get(int(token), b"\xef\xbf\xbd") for token in tokens]).decode(errors="replace")

    def ranks(self) -> dict[bytes, int]:
        """The number of each token that is not special, by its bytes."""
        return dict(zip(self.token_bytes, range(256 + len(self.merges)), strict=False))

    def save(self, path: Path | str) -> None:
        """Write everything that `load` needs into one JSON file."""
        with Path(path).open("w", encoding="utf-8") as file:
            json.dump({"merges": self.merges, "special": self.special, "pattern": self.pattern, "format": FORMAT}, file)

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """The tokenizer that `save` wrote.

        ValueError: the file holds something else. The message names the file.
        """
        text = Path(path).read_bytes()
        try:
            match json.loads(text):
                case {"format": known, "merges": list(merges), "special": list(special), "pattern": str(pattern)} if (
                    known == FORMAT
                ):
                    return cls(merges, special, pattern)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} holds no tokenizer: {error}") from error
        raise ValueError(f"{path} holds no tokenizer of the format {FORMAT!r}")


def train(texts: Iterable[str], vocab_size: int, special: Sequence[str] = (), pattern: str = PATTERN) -> Tokenizer:
    """A tokenizer of vocab_size tokens that is trained on these texts. It has fewer tokens if no pair is left.

    ValueError: vocab_size has no room for the bytes and the special tokens.
    """
    if (room := vocab_size - len(special) - 256) < 0:
        raise ValueError(f"vocab_size must be at least {256 + len(special)}; got {vocab_size}")
    words = count_pretokens(texts, special=special, pattern=pattern)
    return Tokenizer(merges=train_merges(words, room), special=special, pattern=pattern)
