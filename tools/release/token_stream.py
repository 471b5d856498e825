"""Text of any kind as one stream of words and signs, in which layout and place make no difference.

Line breaks, brackets for grouping, quotation marks and comment signs are no tokens. So code in a comment, a string, prose
or a notebook reads as it does in a program. Names can be compared as they are, or by their places alone.
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
    """The tokens of a text.

    words: the tokens.
    keys: the tokens, marked where names that are written alike can be renamed apart: f(device=device), self.mask = mask.
    lines: the line of each token, from 1.
    breaks: places that no run of code spans, because a name after a name is prose.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    lines: tuple[int, ...]
    breaks: frozenset[int] = frozenset()

    def code_starts(self, length: int) -> Iterator[int]:
        """Where a window of this length begins that holds no break."""
        stops = [0, *sorted(self.breaks), len(self.words)]
        for first, last in itertools.pairwise(stops):
            yield from range(first, last - length + 1)

    @cached_property
    def shape(self) -> tuple[str, ...]:
        """The tokens with "_" for every name. Comparing them first is quick."""
        return tuple("_" if is_name(word) else word for word in self.words)

    def renamed(self, start: int, length: int) -> tuple:
        """A window with a number for every name, in the order of first use. Texts that differ only in names give the same."""
        order: dict[str, int] = {}
        window = zip(self.words[start : start + length], self.keys[start : start + length], strict=True)
        return tuple(order.setdefault(key, len(order)) if is_name(word) else word for word, key in window)


def is_name(word: str) -> bool:
    """Whether a token is a name, and no keyword, number or sign."""
    return (word[0].isalpha() or word[0] == "_") and word not in _KEYWORDS


def stream(text: str) -> Stream:
    """Words and signs, without what a formatter, a comment sign or quotation marks change."""
    text = unicodedata.normalize("NFKC", text).replace("\u200b", "")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    plain = _SILENT.sub(lambda match: " " * len(match[0]), text)
    words: list[str] = []
    keys: list[str] = []
    lines: list[int] = []
    breaks: set[int] = set()
    depth: list[bool] = []  # for every bracket that is open, whether it is that of a call
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
    """A number as Python prints it, so that 10_000.0 and 1e4 are the same. Any other word stays as it is."""
    with contextlib.suppress(ValueError):
        return repr(float(word)) if word[0].isdigit() else word
    return word  # 0x1f, 3rd


def _role(text: str, match: re.Match, words: list[str]) -> str:
    """A mark for a name that is an attribute or a string of one word. Empty for any other token."""
    quoted = text[match.start() - 1 : match.start()] in _QUOTES and text[match.end() : match.end() + 2].strip("\\")[:1] in _QUOTES
    return "." if words and words[-1] == "." else '"' if quoted else ""


def streams(text: str) -> Iterator[Stream]:
    """The text as it stands. If it has comments, also the text without them, because they can hide or split a solution."""
    yield stream(text)
    bare = _COMMENT.sub("", text)
    if bare != text:
        yield stream(bare)
