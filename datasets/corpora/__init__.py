"""Texts to train on: `corpora.load(name)`. What each is, how it was made and its floor stand in docs/corpora.

The generated corpora are read from files beside this module; `corpora.sources`, which wrote them, is not needed to load.
"""

import gzip
import json
from pathlib import Path

from autograder.errors import BadInput
from corpora import real
from corpora.corpus import Corpus

__all__ = ["GENERATED", "REAL", "Corpus", "load"]

GENERATED = ("tales", "snippets", "fourletters", "fourletters48")
REAL = tuple(real.FILES)
DATA = Path(__file__).with_name("data")


def load(name: str, size: int | None = None) -> Corpus:
    """The corpus of that name, from GENERATED or REAL. size: characters to train on, at most (whole documents); None: all.

    The real ones are looked for in $CORPUS_DIR, or else in a cache folder, and downloaded if they are not there.
    BadInput for a name or size that does not exist, a file that is not the expected one, or a download that fails.
    """
    if name in REAL:
        corpus = real.load(name)
    elif name in GENERATED:
        stored = json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))
        corpus = Corpus(name, tuple(stored["train"]), tuple(stored["held_out"]), stored["floor"], stored["end"])
    else:
        raise BadInput(f"there is no corpus {name!r}; there are {', '.join(GENERATED + REAL)}")
    return corpus if size is None else corpus.up_to(size)
