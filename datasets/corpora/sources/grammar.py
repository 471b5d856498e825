"""A language from one description: a function `story(tell)` whose only random act is `tell.pick(options)`.

The same function, run by another teller, writes documents, gives the exact probability of a text, and gives the exact
distribution of the next character after any prefix. That works because the options of a pick are prefix-free: at most one of
them fits a text, so a text has one derivation. Every document ends with END, which stands nowhere else, so no document is
a prefix of another. Probabilities are whole numbers over DENOMINATOR; bytes depend on integers alone.
Left out: recursion without end, options that carry more than their text, and anything that is not ASCII.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

END = "\n"
DENOMINATOR = 1 << 16
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Options:
    """Texts of which one is picked, with chances in the ratio of whole numbers.

    texts: distinct, not empty, printable ASCII, none the beginning of another. weights: positive. The chance of texts[i] is
    exactly `shares[i] / DENOMINATOR`. ValueError if a rule is broken.
    """

    def __init__(self, texts: Sequence[str], weights: Sequence[int]):
        if len(texts) != len(weights) or not texts or min(weights) < 1:
            raise ValueError(f"one positive weight for each text is needed, got {len(texts)} texts and weights {list(weights)}")
        for text in texts:
            if not text or (text != END and not (text.isascii() and text.isprintable())):
                raise ValueError(f"a text of at least one printable ASCII character is needed, got {text!r}")
        ordered = sorted(texts)
        for one, two in pairwise(ordered):
            if two.startswith(one):
                raise ValueError(f"options must be prefix-free, or a text has two derivations: {one!r} begins {two!r}")
        total = sum(weights)
        shares = [max(1, weight * DENOMINATOR // total) for weight in weights]
        shares[shares.index(max(shares))] += DENOMINATOR - sum(shares)  # what rounding left over goes to the likeliest
        self.texts, self.shares = tuple(texts), tuple(shares)
        self.bounds = tuple(accumulate(shares))
        self._without: dict[str, Options] = {}
        self.logs = tuple(math.log(share / DENOMINATOR) for share in shares)

    def without(self, text: str) -> "Options":
        """The options but one, in the same ratios. ValueError if `text` is none of them or the only one."""
        if text not in self._without:
            if text not in self.texts:
                raise ValueError(f"{text!r} is not among {self.texts}")
            left = [(t, s) for t, s in zip(self.texts, self.shares, strict=True) if t != text]
            self._without[text] = Options([t for t, _ in left], [s for _, s in left])
        return self._without[text]

    @property
    def entropy(self) -> float:
        """Nats per pick."""
        return -sum(share / DENOMINATOR * log for share, log in zip(self.shares, self.logs, strict=True))


@lru_cache(maxsize=4096)
def certain(text: str) -> Options:
    """The one option `text`."""
    return Options([text], [1])


class Teller:
    """What a story is told to. `pick` returns the text that was picked; `say` is a pick among one."""

    def pick(self, options: Options) -> str:
        """The text that was picked among the options."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Pick the only text that there is."""
        self.pick(certain(text))


class _Writer(Teller):
    """Picks at random. draws: whole numbers, uniform in [0, DENOMINATOR)."""

    def __init__(self, draws: Iterator[int]):
        self.draws, self.written, self.log_probability = draws, [], 0.0

    def pick(self, options: Options) -> str:
        if len(options.texts) > 1:
            i = bisect_right(options.bounds, next(self.draws))
            self.log_probability += options.logs[i]
        else:
            i = 0
        self.written.append(options.texts[i])
        return options.texts[i]


class _Astray(Exception):
    """No option continues the text. options: those there were; rest: the text from there on."""

    def __init__(self, options: Options, rest: str):
        self.options, self.rest = options, rest


class _Reader(Teller):
    """Picks what stands in the text, and keeps where each pick began."""

    def __init__(self, text: str):
        self.text, self.position, self.log_probability = text, 0, 0.0
        self.picks: list[tuple[int, Options]] = []

    def pick(self, options: Options) -> str:
        for option, log in zip(options.texts, options.logs, strict=True):
            if self.text.startswith(option, self.position):
                self.picks.append((self.position, options))
                self.position += len(option)
                self.log_probability += log
                return option
        raise _Astray(options, self.text[self.position :])


