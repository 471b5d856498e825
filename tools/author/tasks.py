"""The tasks of training checks. They are made from corpora whose exact distributions are known, and recorded with the golden values."""

import importlib

import numpy as np

from autograder.judge.task import VOCABULARY, Task
from autograder.judge.training import TrainsTo


def task_of(judge: TrainsTo, seed: int) -> Task:
    """The text to train on, beginnings of held-out documents, and the exact distribution of the next byte after each.

    judge: says which corpus, with which options, and how many beginnings.
    seed: of the places at which documents are cut.
    ModuleNotFoundError: there is no such corpus.
    """
    [(name, options)] = judge.corpus.items()
    source = importlib.import_module(f"corpora.sources.{name}")
    corpus = source.corpus(**options)
    grammar = source.language(**{key: options[key] for key in ("seed", "disguised") if key in options})
    stream = np.random.RandomState(seed)
    prefixes, exact = [], np.zeros((judge.prefixes, VOCABULARY))
    for row in range(judge.prefixes):
        document = corpus.held_out[stream.randint(len(corpus.held_out))]
        prefix = document[: stream.randint(len(document))]
        prefixes.append(prefix.encode("ascii"))
        for letter, prob in grammar.next_characters(prefix).items():
            exact[row, ord(letter)] = prob
    losses = np.array([-grammar.log_probability(document) / len(document) for document in corpus.train[:2000]])
    return Task(corpus.text.encode("ascii"), tuple(prefixes), exact, grammar.floor(corpus.train[:2000]), float(losses.std()))
