"""A training check's yardstick: text to learn from, held-out beginnings, and what exactly may follow each of them.

All of it is recorded with the golden values, so no grammar is needed where grades are given. The loss of a trained model is
taken against the exact distributions, not against what one document happens to go on with: no luck is in it, and the
floor is the entropy of the very same beginnings. Nats per byte throughout.
"""

import json
import math
import zlib
from dataclasses import dataclass

import numpy as np

from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Array

VOCABULARY = 256


@dataclass(frozen=True)
class Task:
    """text: bytes to train on. prefixes: beginnings of other documents, the empty one among them. exact: (prefixes, 256), the
    distribution of the next byte. text_floor: the least mean loss on `text`; batch_sd: of the mean loss of one document there.
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
        """Mean cross-entropy with the exact distributions; log_probabilities: (prefixes, 256)."""
        return float(-np.where(self.exact > 0, self.exact * log_probabilities, 0.0).sum(axis=1).mean())

    def fraction_of_gap(self, loss: float) -> float:
        """How much of the way from the ceiling to the floor a loss has gone: 1 at the floor, negative above the ceiling."""
        return (self.unigram_loss - loss) / (self.unigram_loss - self.floor)

    @classmethod
    def of_text(cls, text: bytes, context: int, count: int, seed: int) -> "Task":
        """A task on text whose source nobody knows: all the chance lies on the byte that does follow, and the floor is 0.

        Beginnings have 1 to `context` bytes and stand anywhere in the text, so that `loss` is the training loss.
        ValueError if the text is not longer than that.
        """
        if len(text) <= context:
            raise ValueError(f"needed: more than {context} bytes of text; got {len(text)}")
        stream = np.random.RandomState(seed)
        starts, lengths = stream.randint(len(text) - context, size=count), stream.randint(1, context + 1, size=count)
        exact = np.zeros((count, VOCABULARY))
        exact[np.arange(count), [text[place] for place in starts + lengths]] = 1.0
        prefixes = tuple(text[start : start + length] for start, length in zip(starts, lengths, strict=True))
        return cls(text, prefixes, exact, text_floor=0.0, document_sd=0.0)

    def as_golden(self) -> Golden:
        """The task as golden leaves; `of` is the way back."""
        packed = lambda data: Array("uint8", np.frombuffer(zlib.compress(data, 9), np.uint8))
        beginnings = json.dumps([p.decode("latin-1") for p in self.prefixes]).encode()
        rows, bytes_ = np.nonzero(self.exact)
        leaves = {
            "text": packed(self.text),
            "prefixes": packed(beginnings),
            "rows": Array("int32", rows.astype(np.int32)),
            "bytes": Array("uint8", bytes_.astype(np.uint8)),
            "chances": Array("float64", self.exact[rows, bytes_]),
            "text_floor": self.text_floor,
            "document_sd": self.document_sd,
        }
        return Golden({name: Expected(value) for name, value in leaves.items()})

    @classmethod
    def of(cls, golden: Golden) -> "Task":
        leaf = {name: expected.value for name, expected in golden.leaves.items()}
        unpacked = lambda name: zlib.decompress(leaf[name].values.tobytes())
        prefixes = tuple(p.encode("latin-1") for p in json.loads(unpacked("prefixes")))
        exact = np.zeros((len(prefixes), VOCABULARY))
        exact[leaf["rows"].values, leaf["bytes"].values] = leaf["chances"].values
        return cls(unpacked("text"), prefixes, exact, leaf["text_floor"], leaf["document_sd"])


def describe_curve(history: np.ndarray) -> str:
    """The course of a training run in a sentence. history: (records, 3) of step, loss and gradient norm."""
    if not len(history):
        return ""
    odd = ~np.isfinite(history).all(axis=1)
    told = lambda row: f"step {row[0]:.0f}: loss {row[1]:.3f}, gradient norm {row[2]:.3g}"
    if odd.any():
        first = int(odd.argmax())
        before = f" Before that, {told(history[first - 1])}." if first else ""
        return f"The run diverges: {told(history[first])}.{before}"
    tenth = max(1, len(history) // 10)
    begin, end = history[:tenth, 1].mean(), history[-tenth:, 1].mean()
    if end > begin - 0.05 * abs(begin):
        return f"The run stalls: {told(history[0])}; {told(history[-1])}."
    return f"{told(history[0])}; {told(history[len(history) // 2])}; {told(history[-1])}."


def sees_its_target(task: Task, history: np.ndarray) -> str:
    """A sentence if the last fifth of the training losses lies below what any predictor can reach on that text; else "".

    A record is taken for one document of the text, the least that a batch can hold: with at least 8 records, 6 standard
    deviations of their mean are exceeded by chance less than once in 10⁸ runs.
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
