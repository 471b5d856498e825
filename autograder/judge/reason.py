"""Why a check does not pass, in one word. Statistics and pages of a class count these words."""

from enum import StrEnum


class Reason(StrEnum):
    """The one word. Its value stands in JSON reports, so it never changes."""

    # The observation differs from the golden one.
    MISSING = "missing"  # a leaf of the observation, or a file of the submission
    UNEXPECTED = "unexpected"
    NONE = "none"
    NO_GRADIENT = "no gradient"
    TYPE = "type"
    SHAPE = "shape"
    DTYPE = "dtype"
    NONFINITE = "nonfinite"
    VALUE = "value"
    INPUT = "input"  # an argument was overwritten
    PROPERTY = "property"
    PACE = "pace"
    GROWTH = "growth"
    LOSS = "loss"
    LEAK = "leak"
    FORM = "form"  # an answer by hand that is no number
    # There is no observation.
    TODO = "todo"
    FORBIDDEN = "forbidden"
    IMPORT = "import"
    SYNTAX = "syntax"
    MEMORY = "memory"
    RAISED = "raised"
    TIMEOUT = "timeout"
    FLOODED = "flooded"
    DIED = "died"
    NOT_TRIED = "not tried"  # another check of the part ran into its time limit
    # Nothing is wrong with the submission.
    FAULT = "fault"

    @property
    def speaks_against_the_part(self) -> bool:
        """Whether a check that fails for this reason shows that its part is wrong. A slow part still serves others."""
        return self not in (Reason.PACE, Reason.GROWTH)

    @property
    def needs_a_debugger(self) -> bool:
        """Whether a debugger may help. It does not with a loss, nor where no code of the student's ran as it was meant."""
        did_not_run = (Reason.TODO, Reason.FORM, Reason.MISSING, Reason.SYNTAX, Reason.IMPORT, Reason.FORBIDDEN, Reason.NOT_TRIED)
        return self not in (*did_not_run, Reason.LOSS, Reason.LEAK)
