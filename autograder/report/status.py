"""What a check came to. Everything that a status means to any reader stands here and nowhere else."""

from enum import StrEnum


class Status(StrEnum):
    """The verdict on one check. Its value stands in JSON reports and in their schema.

    sign: the mark at the start of a line.
    tone: "good", "bad", "warn", "soft" or "fault". Terminal and page each have a colour for it.
    words: the status as a reader says it.
    """

    PASSED = "passed", "✓", "good", "passed"
    PARTIAL = "partial", "◐", "warn", "partly"
    FAILED = "failed", "✗", "bad", "failed"
    NOT_ATTEMPTED = "not_attempted", "–", "warn", "not attempted"
    NOT_GRADED_HERE = "not_graded_here", "○", "soft", "not graded here"
    GRADER_FAULT = "grader_fault", "?", "fault", "fault of the grader"

    sign: str
    tone: str
    words: str

    def __new__(cls, value: str, sign: str, tone: str, words: str) -> "Status":
        """Make a member that is its value and carries what readers see."""
        status = str.__new__(cls, value)
        status._value_, status.sign, status.tone, status.words = value, sign, tone, words
        return status

    @classmethod
    def of(cls, value: str) -> "Status":
        """The status with this value. KeyError: there is none."""
        return {status.value: status for status in cls}[value]

    @property
    def is_open(self) -> bool:
        """Whether the student can still earn something there."""
        return self in (Status.PARTIAL, Status.FAILED, Status.NOT_ATTEMPTED)

    @property
    def is_verdict(self) -> bool:
        """Whether the check was to be graded on this machine."""
        return self is not Status.NOT_GRADED_HERE

    @property
    def granted(self) -> bool:
        """Whether the points are given without a verdict on the code, until somebody grades it again."""
        return self is Status.GRADER_FAULT

    def explain(self, message: str) -> str:
        """What a reader is told about a check of this status that has this message."""
        match self:
            case Status.NOT_ATTEMPTED:
                return f"Not attempted, {message}."
            case Status.NOT_GRADED_HERE:
                return f"Not graded here, {message}."
            case Status.GRADER_FAULT:
                return f"A fault of the grader, not of your code. Its points are granted. Please tell your instructors: {message}"
        return message
