"""What a training check is measured with: text to learn from, held-out beginnings, and what exactly may follow each of them.

All of it is recorded with the golden values, so no grammar is needed where grades are given. The loss of a trained model is
taken against the exact distributions, and not against the byte with which one document happens to go on. So no luck is in
it, and the floor is the entropy of the very same beginnings. The unit is nats per byte throughout.
"""

import json
import math
import zlib
from dataclasses import dataclass

import numpy as np

from autograder.errors import GraderFault
from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Array, Leaf

VOCABULARY = 256


@dataclass(frozen=True)
class Task:
    """One training task.

    text: bytes to train on.
    prefixes: beginnings of other documents, the empty one among them.
    exact: (prefixes, 256), the distribution of the next byte after each.
    text_floor: the least mean loss on `text`.
    document_sd: standard deviation of the mean loss of one document there.
    """

    text: bytes
    prefixes: tuple[bytes, ...]
    exact: np.ndarray
    text_floor: float
    document_sd: float

    @property
    def floor(self) -> float:
        """The loss of the best predictor there is."""
        return self.loss(np.log(np.maximum(self.exact, 1e-300)))

    @property
    def unigram_loss(self) -> float:
        """The loss of how often each byte stands in the text, which needs no training."""
        counts = np.bincount(np.frombuffer(self.text, np.uint8), minlength=VOCABULARY) + 0.5
        return self.loss(np.tile(np.log(counts / counts.sum()), (len(self.prefixes), 1)))

    def loss(self, log_probabilities: np.ndarray) -> float:
        """Mean cross-entropy with the exact distributions. log_probabilities: (prefixes, 256)."""
        return float(-np.where(self.exact > 0, self.exact * log_probabilities, 0.0).sum(axis=1).mean())

    def fraction_of_gap(self, loss: float) -> float:
        """How much of the way from the unigram loss to the floor a loss has gone: 1 at the floor, 0 at the unigram loss."""
        return (self.unigram_loss - loss) / (self.unigram_loss - self.floor)

    @classmethod
    def of_text(cls, text: bytes, context: int, count: int, seed: int) -> "Task":
        """A task on text whose source nobody knows. The byte that does follow has probability 1, and the floor is 0.

        Beginnings have 1 to `context` bytes and stand anywhere in the text, so that `loss` is the training loss.
        ValueError: the text is not longer than that.
        """
        if len(text) <= context:
            raise ValueError(f"needed: more than {context} bytes of text; got {len(text)}")
        stream = np.random.RandomState(seed)
        starts, lengths = stream.randint(len(text) - context, size=count), stream.randint(1, context + 1, size=count)
        exact = np.zeros((count, VOCABULARY))
        exact[np.arange(count), [text[position] for position in starts + lengths]] = 1.0
        prefixes = tuple(text[start : start + length] for start, length in zip(starts, lengths, strict=True))
        return cls(text, prefixes, exact, text_floor=0.0, document_sd=0.0)

    def as_golden(self) -> Golden:
        """The task as golden leaves. `of` is the way back."""
        beginnings = json.dumps([prefix.decode("latin-1") for prefix in self.prefixes]).encode()
        rows, followers = np.nonzero(self.exact)
        leaves: dict[str, Leaf] = {
            "text": _compress(self.text),
            "prefixes": _compress(beginnings),
            "rows": Array("int32", rows.astype(np.int32)),
            "bytes": Array("uint8", followers.astype(np.uint8)),
            "chances": Array("float64", self.exact[rows, followers]),
            "text_floor": self.text_floor,
            "document_sd": self.document_sd,
        }
        return Golden({name: Expected(value) for name, value in leaves.items()})

    @classmethod
    def of(cls, golden: Golden) -> "Task":
        """The task in golden leaves. GraderFault: they hold none."""
        prefixes = tuple(prefix.encode("latin-1") for prefix in json.loads(_decompress(golden, "prefixes")))
        exact = np.zeros((len(prefixes), VOCABULARY))
        exact[_values(golden, "rows"), _values(golden, "bytes")] = _values(golden, "chances")
        return cls(_decompress(golden, "text"), prefixes, exact, _number(golden, "text_floor"), _number(golden, "document_sd"))


def _compress(data: bytes) -> Array:
    return Array("uint8", np.frombuffer(zlib.compress(data, 9), np.uint8))


def _decompress(golden: Golden, name: str) -> bytes:
    return zlib.decompress(_values(golden, name).tobytes())


def _values(golden: Golden, name: str) -> np.ndarray:
    leaf = golden.leaves[name].value if name in golden.leaves else None
    if not isinstance(leaf, Array):
        raise GraderFault(f"the golden values hold no training task: {name} is missing")
    return leaf.values


def _number(golden: Golden, name: str) -> float:
    leaf = golden.leaves[name].value if name in golden.leaves else None
    if not isinstance(leaf, int | float):
        raise GraderFault(f"the golden values hold no training task: {name} is missing")
    return leaf


def describe_curve(history: np.ndarray) -> str:
    """The course of a training run in a sentence. It is empty for a run without records.

    history: (records, 3) of step, loss and gradient norm.
    """
    if not len(history):
        return ""
    describe = lambda record: f"step {record[0]:.0f}: loss {record[1]:.3f}, gradient norm {record[2]:.3g}"
    nonfinite = ~np.isfinite(history).all(axis=1)
    if nonfinite.any():
        first = int(nonfinite.argmax())
        before = f" Before that, {describe(history[first - 1])}." if first else ""
        return f"The run diverges: {describe(history[first])}.{before}"
    tenth = max(1, len(history) // 10)
    begin, end = history[:tenth, 1].mean(), history[-tenth:, 1].mean()
    if end > begin - 0.05 * abs(begin):
        return f"The run stalls: {describe(history[0])}; {describe(history[-1])}."
    return f"{describe(history[0])}; {describe(history[len(history) // 2])}; {describe(history[-1])}."


def sees_its_target(task: Task, history: np.ndarray) -> str:
    """A sentence if the last fifth of the training losses lies below what any predictor can reach on that text, else "".

    A record is taken for one document of the text, which is the least that a batch can hold. With at least 8 records, 6
    standard deviations of their mean are exceeded by chance less than once in 10⁸ runs.

    history: (records, 3) of step, loss and gradient norm.
    """
    last = history[-max(8, len(history) // 5) :, 1] if len(history) >= 8 else np.array([])
    if not last.size or not np.isfinite(last).all():
        return ""
    mean, margin = float(last.mean()), 6 * task.document_sd / math.sqrt(last.size)
    if mean >= task.text_floor - margin:
        return ""
    return (
        f"training loss {mean:.3f} is below the exact floor {task.text_floor:.3f} of its text. Does the model see its target, "
        "or the same few texts again and again?"
    )
