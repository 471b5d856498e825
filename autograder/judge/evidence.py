"""What a judge decides on: everything that one run of a check brought back, measured or sent."""

from dataclasses import dataclass

from autograder.observation.leaf import Observation


@dataclass(frozen=True)
class Evidence:
    """One run of a check.

    observation: what the check returned, leaf by leaf.
    inputs: digests of the drawn inputs as they were afterwards.
    device: "cpu", "cuda" or "mps"; tolerances depend on it.
    times: for each timed step, seconds of the submission and of the baseline. None where nothing was timed.
    peaks: bytes of memory at most in each step. None where nothing was measured.
    """

    observation: Observation
    inputs: tuple[str, ...] = ()
    device: str = "cpu"
    times: tuple[tuple[float, float], ...] | None = None
    peaks: tuple[int, ...] | None = None
