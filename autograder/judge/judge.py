"""What all judges share: how one decorates a check, and parity with the golden observation."""

from collections.abc import Callable

from autograder.judge.mismatch import Mismatch, structural_mismatch, value_mismatch
from autograder.observation.golden import Golden
from autograder.observation.leaf import Observation


class Judge:
    """What all judges share: decorating a check, and parity with the golden observation."""

    mode = "observe"  # how workers are driven: "observe" in one go, "pace" or "memory" step by step, "train" two in turn
    random: tuple[str, ...] = ()  # leaves that differ from run to run by nature

    def __call__(self, function: Callable) -> Callable:
        function.__judge__ = self
        return function

    def compare(self, observation: Observation, golden: Golden, factor: float = 1.0) -> Mismatch | None:
        """The first mismatch: keys, then type, dtype and shape, then finite, then values, then overwritten inputs."""
        for path in golden.leaves:
            if path not in observation:
                return Mismatch(path, "missing", f"{path} is missing; {_have(observation)}")
        for path in observation:
            if path not in golden.leaves:
                return Mismatch(path, "unexpected", f"{path} was not expected; the names should be {_list(golden.leaves)}")
        for path, expected in golden.leaves.items():
            if mismatch := structural_mismatch(path, observation[path], expected.value):
                return mismatch
        for path, expected in golden.leaves.items():
            if not expected.random and (mismatch := value_mismatch(path, observation[path], expected, factor)):
                return mismatch
        return None

    def explain(self, mismatch: Mismatch) -> str:
        return mismatch.text

    def remark(self, observation: Observation, golden: Golden) -> str:
        """What is worth knowing about an observation that is right."""
        return ""


class MatchesReference(Judge):
    """Every leaf equals the golden one: keys, type, dtype, shape, finite, value within the derived tolerance."""


matches_reference = MatchesReference()


def _list(names) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _have(observation: Observation) -> str:
    return f"there are {_list(observation)}" if observation else "nothing was returned"
