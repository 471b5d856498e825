"""What became of one worker."""

from dataclasses import dataclass, field

from autograder.observation.leaf import Observation


class ServerLost(Exception):
    """The server was killed again and again, which only student code does."""


class Interrupted(Exception):
    """The run was cancelled (Ctrl-C) while this worker was under way."""


@dataclass
class Outcome:
    """What became of one worker.

    kind: "observed", "raised", "died", "timeout", "flooded" (rubbish or too much sent back).
    observation: what the check saw; inputs: digests of the drawn inputs afterwards; error: type, message and frames of an exception;
    seconds, cpu_seconds, peak_kb: wall clock, and the kernel's account of the process.
    """

    kind: str
    observation: Observation = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    error: dict = field(default_factory=dict)
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_kb: int = 0
    steps: list["Step"] = field(default_factory=list)
    frame: bytes = field(default=b"", repr=False)  # of an observation, as it came


@dataclass
class Step:
    """One step of a stepwise check: what it yielded, CPU (or wall) seconds, growth of memory in bytes."""

    observation: Observation
    seconds: float
    peak_bytes: int
