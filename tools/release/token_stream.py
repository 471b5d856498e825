"""Text of any kind as one stream of words and signs, in which how it is set and where it stands makes no difference.

Line breaks, brackets for grouping, quotation marks and comment signs are no tokens. So code in a comment, a string, prose
or a notebook reads as it does in a program. Names can be compared as they are or by their places alone.
"""

import contextlib
import itertools
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from keyword import kwlist

_TOKEN = re.compile(r"\d[\w.]*(?:(?<=[eE])[-+]\d+)?|\w+|\*\*|//|->|[-+*/<>=!:]=|[^\w\s]")
_SILENT = re.compile(r"\\[nrt]|\\|[\"'`#;$]|\b[rbfu]{1,2}(?=[\"'])", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#(?=\s).*$", re.MULTILINE)
_QUOTES = ('"', "'")
_KEYWORDS = frozenset(kwlist)


@dataclass
class Stream:
    """Tokens of a text. lines: where each stands, from 1; keys: the tokens, with names told apart by what they are for.

    In f(device=device) and self.mask = mask one of the two can be renamed without the other.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    lines: tuple[int, ...]
    breaks: frozenset[int] = frozenset()  # places that no code run spans: a name after a name is prose

    def code_starts(self, length: int) -> Iterator[int]:
        """Where a window of this length begins that is code throughout."""
        stops = [0, *sorted(self.breaks), len(self.words)]
        for first, last in itertools.pairwise(stops):
            yield from range(first, last - length + 1)

    @cached_property
    def shape(self) -> tuple[str, ...]:
        """The tokens with every name as "_", which comes before any comparison of names with each other."""
        return tuple("_" if is_name(word) else word for word in self.words)

    def renamed(self, start: int, length: int) -> tuple:
        """A window whose names are numbers in order of their first use: equal for texts that differ in names alone."""
        order: dict[str, int] = {}
        window = zip(self.words[start : start + length], self.keys[start : start + length], strict=True)
        return tuple(order.setdefault(key, len(order)) if is_name(word) else word for word, key in window)


def is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and word not in _KEYWORDS


def stream(text: str) -> Stream:
    """Words and signs, without what a formatter, a comment sign or quotation marks change."""
    text = unicodedata.normalize("NFKC", text).replace("\u200b", "")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    plain = _SILENT.sub(lambda match: " " * len(match[0]), text)
    words, keys, lines, breaks = [], [], [], set()
    depth: list[bool] = []  # for every bracket that is open, whether it is one of a call
    for match in _TOKEN.finditer(plain):
        word, line = _number(match[0]), bisect_right(starts, match.start())
        same_line = bool(lines) and lines[-1] == line
        if word == "(":
            depth.append(same_line and (is_name(words[-1]) or words[-1] in ")]"))
            if not depth[-1]:
                continue  # grouping: formatters add and take it
        elif word == ")" and depth and not depth.pop():
            continue
        if word in (")", "]", "}") and words and words[-1] == ",":
            words.pop(), keys.pop(), lines.pop()
        if same_line and is_name(word) and is_name(words[-1]):
            breaks.add(len(words))
        if word == "=" and words and depth and depth[-1]:
            keys[-1] = f"={words[-1]}"
        keys.append(_role(text, match, words) + word)
        words.append(word)
        lines.append(line)
    return Stream(tuple(words), tuple(keys), tuple(lines), frozenset(breaks))


def _number(word: str) -> str:
    """A number as Python prints it: 10_000.0 and 1e4 are one."""
    with contextlib.suppress(ValueError):
        return repr(float(word)) if word[0].isdigit() else word
    return word  # 0x1f, 3rd


def _role(text: str, match: re.Match, words: list[str]) -> str:
    """What tells a name from one that is written alike: an attribute, a string of one word."""
    quoted = text[match.start() - 1 : match.start()] in _QUOTES and text[match.end() : match.end() + 2].strip("\\")[:1] in _QUOTES
    return "." if words and words[-1] == "." else '"' if quoted else ""


def streams(text: str) -> Iterator[Stream]:
    """The text as it stands, and without comments if it has any: they can be dropped, and put between the lines of a solution."""
    yield stream(text)
    bare = _COMMENT.sub("", text)
    if bare != text:
        yield stream(bare)
