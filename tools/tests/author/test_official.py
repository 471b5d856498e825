"""The official values are recorded once for a class, anew when something that they depend on changes, and are nobody's to read."""

import json
import stat
from pathlib import Path

import pytest

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.check.inputs import OFFICIAL, PUBLIC, SECRET, of_secret, official
from autograder.errors import GraderFault
from autograder.observation.golden_files import load_goldens
from autograder.tests.toy_course import course_copy
from tools.author.official import recorded_official


@pytest.fixture
def course(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course:
        yield course


def toy_assignment(course):
    return Course(course.root).load("a90")


def counted(assignment) -> tuple[str, int]:
    """The name of the official inputs, and how many checks were recorded to have them."""
    done = []
    inputs = recorded_official(assignment, lambda number, total: done.append(number))
    return inputs.name, len(done)


def test_what_is_up_to_date_is_not_recorded_again_and_what_changed_is(course):
    assignment = toy_assignment(course)
    name, recorded = counted(assignment)
    assert recorded == 0, "the course came with them"
    checks = assignment.folder / "tests/test_sums.py"
    checks.write_text(checks.read_text() + "\n# mended\n")
    assert counted(assignment) == (name, len([c for c in collect(assignment, hidden=True) if not c.device]))
    assert counted(assignment) == (name, 0)


def test_another_secret_draws_other_inputs_and_expects_other_values(course):
    assignment = toy_assignment(course)
    before = recorded_official(assignment)
    [check] = [check for check in collect(assignment) if check.name == "test_value"]
    values = lambda inputs: load_goldens(inputs.golden_of(check))[check.name].leaves["out"].value.values.tolist()
    first = values(before)
    (assignment.course.reference / OFFICIAL / SECRET).unlink()
    after = recorded_official(assignment)
    assert after.name != before.name and after.seed != before.seed
    assert first != values(after) != values(PUBLIC) != first


def test_nobody_else_may_read_the_secret_and_no_release_holds_it(course, tmp_path):
    secret = course.root / "reference" / OFFICIAL / SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_text().strip()) == 64
    assert course.run("release", "--to", str(tmp_path / "release"), module="tools").returncode == 0
    held = b"".join(path.read_bytes() for path in (tmp_path / "release").rglob("*") if path.is_file())
    assert secret.read_bytes().strip() not in held and b"tests/golden/test_sums" in held


def test_the_name_of_the_inputs_tells_nothing_of_the_seed():
    """It is a digest of the secret itself, which is too long to be tried out."""
    inputs = of_secret("a" * 64, Path("values"))
    assert inputs.name not in {of_secret(str(inputs.seed), Path("values")).name, PUBLIC.name}
    assert inputs == of_secret("a" * 64, Path("values"))


def test_a_secret_without_values_is_no_grade_for_public_inputs(tmp_path, course):
    assignment = toy_assignment(course)
    assert not official(assignment).are_public
    (assignment.course.reference / OFFICIAL / assignment.package).rename(tmp_path / "gone")
    with pytest.raises(GraderFault, match="the official values of a90 were never recorded"):
        official(assignment)
    (assignment.course.reference / OFFICIAL / SECRET).unlink()
    assert official(assignment) == PUBLIC


def test_the_batch_says_which_inputs_it_drew_and_a_local_grade_draws_public_ones(course, tmp_path):
    folder = course.submission(tmp_path / "class" / "one")
    done = course.run("batch", "a90", "--from", str(folder.parent), "--to", str(tmp_path / "out"), module="tools")
    assert done.returncode == 0, done.stderr
    [line] = (tmp_path / "out/reports.jsonl").read_text().splitlines()
    report = json.loads(line)["report"]
    assert report["environment"]["inputs"] == official(toy_assignment(course)).name and report["score"] == 100
    assert course.grade(folder).report["environment"]["inputs"] == "public"
