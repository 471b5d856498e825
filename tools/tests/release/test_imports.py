"""An import of a module of the course that does not ship is found, wherever it stands, and nothing else is."""

import pytest

from tools.release.imports import missing_imports

COURSE = {
    "assignments/a01_x/demo.py": "",
    "assignments/a01_x/more.py": "",
    "assignments/given/a01_x/part.py": "",
    "autograder/check/__init__.py": "def part(): ...",
    "datasets/corpora/__init__.py": "",
    "datasets/corpora/real.py": "",
    "tools/memory.py": "",
    "reference/a01_x/demo.py": "",
}


@pytest.fixture
def root(tmp_path):
    for name, text in COURSE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("from .more import x", "a01_x.more"),
        ("from . import more", "a01_x.more"),
        ("def f():\n    import a01_x.more", "a01_x.more"),
        ("from corpora import real", "corpora.real"),
        ("from given.a01_x.part import x", "given.a01_x.part"),
        ("import tools.memory", "tools.memory"),
        ("from reference.a01_x import demo", "reference.a01_x"),
        ("from corpora.nowhere import x", "corpora.nowhere"),
        ("import torch, json", None),
        ("from autograder.check import part", None),
        ("from .explore import x\nimport corpora", None),
        ("# from .more import x", None),
    ],
)
def test_an_import_of_what_does_not_ship_is_found(root, line, missing):
    shipped = ["autograder/check/__init__.py", "datasets/corpora/__init__.py", "assignments/a01_x/explore.py"]
    files = {**dict.fromkeys(shipped, b""), "assignments/a01_x/demo.py": f"{line}\n".encode()}
    found = [finding.what for finding in missing_imports(files, root, root)]
    assert (f"imports {missing}" in found) if missing else found == []


@pytest.mark.parametrize(("place", "count"), [("tests/test_x.py", 0), ("demo.py", 1)])
def test_a_sealed_part_is_there_for_checks_alone(root, place, count):
    files = {f"assignments/a01_x/{place}": b"from given.a01_x.part import x\n", "assignments/given/a01_x.sealed": b"?"}
    assert len(list(missing_imports(files, root, root))) == count
