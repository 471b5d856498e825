"""The judge of a property that an observation must have."""

from collections.abc import Callable

from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch
from autograder.observation.golden import Golden
from autograder.observation.leaf import Observation


class Satisfies(Judge):
    """A property of the observation, beside parity in every leaf that is not random by nature.

    predicate: observation → None, or a sentence that says what does not hold. random: names of leaves that are random;
    the predicate states the false-alarm rate of what it says about them.
    """

    def __init__(self, predicate: Callable[[Observation], str | None], random: tuple[str, ...] = ()):
        self.predicate, self.random = predicate, random

    def compare(self, observation: Observation, golden: Golden, factor: float = 1.0) -> Mismatch | None:
        mismatch = super().compare(observation, golden, factor)
        structural = mismatch and mismatch.reason not in ("value", "nonfinite")
        if structural:
            return mismatch
        try:
            sentence = self.predicate(observation)
        except Exception:
            if mismatch is None:
                raise
            return mismatch  # the values are wrong, and so wrong that the property cannot be asked for
        if sentence:
            return Mismatch("property", "property", sentence)
        return mismatch


satisfies = Satisfies
