"""What a check is written with, in one place: decorators, judges, properties, and what a check calls to observe something.

    from autograder.check import matches_reference, needs, part

Inputs come from `draw`, which a check is given as an argument. No module of this list imports torch.
"""

from autograder.check.decorators import limits, needs, on_device, on_request, part, ranks
from autograder.check.observe import parameter_table, refusal
from autograder.judge.by_hand import answers_by_hand
from autograder.judge.judge import matches_reference
from autograder.judge.memory import fits_in_memory
from autograder.judge.pace import keeps_pace
from autograder.judge.properties import all_of, at_most, exactly_zero, frequencies, gaussian, kept_share, same, truncated_gaussian
from autograder.judge.property import satisfies
from autograder.judge.training import trains_below, trains_to

__all__ = [
    "all_of",
    "answers_by_hand",
    "at_most",
    "exactly_zero",
    "fits_in_memory",
    "frequencies",
    "gaussian",
    "keeps_pace",
    "kept_share",
    "limits",
    "matches_reference",
    "needs",
    "on_device",
    "on_request",
    "parameter_table",
    "part",
    "ranks",
    "refusal",
    "same",
    "satisfies",
    "trains_below",
    "trains_to",
    "truncated_gaussian",
]
