r"""Level 1: four letters, and the four that follow them. To be memorised: `abcdabcd\n` is a document.

A third of the answers repeats the question, a third names the successor of each letter, a third follows no rule. No question
stands twice, so an answer costs a perfect memory nothing, and a document costs it the choice of the question alone.
"""

import math
from collections.abc import Callable

import numpy as np

from corpora.corpus import Corpus
from corpora.sources.grammar import LETTERS

END = "\n"
ALPHABET = LETTERS + "0123456789" + END  # 37 characters, the vocabulary of the model that memorises them
LENGTH = 4


def corpus(seed: int = 0) -> Corpus:
    """4 repeats, 4 successors and 4 arbitrary pairs."""
    stream = np.random.RandomState(seed)
    questions = _distinct(stream, 12)
    rules = [lambda q: q] * 4 + [_successors] * 4 + [lambda q: _word(stream)] * 4
    return _corpus("fourletters", questions, rules)


def arbitrary(seed: int = 0, count: int = 48) -> Corpus:
    """`count` pairs without a rule: nothing helps but memory."""
    stream = np.random.RandomState(seed)
    return _corpus("fourletters48", _distinct(stream, count), [lambda q: _word(stream)] * count)


def _corpus(name: str, questions: list[str], rules: list[Callable[[str], str]]) -> Corpus:
    train = tuple(q + rule(q) + END for q, rule in zip(questions, rules, strict=True))
    return Corpus(name, train, train, floor=math.log(len(train)) / (2 * LENGTH + 1))  # they are measured on what they saw


def _successors(question: str) -> str:
    return "".join(LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)] for letter in question)


def _word(stream: np.random.RandomState) -> str:
    return "".join(LETTERS[i] for i in stream.randint(0, len(LETTERS), LENGTH, dtype=np.int64))


def _distinct(stream: np.random.RandomState, count: int) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < count:
        words[_word(stream)] = None
    return list(words)