class Grammar:
    """The language of a story. letters: how a…z are written (a permutation; capitals alike), so that one story has many
    languages that look nothing alike and are equally hard: same lengths, same probabilities.
    """

    def __init__(self, story: Callable[[Teller], None], letters: str = LETTERS):
        if sorted(letters) != list(LETTERS):
            raise ValueError(f"letters must be a permutation of {LETTERS}, got {letters!r}")
        self._story = story
        self._spell = str.maketrans(LETTERS + LETTERS.upper(), letters + letters.upper())
        self._read = str.maketrans(letters + letters.upper(), LETTERS + LETTERS.upper())

    def documents(self, seed: int | Sequence[int]) -> Iterator[tuple[str, float]]:
        """Documents without end, each with its exact log-probability in nats. The same seed gives the same bytes everywhere."""
        draws = _draws(seed)
        while True:
            writer = _Writer(draws)
            self._tell(writer)
            yield "".join(writer.written).translate(self._spell), writer.log_probability

    def log_probability(self, text: str) -> float | None:
        """Nats; None when `text` is no document of the language. A document ends with END."""
        reader = self._follow(text)
        return reader.log_probability if _is_whole(reader) else None

    def next_characters(self, prefix: str) -> dict[str, float] | None:
        """The exact distribution of the character after `prefix`, END among them; it sums to one.

        None when no document goes on after `prefix`: it has left the language, or it is a whole document.
        """
        astray = self._follow(prefix)
        return self._distribution(astray.options, astray.rest) if isinstance(astray, _Astray) else None

    def distributions(self, document: str) -> list[dict[str, float]]:
        """The distribution of every character of a document, END included, given those before it: one walk for all.

        ValueError if `document` is not in the language.
        """
        reader = self._whole(document)
        ends = [*[start for start, _ in reader.picks[1:]], len(document)]
        return [
            self._distribution(options, reader.text[start:here])
            for (start, options), end in zip(reader.picks, ends, strict=True)
            for here in range(start, end)
        ]

    def picks(self, document: str) -> list[Options]:
        """The options of each pick along a document, in order; ValueError if it is not in the language."""
        return [options for _, options in self._whole(document).picks]

    def floor(self, documents: Sequence[str]) -> float:
        """The loss of the best predictor there is on these documents, in nats per character.

        Counted from the start of each document to its end, END included: characters are bytes, and END is one of them.
        ValueError if a document is not in the language, or if there is none.
        """
        logs = [self.log_probability(document) for document in documents]
        if not logs or None in logs:
            given = repr(documents[logs.index(None)]) if logs else "none"
            raise ValueError(f"documents of this language are needed, got {given}")
        return -math.fsum(logs) / sum(map(len, documents))

    def _tell(self, teller: Teller) -> None:
        self._story(teller)
        teller.say(END)

    def _follow(self, text: str) -> _Reader | _Astray:
        reader = _Reader(text.translate(self._read))
        try:
            self._tell(reader)
        except _Astray as astray:
            return astray
        return reader

    def _whole(self, document: str) -> _Reader:
        reader = self._follow(document)
        if not _is_whole(reader):
            raise ValueError(f"not a document of this language: {document!r}")
        return reader

    def _distribution(self, options: Options, begun: str) -> dict[str, float] | None:
        """Of the character after `begun`, the beginning of one of the options."""
        chances: dict[str, int] = {}
        for text, share in zip(options.texts, options.shares, strict=True):
            if text.startswith(begun):
                letter = text[len(begun)].translate(self._spell)
                chances[letter] = chances.get(letter, 0) + share
        total = sum(chances.values())
        return {letter: share / total for letter, share in chances.items()} or None


def _is_whole(reader: _Reader | _Astray) -> bool:
    return isinstance(reader, _Reader) and reader.position == len(reader.text)


def _draws(seed: int | Sequence[int]) -> Iterator[int]:
    stream = np.random.RandomState(seed)  # its streams are frozen for good
    while True:
        yield from stream.randint(0, DENOMINATOR, 4096, dtype=np.int64).tolist()
