"""Judges of what a check has trained."""

from collections.abc import Callable

import numpy as np

from autograder.judge.evidence import Evidence
from autograder.judge.judge import Drive, Judge
from autograder.judge.mismatch import Mismatch, describe_type
from autograder.judge.reason import Reason
from autograder.judge.task import VOCABULARY, Task, describe_curve, sees_its_target
from autograder.observation.golden import Golden
from autograder.observation.leaf import Array, Observation


class TrainingJudge(Judge):
    """A judge of the loss of what the check has trained.

    The check is called as check(solution, draw, text) with the bytes to train on. It returns {"state": state dict,
    "history": (records, 3) of step, loss and gradient norm}. `predict(solution, draw, state, prefixes)` gets that state in
    another worker and returns {"log_probs": (prefixes, 256)}. It never sees what follows a prefix.

    predict: the function that predicts. It stands in the check file.
    prefixes: how many beginnings of documents there are.
    """

    drive = Drive.TRAIN

    def __init__(self, predict: Callable, prefixes: int):
        self.predict, self.prefixes = predict, prefixes

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """The form of history and log-probabilities, then what they say: a leak, or a loss that is too high."""
        task, observation = Task.of(golden), evidence.observation
        history, log_probs = _history(observation), observation.get("log_probs")
        if history is None:
            return Mismatch("history", Reason.SHAPE, "the check returns no history of (step, loss, gradient norm)")
        curve, shape = describe_curve(history), (len(task.prefixes), VOCABULARY)
        if not isinstance(log_probs, Array) or log_probs.shape != shape:
            actual = log_probs.shape if isinstance(log_probs, Array) else describe_type(log_probs)
            return Mismatch("log_probs", Reason.SHAPE, f"log-probabilities of shape {shape} are needed; got {actual}")
        if mismatch := _not_probabilities(log_probs.values, curve):
            return mismatch
        if leak := sees_its_target(task, history):
            return Mismatch("history", Reason.LEAK, leak)
        fault = self.fault(task, _loss(task, log_probs))
        return Mismatch("loss", Reason.LOSS, f"{fault}\n{curve}") if fault else None

    def fault(self, task: Task, loss: float) -> str:
        """A sentence if the loss is not good enough, else ""."""
        raise NotImplementedError


class TrainsTo(TrainingJudge):
    """Held-out loss of what the check has trained, as a share of the way from the unigram loss to the exact floor.

    share: for full points. The comment beside it states seeds, mean, deviation and the chance that right code fails.
    corpus: what `tools golden` makes the text from, {"tales": {"seed": 3, "size": 400_000}}. A hidden check has its own seed.
    prefixes: how many beginnings of held-out documents there are.
    """

    def __init__(self, predict: Callable, share: float, corpus: dict[str, dict], prefixes: int = 512):
        super().__init__(predict, prefixes)
        self.share, self.corpus = share, corpus

    def fault(self, task: Task, loss: float) -> str:
        """A sentence if the loss is not good enough, else ""."""
        if (reached := task.fraction_of_gap(loss)) >= self.share:
            return ""
        needed = task.unigram_loss - self.share * (task.unigram_loss - task.floor)
        return (
            f"held-out loss {loss:.3f} nats per byte; at most {needed:.3f} is needed. From the unigram loss {task.unigram_loss:.3f} to the "
            f"exact floor {task.floor:.3f} it went {100 * reached:.1f} % of the way; {100 * self.share:.1f} % are needed."
        )


class TrainsBelow(TrainingJudge):
    """Training loss on real text, whose optimum nobody knows: the mean of −ln p(the byte that does follow).

    It is for checks that run on request. Beginnings are windows from random places of the text to train on, cut at random
    places, so the loss is that of random batches.

    loss: nats per byte to stay below.
    corpus: a name for `corpora.load`. Its text is looked for when the check is asked for.
    context: bytes that the model sees.
    """

    def __init__(self, predict: Callable, loss: float, corpus: str, context: int, prefixes: int = 4096):
        super().__init__(predict, prefixes)
        self.bound, self.corpus, self.context = loss, corpus, context

    def expected(self, seed: int) -> Golden:
        """The text, the beginnings and what follows them.

        BadInput: the text is not there. The sentence says what to do.
        """
        import corpora

        text = corpora.load(self.corpus).text.encode()
        return Task.of_text(text, self.context, self.prefixes, seed).as_golden()

    def fault(self, task: Task, loss: float) -> str:
        """A sentence if the loss is not below what is asked for, else ""."""
        return "" if loss < self.bound else f"{self._reached(loss)}; less than {self.bound} is needed."

    def remark(self, evidence: Evidence, golden: Golden) -> str:
        """The loss that was reached."""
        log_probs = evidence.observation.get("log_probs")
        return self._reached(_loss(Task.of(golden), log_probs)) if isinstance(log_probs, Array) else ""

    def _reached(self, loss: float) -> str:
        return f"training loss {loss:.3f} nats per byte, on {self.prefixes:,} random places of {self.corpus}"


trains_to = TrainsTo
trains_below = TrainsBelow


def _history(observation: Observation) -> np.ndarray | None:
    """(records, 3) of step, loss and gradient norm. None where the check returned something else."""
    leaf = observation.get("history")
    if not isinstance(leaf, Array) or leaf.values.ndim != 2 or leaf.shape[1] != 3:
        return None
    return np.asarray(leaf.values, np.float64)


def _not_probabilities(log_probs: np.ndarray, curve: str) -> Mismatch | None:
    log_probs = log_probs.astype(np.float64)
    if np.isnan(log_probs).any():
        return Mismatch("log_probs", Reason.NONFINITE, f"the trained model predicts NaN. {curve}")
    with np.errstate(over="ignore"):
        total = np.exp(log_probs).sum(axis=1)
    worst = int(np.abs(total - 1).argmax())
    if abs(total[worst] - 1) > 1e-3:
        return Mismatch("log_probs", Reason.VALUE, f"the chances of the next byte sum to {total[worst]:.4g}, not to 1")
    return None


def _loss(task: Task, log_probs: Array) -> float:
    return task.loss(np.maximum(log_probs.values.astype(np.float64), np.log(1e-12)))
