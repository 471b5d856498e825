"""What became of one worker."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from autograder.judge.evidence import Evidence
from autograder.observation.leaf import Observation


class ServerLost(Exception):
    """The server was killed again and again, which only student code does."""


class Interrupted(Exception):
    """The run was cancelled (Ctrl-C), or its deadline came, while this worker was under way."""


class Ending(StrEnum):
    """How a worker ended."""

    OBSERVED = "observed"  # it sent an observation
    RAISED = "raised"  # it sent an exception
    DIED = "died"
    TIMEOUT = "timeout"
    FLOODED = "flooded"  # it sent rubbish, or too much


@dataclass
class Step:
    """One step of a stepwise check.

    seconds: CPU time as the kernel accounts it, or wall clock where the kernel does not.
    peak_bytes: resident memory at most.
    """

    observation: Observation
    seconds: float
    peak_bytes: int


@dataclass
class Outcome:
    """What became of one worker.

    inputs: digests of the drawn inputs as they were afterwards.
    error: type, message and frames of an exception, or how the process died.
    seconds: wall clock.
    cpu_seconds, peak_kb: the kernel's account of the process.
    times, peaks: what was measured step by step; see `Evidence`.
    frame: bytes of the observation as they came, for the worker that predicts.
    """

    kind: Ending
    observation: Observation = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_kb: int = 0
    times: tuple[tuple[float, float], ...] | None = None
    peaks: tuple[int, ...] | None = None
    frame: bytes = field(default=b"", repr=False)

    def evidence(self, device: str = "cpu") -> Evidence:
        """What a judge decides on."""
        return Evidence(self.observation, tuple(self.inputs), device, self.times, self.peaks)
