"""What public golden values are worth to a submission that recognises each check and hands in what was recorded for it.

The official grade draws inputs of its own, so a recorded answer is worth something only where a check draws nothing, or
where its judge asks for a property that old values have as well.
"""

from collections.abc import Mapping, Sequence

from autograder.check.check import Check
from autograder.grading import Grader
from autograder.judge.evidence import Evidence
from autograder.judge.judge import StepJudge
from autograder.observation.golden import Golden

_IN_NO_TIME = (1e-6, 1.0)  # seconds of the submission and of the baseline in a step


def replayed(checks: Sequence[Check], recorded: Grader, drawn_anew: Mapping[str, Golden]) -> dict[str, float]:
    """The points that recorded answers get, by the id of the check; checks that give nothing are left out.

    recorded: knows the golden values that are published.
    drawn_anew: what the same checks expect under another seed, by id.
    """
    points = {part.name: part.points for part in recorded.runner.assignment.parts}
    shares = {check.id: _share(check, recorded.golden(check), drawn_anew[check.id]) for check in checks}
    return {check.id: points[check.part] * check.share * shares[check.id] for check in checks if shares[check.id]}


def _share(check: Check, recorded: Golden, expected: Golden) -> float:
    """The share of a check's points for the recorded leaves. Its arguments are as they should be, and no time was needed."""
    observation = {path: leaf.value for path, leaf in recorded.leaves.items()}
    steps = check.judge.steps if isinstance(check.judge, StepJudge) else 0
    evidence = Evidence(observation, tuple(expected.inputs), "cpu", (_IN_NO_TIME,) * steps, (1,) * steps)
    try:
        mismatch = check.judge.compare(evidence, expected)
    except (KeyError, TypeError, ValueError):  # the judge asks for something that is not recorded
        return 0.0
    return mismatch.share if mismatch else 1.0
