"""A worker gets the given parts that its check asks for and what these are made of, and no other definition."""

import ast

import pytest

from autograder.assignment import Course
from autograder.check.collecting import collect
from autograder.errors import GraderFault
from autograder.source.given_parts import GivenParts, given_files, parts_that_checks_import

HERE = Course.here()
PARTS = GivenParts(
    "a01_x",
    {
        "__init__": '"""All."""',
        "scores": "import torch\nfrom .mask import causal as look\nLIMIT = 3\n\ndef scores(q):\n    return look(q)[:LIMIT]\n\ndef other(q):\n    return torch.relu(q)\n",
        "mask": "import math\n\ndef helper(n):\n    return math.ceil(n)\n\ndef causal(n):\n    return helper(n)\n\ndef padding(n):\n    return -n\n",
        "late": "def late(q):\n    from .scores import scores\n    from . import mask\n    return scores(mask.padding(q))\n",
    },
)


def defined(source: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}


def test_a_part_comes_with_what_it_is_made_of_and_nothing_else():
    modules = PARTS.only(["scores.scores"])
    assert modules.keys() == {"given.a01_x", "given.a01_x.scores", "given.a01_x.mask"}
    assert defined(modules["given.a01_x.scores"]) == {"scores"} and "LIMIT = 3" in modules["given.a01_x.scores"]
    assert defined(modules["given.a01_x.mask"]) == {"helper", "causal"}


def test_an_import_inside_a_function_counts():
    modules = PARTS.only(["late.late"])
    assert defined(modules["given.a01_x.scores"]) == {"scores"}
    assert defined(modules["given.a01_x.mask"]) == {"helper", "causal", "padding"}, "all of a module that is imported as one"


def test_what_changes_a_function_comes_with_it():
    """The overloads of a generic function bear no name of their own, and may be no definitions at all."""
    source = (
        "import functools\n\n@functools.singledispatch\ndef plain(x):\n    raise TypeError\n\n"
        "@plain.register\ndef _(x: dict):\n    return helper(x)\n\ndef helper(x):\n    return x\n\n"
        "for kind in (int, str):\n    plain.register(kind)(helper)\n\n"
        "@functools.singledispatch\ndef other(x):\n    return x\n\n@other.register\ndef _(x: list):\n    return x\n"
    )
    text = GivenParts("a01_x", {"m": source}).only(["m.plain"])["given.a01_x.m"]
    assert defined(text) == {"plain", "_", "helper"} and "list" not in text and "dict" in text and "(int, str)" in text


def test_nothing_is_given_where_nothing_is_asked_for():
    assert PARTS.only([]) == {}
    assert PARTS.whole().keys() == {"given.a01_x", "given.a01_x.scores", "given.a01_x.mask", "given.a01_x.late"}


def test_a_method_is_given_with_its_class_and_a_longer_name_is_another_part():
    parts = GivenParts("a01_x", {"m": "class Head:\n    def forward(self): ...\n\ndef mask_bias(): ...\n"})
    assert parts.has("m.Head.forward") and parts.has("m.mask_bias")
    assert not parts.has("m.mask") and not parts.has("k.Head") and not parts.has("by_hand")


def test_what_a_check_imports_by_a_function_that_it_calls_is_known(tmp_path):
    path = tmp_path / "test_m.py"
    path.write_text(
        "def inner():\n    from given.a01_x.mask import causal\n    return causal\n\n"
        "def outer():\n    return inner()\n\n"
        "def test_a(solution, draw):\n    return {'out': outer()}\n\n"
        "def test_b(solution, draw):\n    from given.a01_x import scores\n    from given.a00_w.mask import padding\n\n"
        "def test_c(solution, draw):\n    return {}\n"
    )
    known = parts_that_checks_import(path, "a01_x")
    assert (known["test_a"], known["test_b"], known["test_c"]) == ({"mask.causal"}, {"scores"}, set())


@pytest.mark.parametrize("name", HERE.known())
def test_no_check_brings_the_part_that_it_grades(name):
    """Neither what takes the place of a wrong part nor what a check imports itself is made of the part of that check."""
    assignment = HERE.load(name)
    parts = GivenParts.of(HERE, assignment.package)
    for check in collect(assignment, hidden=True):
        imported = parts_that_checks_import(check.path, assignment.package)[check.name]
        brought = set().union(*(parts.made_of(part) for part in (*check.needs, *imported)))
        assert check.part not in brought, check.id


@pytest.mark.parametrize("name", HERE.known())
def test_every_part_is_given_whole(name):
    """Each part can be imported from the modules that it comes with: no name of its own package is missing."""
    assignment = HERE.load(name)
    parts = GivenParts.of(HERE, assignment.package)
    own = {f"given.{assignment.package}.{module}" for module in parts.sources}
    for part in assignment.parts:
        for module, text in parts.only([part.name]).items():
            tree = ast.parse(text)
            kept = parts.only([part.name])
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                    target = f"given.{assignment.package}.{node.module}"
                    assert target in own
                    assert all(f"{alias.name}" in kept[target] for alias in node.names), (part.name, module)


def test_what_ships_is_source_before_the_assignment_that_is_due_and_a_seal_for_that(tmp_path):
    files = given_files(HERE, HERE.load("a02").package)
    assert {name.partition("/")[0] for name in files} == {
        "__init__.py",
        "a00_foundations",
        "a01_transformer",
        "a02_training.sealed",
    }
    (tmp_path / "assignments/given").mkdir(parents=True)
    (tmp_path / "assignments/given/a02_training.sealed").write_bytes(files["a02_training.sealed"])
    opened = GivenParts.of(Course(tmp_path), "a02_training")
    assert opened == GivenParts.of(HERE, "a02_training") and opened.sources


def test_a_damaged_seal_says_what_to_do(tmp_path):
    (tmp_path / "assignments/given").mkdir(parents=True)
    (tmp_path / "assignments/given/a02_training.sealed").write_bytes(b"half")
    with pytest.raises(GraderFault, match=r"a02_training\.sealed is damaged; fetch the release anew"):
        GivenParts.of(Course(tmp_path), "a02_training")
    assert not GivenParts.of(Course(tmp_path), "a03_modern").sources, "where nothing is given, nothing is"
