"""What a corpus is once it is loaded: documents to train on, others to measure with, and the best loss there is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from autograder.errors import BadInput


@dataclass(frozen=True)
class Corpus:
    """train, held_out: documents; each ends with `end`, which stands nowhere else in it.

    floor: the loss of the best predictor there is on the held-out documents, in nats per character, `end` included, each
    document read from its start; None where nobody knows it (real text) or where it is another for each part of a document.
    """

    name: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    floor: float | None = None
    end: str = "\n"

    @property
    def text(self) -> str:
        """The documents to train on, one after the other."""
        return "".join(self.train)

    @property
    def held_out_text(self) -> str:
        """The documents to evaluate on, one after another."""
        return "".join(self.held_out)

    @property
    def longest(self) -> int:
        """Characters of the longest document, `end` included."""
        return max(map(len, self.train + self.held_out))

    def up_to(self, size: int) -> "Corpus":
        """The same with only as many documents to train on as fit into `size` characters, and all the held-out ones.

        BadInput if there are fewer characters than that, or if not even the first document fits.
        """
        there = sum(map(len, self.train))
        if not len(self.train[0]) <= size <= there:
            raise BadInput(
                f"{self.name} can be cut to {len(self.train[0])} up to {there:,} characters; got size={size:,}. "
                "More is written by the module of that name in corpora.sources, where it has one"
            )
        return replace(self, train=tuple(fitting(self.train, size)))


def fitting(documents: Iterable[str], size: int) -> list[str]:
    """The first documents, as many as fit into `size` characters; a larger size begins with those of a smaller one."""
    taken, used = [], 0
    for document in documents:
        used += len(document)
        if used > size:
            break
        taken.append(document)
    return taken
