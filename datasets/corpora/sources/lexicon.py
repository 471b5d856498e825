"""The words of a language of tales, drawn from pools by a seed: which words there are and how likely each is.

A seed changes which words are used and which are frequent, never how many there are or how unequal their chances: every
seed gives a language of the same shape, and almost the same difficulty. Pools are prefix-free, and no word is longer than the length
written beside its pool, so that the longest document is known whatever the seed.
"""

# ruff: noqa: SIM905 - a pool reads best as a line of words

from collections.abc import Sequence

import numpy as np

from corpora.sources.grammar import LETTERS, Options

BOYS = "Tom Ben Max Sam Jack Leo Dan Tim Bob Finn Hugo Paul Otto Nick Carl Luke".split()  # at most 4 letters
GIRLS = "Ann Lily Mia Eva Sue Rose Zoe Kate Ruth Jane Emma Nora Lucy Beth Gwen Iris".split()  # 4
THINGS = "ball kite drum boat doll book hat lamp ring cup coin flag bell shell key train bike coat star watch glove sled horn robot".split()  # 5
QUALITIES = "red blue big small new shiny soft tiny pink green warm gold round nice brown white".split()  # 5
PLACES = "park garden forest school barn market river meadow castle cave yard field street harbor tower shop".split()  # 6
SPOTS = "box bag tree hole pot nest shed sack boot tent jar basket".split()  # 6
TOOLS = "glue tape wire nails rope wax string clay thread pins screws ribbon".split()  # 6
FEELINGS = "happy glad proud tired calm merry hungry sleepy quiet brave sorry shy".split()  # 6


class Lexicon:
    """The options of every pick of a tale. seed: whole numbers, as NumPy's RandomState takes them."""

    def __init__(self, seed: int | Sequence[int]):
        stream = np.random.RandomState(seed)
        self.boys, girls = _some(stream, BOYS, 6), _some(stream, GIRLS, 6)
        self.names = _ranked(_some(stream, self.boys + girls, 12))
        self.things = _ranked(_some(stream, THINGS, 12))
        self.qualities = _ranked(_some(stream, QUALITIES, 8))
        self.places = _ranked(_some(stream, PLACES, 8))
        self.spots = _ranked(_some(stream, SPOTS, 6))
        self.tools = _ranked(_some(stream, TOOLS, 6))
        self.feelings = _ranked(_some(stream, FEELINGS, 6))
        self.gets = _ranked(_some(stream, [" had a ", " found a ", " made a ", " got a "], 4))
        self.meets = _ranked(_some(stream, [" met ", " saw ", " joined "], 3))
        self.where = _ranked(_some(stream, [" in the ", " by the ", " at the "], 3))
        self.turns = _ranked(_some(stream, [" wanted", " hid", " broke"], 3))
        self.ends = _ranked(_some(stream, [" Now ", " So ", " They "], 3))
        self.letters = "".join(_some(stream, LETTERS, len(LETTERS)))  # a spelling that hides which language it was

    def subject(self, name: str) -> str:
        """The pronoun for a name at the start of a sentence."""
        return "He" if name in self.boys else "She"

    def object(self, name: str) -> str:
        """The pronoun for a name that something is done to."""
        return "him" if name in self.boys else "her"


def _some(stream: np.random.RandomState, pool: Sequence[str], count: int) -> list[str]:
    return [pool[i] for i in stream.permutation(len(pool))[:count]]


def _ranked(words: list[str]) -> Options:
    """The words with chances that fall like 1 / (rank + 2)."""
    return Options(words, [5040 // (rank + 2) for rank in range(len(words))])
