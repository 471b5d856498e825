"""What all judges share: decorating a check, how its workers are driven, and parity with the golden observation."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from autograder.errors import GraderFault
from autograder.judge.evidence import Evidence
from autograder.judge.mismatch import Mismatch, not_finite, structural_mismatch, value_mismatch
from autograder.judge.reason import Reason
from autograder.observation.golden import Golden
from autograder.observation.leaf import Observation
from autograder.observation.tolerance import DEVICE_FACTOR


class Drive(StrEnum):
    """How a judge makes workers go."""

    OBSERVE = "observe"  # one worker, in one go
    STEP = "step"  # one step for each sign of the parent, which reads its clocks in between
    TRAIN = "train"  # one worker trains, another one predicts


class Judge:
    """A judge decides on evidence and never runs anything. As a decorator it is attached to a check.

    drive: how workers are driven.
    random: names of the leaves that differ from run to run by nature. Only their type, shape and dtype are compared.
    """

    drive = Drive.OBSERVE
    random: tuple[str, ...] = ()

    def __call__(self, function: Callable) -> Callable:
        """Attach this judge to a check."""
        function.__judge__ = self  # type: ignore[attr-defined]
        return function

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """The first thing that is not right, or None: parity in every leaf, and inputs that are as they were."""
        return parity(evidence, golden)

    def expected(self, seed: int) -> Golden:
        """What a check that runs on request expects. It is worked out when the check is asked for.

        BadInput: something that it needs is not there. The sentence says what to do.
        GraderFault: this judge has recorded golden values alone.
        """
        raise GraderFault(f"the judge {type(self).__name__} needs recorded golden values, so its check cannot run on request")

    def remark(self, evidence: Evidence, golden: Golden) -> str:
        """What is worth knowing about evidence that is right."""
        return ""

    def number(self, name: str, evidence: Evidence) -> float | None:
        """A number that the judge itself has measured under this name, for a leaderboard."""
        return None


class StepJudge(Judge):
    """A judge of checks that are generators, which are run step by step.

    steps: how many times the check yields.
    baseline: whether a baseline goes through the same steps in turns with the submission, and both are timed.
    probe: what the baseline runs on `draw` alone. None: it runs the check itself on `given`.
    """

    drive = Drive.STEP
    steps: int
    baseline = False
    probe: Callable | None = None


class MatchesReference(Judge):
    """Every leaf equals the golden one: key, type, dtype, shape, finiteness, and value within the derived tolerance."""


matches_reference = MatchesReference()


def parity(evidence: Evidence, golden: Golden) -> Mismatch | None:
    """The first mismatch: keys, then type, shape and dtype, then values, then inputs that were overwritten."""
    observation, factor = evidence.observation, DEVICE_FACTOR[evidence.device]
    for path in golden.leaves:
        if path not in observation:
            return Mismatch(path, Reason.MISSING, f"{path} is missing; {_present(observation)}")
    for path in observation:
        if path not in golden.leaves:
            names = _listed(golden.leaves)
            return Mismatch(path, Reason.UNEXPECTED, f"{path} was not expected; the names should be {names}")
    for path, expected in golden.leaves.items():
        if mismatch := structural_mismatch(path, observation[path], expected.value):
            return mismatch
    for path, expected in golden.leaves.items():
        if expected.random:  # no value is expected of it, but no judge of chance notices NaN
            mismatch = not_finite(path, observation[path])
        else:
            mismatch = value_mismatch(path, observation[path], expected, factor)
        if mismatch:
            return mismatch
    return _overwritten(evidence, golden)


def _overwritten(evidence: Evidence, golden: Golden) -> Mismatch | None:
    if list(evidence.inputs) == golden.inputs:
        return None
    text = (
        "The result is right, but an argument was overwritten on the way; whoever called still needs it. "
        "Which operation works in place?"
    )
    return Mismatch("inputs", Reason.INPUT, text)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _present(observation: Observation) -> str:
    return f"there are {_listed(observation)}" if observation else "nothing was returned"
