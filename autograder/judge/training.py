"""Judges of what a check has trained."""

from collections.abc import Callable

import numpy as np

from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch, describe_type
from autograder.judge.task import VOCABULARY, Task, describe_curve, sees_its_target
from autograder.observation.golden import Golden
from autograder.observation.leaf import Array, Observation


class TrainsTo(Judge):
    """Held-out loss of what the check has trained, as a share of the way from the unigram loss to the exact floor.

    The check is called as check(solution, draw, text) with the bytes to train on, and returns {"state": state dict,
    "history": (records, 3) of step, loss, gradient norm}. `predict(solution, draw, state, prefixes)` gets that state in another
    worker, and returns {"log_probs": (prefixes, 256)}; it never sees what follows. share: for full points; the comment
    beside it states seeds, mean, deviation and the chance that right code fails. corpus: what `tools golden` makes the text
    from, {"tales": {"seed": 3, "size": 400_000}}; a hidden check has a seed of its own.
    """

    mode = "train"

    def __init__(self, predict: Callable, share: float, corpus: dict[str, dict], prefixes: int = 512):
        self.predict, self.share, self.corpus, self.prefixes = predict, share, corpus, prefixes

    def compare(self, observation: Observation, golden: Golden, factor: float = 1.0) -> Mismatch | None:
        """observation: history of the training worker, log_probs of the predicting one."""
        task = Task.of(golden)
        history, given = observation.get("history"), observation.get("log_probs")
        history = np.asarray(history.values, np.float64) if isinstance(history, Array) and history.values.ndim == 2 else None
        if history is None or history.shape[1:] != (3,):
            return Mismatch("history", "shape", "the check returns no history of (step, loss, gradient norm)")
        shape = (len(task.prefixes), VOCABULARY)
        if not isinstance(given, Array) or given.shape != shape:
            had = given.shape if isinstance(given, Array) else describe_type(given)
            return Mismatch("log_probs", "shape", f"log-probabilities of shape {shape} are needed; got {had}")
        course, log_probs = describe_curve(history), given.values.astype(np.float64)
        if np.isnan(log_probs).any():
            return Mismatch("log_probs", "nonfinite", f"the trained model predicts NaN. {course}")
        with np.errstate(over="ignore"):
            total = np.exp(log_probs).sum(axis=1)
        if np.abs(total - 1).max() > 1e-3:
            row = int(np.abs(total - 1).argmax())
            return Mismatch("log_probs", "value", f"the chances of the next byte sum to {total[row]:.4g}, not to 1")
        if leak := sees_its_target(task, history):
            return Mismatch("history", "leak", leak)
        fault = self.fault(task, _loss(task, log_probs))
        return Mismatch("loss", "loss", f"{fault}\n{course}") if fault else None

    def fault(self, task: Task, loss: float) -> str:
        """A sentence if the loss is not good enough, else ""."""
        if (reached := task.fraction_of_gap(loss)) >= self.share:
            return ""
        needed = task.unigram_loss - self.share * (task.unigram_loss - task.floor)
        return (
            f"held-out loss {loss:.3f} nats per byte; at most {needed:.3f} is needed. From the unigram loss {task.unigram_loss:.3f} to the "
            f"exact floor {task.floor:.3f} it went {100 * reached:.1f} % of the way; {100 * self.share:.1f} % are needed."
        )


class TrainsBelow(TrainsTo):
    """Training loss on real text, whose optimum nobody knows: the mean of −ln p(the byte that does follow).

    For checks that run on request: check and `predict` as with `trains_to`. loss: nats per byte to stay below. corpus: a name
    for `corpora.load`, whose text is looked for when the check is asked for; context: bytes that the model sees. Beginnings are
    windows of that size from random places of the text to train on, cut at random places: the loss is that of random batches.
    """

    def __init__(self, predict: Callable, loss: float, corpus: str, context: int, prefixes: int = 4096):
        self.predict, self.bound, self.corpus, self.context, self.prefixes = predict, loss, corpus, context, prefixes

    def expected(self, seed: int) -> Golden:
        """The text, the beginnings and what follows them. BadInput, saying what to do, if the text is not there."""
        import corpora

        text = corpora.load(self.corpus).text.encode()
        return Task.of_text(text, self.context, self.prefixes, seed).as_golden()

    def fault(self, task: Task, loss: float) -> str:
        return "" if loss < self.bound else f"{self._told(loss)}; less than {self.bound} is needed."

    def remark(self, observation: Observation, golden: Golden) -> str:
        return self._told(_loss(Task.of(golden), observation["log_probs"].values.astype(np.float64)))

    def _told(self, loss: float) -> str:
        return f"training loss {loss:.3f} nats per byte, on {self.prefixes:,} random places of {self.corpus}"


trains_to = TrainsTo


trains_below = TrainsBelow


def _loss(task: Task, log_probs: np.ndarray) -> float:
    return task.loss(np.maximum(log_probs, np.log(1e-12)))
