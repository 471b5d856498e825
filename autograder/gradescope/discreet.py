"""What a student reads on Gradescope about a check that drew official inputs: what went wrong and where, and no values.

Texts that a submission can shape are left out, because code sees the inputs and could write them there. The same check
shows everything on the student's own machine, where it draws public inputs.
"""

import builtins
import re

from autograder.judge.reason import Reason
from autograder.report.view import RowView

EXPLANATION = (
    "This grade draws inputs of its own, so it shows neither values nor what your code prints. `make grade` on your machine does."
)
_SENTENCES = {
    Reason.VALUE: "{leaf} is not as expected",
    Reason.NONFINITE: "{leaf} is NaN or infinite in a place where it should not be",
    Reason.SHAPE: "{leaf} does not have the expected shape",
    Reason.TYPE: "{leaf} is not of the expected type",
    Reason.NONE: "{leaf} is None. Is a return missing?",
    Reason.UNEXPECTED: "there is a value that was not expected",
    Reason.PROPERTY: "what the title of this check says does not hold",
    Reason.FLOODED: "The result could not be taken: it is too large, or no result at all",
}
_PLACE = re.compile(r"^\s+([\w.-]+\.\w+:\d+)\b", re.MULTILINE)


def discreet_message(row: RowView, leaf: str) -> str:
    """The message of a row without a value, and without a text that the submission can shape.

    leaf: the leaf that the first difference was found in; empty if there is none.
    """
    if row.part == "by_hand" or not row.reason:  # these draw nothing
        return row.message
    reason = Reason(row.reason)
    if reason in _SENTENCES:
        return _SENTENCES[reason].format(leaf=leaf or "the result")
    places = "".join(f"\n  {place}" for place in _PLACE.findall(row.message))
    if reason in (Reason.RAISED, Reason.SYNTAX):
        kind = re.split(r"[:\s]", row.message, maxsplit=1)[0]
        known = isinstance(getattr(builtins, kind, None), type)
        return f"The code raised {kind if known else 'an exception of its own'}{places}"
    if reason is Reason.DIED and row.message.startswith("The code ended itself with exit("):
        return f"The code ended itself with exit() before the check was over{places}"
    return row.message
