"""The values that the official grade expects: recorded for inputs that follow from a secret of the course.

They lie beside the solutions, in `reference/official/`, and are recorded anew when something that they depend on has
changed. The secret is made once. It belongs to a class: whoever grades a part of it elsewhere needs the same one.
"""

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.collecting import collect
from autograder.check.inputs import OFFICIAL, PUBLIC, SECRET, Inputs, of_secret
from autograder.errors import GraderFault
from autograder.files import write_atomically
from autograder.observation.golden import Golden
from autograder.observation.golden_files import load_goldens, save_goldens
from tools.author.golden import cpu_twins, record
from tools.author.reference_runs import reference_runs
from tools.grader_files import files_below, grader_files

_STAMP = "recorded_for"
Progress = Callable[[int, int], None]


def recorded_official(assignment: Assignment, progress: Progress = lambda done, total: None) -> Inputs:
    """The inputs of the official grade, with all of their golden values on disk. What is up to date is not recorded again.

    progress: called with the number of checks that are recorded, and of all.
    GraderFault: a check cannot be recorded, or was never recorded for public inputs.
    """
    folder = assignment.course.reference / OFFICIAL
    secret, checks = _secret(folder / SECRET), collect(assignment, hidden=True)
    inputs, stamp = of_secret(secret, folder / assignment.package), _stamp(assignment, checks, secret)
    if not _is_recorded(inputs, stamp):
        _record(assignment, checks, inputs, stamp, progress)
    return inputs


def _secret(path: Path) -> str:
    """The secret of the course. It is made on first use, and nobody else may read it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{secrets.token_hex(32)}\n", 0o600)
    return path.read_text(encoding="ascii").strip()


def _stamp(assignment: Assignment, checks: list[Check], secret: str) -> str:
    """A digest of all that the values depend on: the secret, the checks, the reference and its cases, given parts, the grader."""
    digest = hashlib.sha256(secret.encode())
    folders = {check.path.parent for check in checks} | {assignment.reference / kind for kind in ("misconceptions", "alternates")}
    paths = {path for folder in folders if folder.is_dir() for path in files_below(folder)}
    paths |= {*assignment.reference.glob("*.*"), *files_below(assignment.course.given), assignment.folder / "assignment.toml"}
    for path in [*sorted(paths), *grader_files()]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _is_recorded(inputs: Inputs, stamp: str) -> bool:
    assert inputs.golden is not None
    path = inputs.golden / _STAMP
    return path.is_file() and path.read_text(encoding="ascii") == stamp


def _record(assignment: Assignment, checks: list[Check], inputs: Inputs, stamp: str, progress: Progress) -> None:
    """Record every check in a folder beside the target, which it then replaces."""
    assert inputs.golden is not None
    twins = cpu_twins(checks)
    noticed = {check.id: {known.case for known in _public(check).fingerprints} for check in checks if not check.on_request}
    of_cpu = [check for check in checks if not check.device and not check.on_request]
    with reference_runs(assignment, inputs) as runs:
        goldens = record(runs, of_cpu, noticed=lambda check: noticed[check.id], progress=progress)
    goldens |= {name: goldens[twin] for name, twin in twins.items() if twin in goldens}
    inputs.golden.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=inputs.golden.parent) as scratch:
        fresh = Inputs(inputs.seed, Path(scratch) / "values")
        for path in dict.fromkeys(fresh.golden_of(check) for check in checks if check.id in goldens):
            own = {check.name: goldens[check.id] for check in checks if check.id in goldens and fresh.golden_of(check) == path}
            save_goldens(path, own)
        assert fresh.golden is not None
        (fresh.golden / _STAMP).write_text(stamp, encoding="ascii")
        shutil.rmtree(inputs.golden, ignore_errors=True)
        fresh.golden.replace(inputs.golden)


def _public(check: Check) -> Golden:
    """What a check expects of public inputs. GraderFault: it was never recorded."""
    goldens = load_goldens(PUBLIC.golden_of(check))
    if check.name not in goldens:
        raise GraderFault(f"golden values of {check.id} were never recorded; `make golden` does it")
    return goldens[check.name]
