"""The judge of a property that an observation must have."""

from autograder.judge.evidence import Evidence
from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch
from autograder.judge.properties import Predicate
from autograder.judge.reason import Reason
from autograder.observation.golden import Golden

_MAY_BE_EXPLAINED = (Reason.VALUE, Reason.NONFINITE, Reason.INPUT)  # a sentence of the predicate tells more than these


class Satisfies(Judge):
    """A property of the observation, and parity in every leaf that is not random by nature.

    predicate: takes the observation. It returns None, or a sentence that says what does not hold.
    random: names of the leaves that are random. The predicate states its false-alarm rate for them.
    """

    def __init__(self, predicate: Predicate, random: tuple[str, ...] = ()):
        self.predicate, self.random = predicate, random

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """A mismatch of structure first, then the property, then a mismatch of values."""
        mismatch = super().compare(evidence, golden)
        if mismatch and mismatch.reason not in _MAY_BE_EXPLAINED:
            return mismatch
        try:
            sentence = self.predicate(evidence.observation)
        except Exception:
            if mismatch is None:
                raise
            return mismatch  # the values are so wrong that the property cannot be asked for
        return Mismatch("property", Reason.PROPERTY, sentence) if sentence else mismatch


satisfies = Satisfies
