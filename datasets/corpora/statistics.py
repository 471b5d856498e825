"""How far counting gets: the entropy of a character given the ones before it, n-gram by n-gram."""

import math
from collections import Counter
from collections.abc import Sequence


def entropies(documents: Sequence[str], longest: int = 6) -> list[float]:
    """Nats per character of an n-gram table for n = 1 … `longest`, counted and measured on the same documents.

    n = 1 looks at nothing, n = 2 at the character before, and so on; a context never reaches over the start of its document.
    These are estimates from below: a table that has seen few examples of a context is too sure of it.
    """
    if not documents or longest < 1:
        raise ValueError(f"documents and a length of at least 1 are needed, got {len(documents)} documents and {longest}")
    return [_entropy(documents, n - 1) for n in range(1, longest + 1)]


def _entropy(documents: Sequence[str], width: int) -> float:
    pairs = Counter((text[max(0, i - width) : i], text[i]) for text in documents for i in range(len(text)))
    contexts: Counter[str] = Counter()
    for (context, _), count in pairs.items():
        contexts[context] += count
    return -math.fsum(count * math.log(count / contexts[context]) for (context, _), count in pairs.items()) / contexts.total()
