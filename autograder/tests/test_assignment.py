"""A course is passed on and not looked up: two of them can be used side by side, whatever the environment says."""

import ast
import shutil
from pathlib import Path

import pytest

from autograder.assignment import Course
from autograder.errors import BadInput
from autograder.submission.working_copy import working_copy

TOML = """
title = "{title}"
deliverables = ["rope.py"]
forbidden = []
parts = [{{name = "rope.rotate", title = "turn", points = 60}}, {{name = "rope.scale", title = "scale", points = 40}}]
limits = {{seconds = 5, memory_mb = 512}}
"""
ROOMS = Path(__file__).parents[1], Path(__file__).parents[2] / "tools"


def write_course(root: Path, title: str) -> Course:
    folder = root / "assignments" / "a03_toy"
    folder.mkdir(parents=True)
    (folder / "assignment.toml").write_text(TOML.format(title=title))
    (folder / "rope.py").write_text(f"name = {title!r}\n")
    (root / "assignments" / "given").mkdir()
    (root / "assignments" / "given" / "__init__.py").write_text(f"name = {title!r}\n")
    (root / "assignments" / "a04_unfinished").mkdir()
    return Course(root)


@pytest.fixture
def course(tmp_path) -> Course:
    return write_course(tmp_path / "one", "One")


@pytest.mark.parametrize("name", ["a03", "03", "3", "a03_toy", "a03_toy/", " a3 "])
def test_an_assignment_has_several_names(course, name):
    assignment = course.load(name)
    assert (assignment.id, assignment.package, assignment.title, assignment.points) == ("a03", "a03_toy", "One", 100)
    assert assignment.course == course and assignment.part("rope.scale").number == 2


@pytest.mark.parametrize("name", ["a04", "a99", "rope", "", "../a03_toy", "a03/../a03"])
def test_an_assignment_that_is_not_there_is_refused_with_those_that_are(course, name):
    with pytest.raises(BadInput, match=r"there are a03$"):
        course.load(name)


def test_a_part_that_is_not_there_is_refused_with_those_that_are(course):
    with pytest.raises(BadInput, match=r"has no part 'rope\.turn'; it has rope\.rotate, rope\.scale"):
        course.load("a03").part("rope.turn")


@pytest.mark.parametrize("text", ["", "title = 3", "title = ", TOML.format(title="X").replace("parts", "part")])
def test_an_assignment_that_cannot_be_read_is_refused(course, text):
    (course.assignments / "a03_toy" / "assignment.toml").write_text(text)
    with pytest.raises(BadInput, match=r"a03_toy/assignment\.toml cannot be used"):
        course.load("a03")


def test_the_folders_of_a_course(course):
    assignment = course.load("a03")
    assert assignment.folder == course.root / "assignments/a03_toy" and course.given == course.root / "assignments/given"
    assert assignment.hidden == course.root / "reference/a03_toy/hidden" == assignment.reference / "hidden"
    assert course.known() == {"a03": assignment.folder}


def test_two_courses_do_not_mix(course, tmp_path):
    other = write_course(tmp_path / "two", "Two")
    for one, title in ((course, "One"), (other, "Two")):
        tree = working_copy(one.load("a03").folder, one.load("a03"), tmp_path / f"tree {title}")
        assert (tree.path / "given" / "__init__.py").read_text() == f"name = {title!r}\n"


def test_what_ships_beside_the_deliverables_is_no_surprise(tmp_path):
    """A grade in place says nothing about it, and still something about a stranger."""
    assignment = Course.here().load("a03")
    assert assignment.also == ("extensions.py",)
    notes = working_copy(assignment.folder, assignment, tmp_path / "tree").notes
    assert not [note for note in notes if "extensions.py" in note]
    submitted = tmp_path / "submitted"
    submitted.mkdir()
    for name in ("norm.py", "extensions.py", "stranger.py"):
        (submitted / name).write_text("")
    notes = working_copy(submitted, assignment, tmp_path / "other").notes
    assert "not read, because it is no deliverable: stranger.py" in notes


def test_the_environment_is_read_when_it_is_asked_for(course, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DIR", str(course.root))
    assert Course.here() == course
    other = tmp_path / "two"
    shutil.copytree(course.root, other)
    monkeypatch.setenv("COURSE_DIR", str(other))
    assert Course.here() == Course(other)
    monkeypatch.delenv("COURSE_DIR")
    assert Course.here().root == Path(__file__).parents[2]


READS = {"here", "environ", "getenv", "environb"}


def reads_environment(source: str) -> bool:
    """Whether importing a source reads the environment, outside of any function. Default arguments count as outside."""
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Attribute | ast.Name) and (node.attr if isinstance(node, ast.Attribute) else node.id) in READS:
            return True
        inner = [] if isinstance(node, ast.Lambda) else list(ast.iter_child_nodes(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        pending += inner
    return False


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nROOT = os.environ.get('COURSE_DIR')", True),
        ("def f(root=Course.here()): pass", True),
        ("class A:\n    root = os.getenv('X')", True),
        ("if __name__ == '__main__':\n    pass", False),
        ("def f():\n    return os.environ", False),
    ],
)
def test_a_read_at_import_is_found(source, expected):
    assert reads_environment(source) is expected


def test_no_module_reads_the_environment_when_it_is_imported():
    modules = [path for room in ROOMS for path in room.rglob("*.py") if "tests" not in path.relative_to(room).parts]
    assert len(modules) > 50
    assert [str(path) for path in modules if reads_environment(path.read_text(encoding="utf-8"))] == []
