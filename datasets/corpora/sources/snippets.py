r"""Small Python functions for the copilot: after `def name(arguments):` exactly one body is right.

A row is one function and a blank line: `def add(a, b):\n    return a + b\n\n`. The name decides what the body does, the
arguments are single letters in any order, so a model can learn both and be asked for pairs of the two that it never saw. One row is at
most LONGEST characters. Left out: values, types, docstrings, and any second way to write the same thing.
"""

from itertools import permutations

import numpy as np

from corpora.corpus import Corpus

END = "\n\n"
LONGEST = 96
LETTERS = "abcdkmpxyz"  # of arguments; i, n and s are used inside bodies
BODIES = {  # {0} and {1}, or {} in their order, stand for the letters of the arguments
    "add": "return {} + {}",
    "subtract": "return {} - {}",
    "multiply": "return {} * {}",
    "divide": "return {} / {}",
    "rest": "return {} % {}",
    "power": "return {} ** {}",
    "mean": "return ({} + {}) / 2",
    "gap": "return abs({} - {})",
    "swap": "return {1}, {0}",
    "pair": "return [{}, {}]",
    "equal": "return {} == {}",
    "larger": "if {0} > {1}:\n        return {0}\n    return {1}",
    "smaller": "if {0} < {1}:\n        return {0}\n    return {1}",
    "count": "n = 0\n    for i in {0}:\n        n += i == {1}\n    return n",
    "double": "return 2 * {}",
    "square": "return {0} * {0}",
    "total": "s = 0\n    for i in {}:\n        s += i\n    return s",
}
UNARY = {"double", "square", "total"}


def row(name: str, arguments: tuple[str, ...]) -> str:
    """The function as text, END included."""
    return f"def {name}({', '.join(arguments)}):\n    {BODIES[name].format(*arguments)}{END}"


def pairs() -> list[tuple[str, tuple[str, ...]]]:
    """Every (name, arguments) that there is."""
    return [(name, arguments) for name in BODIES for arguments in permutations(LETTERS, 1 if name in UNARY else 2)]


def corpus(seed: int = 0, held_out: float = 0.2) -> Corpus:
    """Every row once, in an order and with a share held out that the seed decides.

    Its floor depends on where one looks: a body costs 0 nats, held out or not, because it follows from its first line.
    """
    rows = [row(*pair) for pair in pairs()]
    order = np.random.RandomState(seed).permutation(len(rows))
    cut = int(len(rows) * held_out)
    return Corpus("snippets", tuple(rows[i] for i in order[cut:]), tuple(rows[i] for i in order[:cut]), end=END)
