"""The zip that an instructor uploads to Gradescope as the autograder of one assignment.

A list says what it holds: the grader without its tests, the assignment's checks (public and hidden), golden values, stubs
and given parts, those of the assignment itself sealed. It holds no solution, because stubs are generated anew, whatever lies in assignments/. The same sources give
the same bytes.
"""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.collecting import collect
from autograder.check.inputs import OFFICIAL, PUBLIC, SECRET, Inputs
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata
from autograder.gradescope.policy import Settings
from autograder.gradescope.results import make_results, results_to_json
from autograder.report.as_json import as_json
from autograder.report.hints import hints_path
from autograder.report.report import Report, empty_rows
from autograder.report.status import Status
from autograder.source.copies import KNOWN
from autograder.source.given_parts import given_files
from autograder.submission.submit import make_zip
from tools.author.stubs import stubs
from tools.grader_files import course, files_below, grader_files

MAX_BYTES = 5_000_000
GRADER_MB = 400  # what the server with torch and its parent need
IMAGE = Path(__file__).with_name("image")


def build(assignment: Assignment, inputs: Inputs = PUBLIC) -> bytes:
    """The autograder zip. BadInput if it would be too large, or if a setting of the assignment is not allowed.

    inputs: which inputs the checks draw. Those of the official grade come with their golden values and the secret.
    """
    settings = Settings.of(assignment)
    files = dict(_scripts(assignment, settings))
    files |= dict(_named(course() / "autograder", "autograder", grader_files()))
    given = given_files(assignment.course, assignment.package)
    files |= {f"assignments/given/{name}": data for name, data in given.items()}
    files |= dict(_named(assignment.course.root / "datasets", "datasets"))
    files |= dict(_assignment(assignment, inputs))
    if (known := assignment.course.reference / KNOWN).is_file():
        files[f"reference/{KNOWN}"] = known.read_bytes()
    data = make_zip(files, executable=("setup.sh", "run_autograder"))
    if len(data) > MAX_BYTES:
        largest = sorted(files, key=lambda name: -len(files[name]))[:3]
        raise BadInput(f"the zip has {len(data):,} bytes, at most {MAX_BYTES:,} are wanted; largest: {', '.join(largest)}")
    return data


def warnings(assignment: Assignment) -> list[str]:
    """What an instructor should know before uploading, a sentence each. BadInput if a setting is not allowed."""
    settings = Settings.of(assignment)
    lines = [f"on Gradescope's page choose: container {settings.container}, timeout {settings.timeout_minutes:g} minutes"]
    left_mb = float(settings.container.split()[-2]) * 1000 - GRADER_MB
    if assignment.memory_mb > left_mb:
        lines.append(f"a check may use {assignment.memory_mb} MB, the container leaves about {left_mb:.0f}: choose a larger one")
    if assignment.hidden.exists() and settings.hidden_visibility != "visible":
        lines.append("with hidden checks students see no total on Gradescope until they are shown; the output says what it may")
    return lines


def _scripts(assignment: Assignment, settings: Settings) -> Iterator[tuple[str, bytes]]:
    """What Gradescope runs, what setup.sh installs, and the results that are shown if the grader does not start."""
    words = {"@ASSIGNMENT@": assignment.id, "@WATCHDOG@": f"{settings.watchdog:.1f}"}
    for name in ("setup.sh", "run_autograder"):
        script = (IMAGE / name).read_text(encoding="utf-8")
        for word, value in words.items():
            script = script.replace(word, value)
        yield name, script.encode()
    project = tomllib.loads((course() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield "requirements.txt", ("\n".join(project["dependencies"]) + "\n").encode()
    yield "constraints.txt", (course() / "constraints.txt").read_bytes()
    yield "fault.json", _fault(assignment, settings)


def _fault(assignment: Assignment, settings: Settings) -> bytes:
    """The results of a grader that fails before it reads the submission. All points are granted."""
    rows = empty_rows(assignment, collect(assignment, hidden=True))
    for row in rows:
        row.status, row.points, row.message = Status.GRADER_FAULT, row.max_points, "the grader did not start"
    return results_to_json(make_results(as_json(Report(assignment, rows, 0)), settings, Metadata())).encode()


def _assignment(assignment: Assignment, inputs: Inputs) -> Iterator[tuple[str, bytes]]:
    """The assignment's own files: settings, stubs, checks, hints, and golden values of the inputs that are drawn."""
    folder, package = assignment.folder, f"assignments/{assignment.package}"
    fresh = stubs(assignment.course.root)
    yield f"{package}/assignment.toml", (folder / "assignment.toml").read_bytes()
    for name in assignment.deliverables:
        path = folder / name
        yield f"{package}/{name}", fresh[path].encode() if path in fresh else path.read_bytes()
    for where, name in ((folder / "tests", f"{package}/tests"), (assignment.hidden, f"reference/{assignment.package}/hidden")):
        for path in sorted(where.glob("test_*.py")):
            yield f"{name}/{path.name}", path.read_bytes()
        for path in sorted((where / "golden").glob("*" if inputs.are_public else hints_path(assignment).name)):
            yield f"{name}/golden/{path.name}", path.read_bytes()
    if inputs.golden is not None:
        yield from _named(inputs.golden, f"reference/{OFFICIAL}/{assignment.package}")
        yield f"reference/{OFFICIAL}/{SECRET}", (inputs.golden.parent / SECRET).read_bytes()


def _named(folder: Path, name: str, paths: Iterable[Path] | None = None) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, or those that are given, under the folder's name in the zip."""
    for path in files_below(folder) if paths is None else paths:
        yield f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()
