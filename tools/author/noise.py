"""Whether every tolerance lies well between noise and mistake, read from the golden values."""

from collections.abc import Sequence

from autograder.check.check import Check
from autograder.grading import Grader
from autograder.judge.judge import Drive
from autograder.observation.golden import Expected, Golden
from tools.author.distances import is_precise
from tools.author.reference_runs import ReferenceRuns
from tools.author.verification import CheckNoise

LARGEST_NOISE = 0.1  # of the tolerance
LEAST_DISTANCE = 10  # of a mistake, in tolerances


def noise_of_checks(runs: ReferenceRuns, checks: Sequence[Check], problems: list[str]) -> list[CheckNoise]:
    """Noise, tolerance and nearest misconception of every check. Problems are appended.

    GraderFault: the golden values of a check were never recorded.
    """
    grader, module_of = Grader(runs.runner), {case.name: case.module for case in runs.cases("misconceptions")}
    return [_noise(check, grader.golden(check), module_of, problems) for check in checks]


def _noise(check: Check, golden: Golden, module_of: dict[str, str], problems: list[str]) -> CheckNoise:
    leaves = [leaf for leaf in golden.leaves.values() if is_precise(leaf.value) and not leaf.random]
    worst = max(leaves, key=_noise_in_tolerances, default=Expected(None))
    mistakes = [mistake for mistake in golden.fingerprints if module_of.get(mistake.case) == check.module]
    nearest = min(mistakes, key=lambda mistake: mistake.distance, default=None)
    if (noise := _noise_in_tolerances(worst)) > LARGEST_NOISE:
        problems.append(f"{check.id}: noise is {noise:.2f} of the tolerance; at most {LARGEST_NOISE} is sound")
    if nearest and nearest.distance < LEAST_DISTANCE:
        problems.append(
            f"{check.id}: misconception {nearest.case} lies only {nearest.distance:.1f} tolerances away; "
            "choose inputs that separate"
        )
    distance = nearest.distance if nearest else None
    return CheckNoise(check.id, worst.noise, worst.tolerance, distance, len(mistakes))


def _noise_in_tolerances(leaf: Expected) -> float:
    return leaf.noise / leaf.tolerance if leaf.tolerance else 0.0


def idle_checks(runs: ReferenceRuns, checks: Sequence[Check]) -> list[str]:
    """Checks that no misconception fails; mutants may still fail them. GraderFault as above."""
    grader = Grader(runs.runner)
    return [check.id for check in checks if check.judge.drive == Drive.OBSERVE and not grader.golden(check).fingerprints]
