"""A part of a student's file is imported from `given` instead, and all other code stays at its place."""

import ast
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.source.delegate import delegate
from autograder.tests.source.samples import MODULE, MODULES, TARGET, run


@pytest.fixture
def given_module():
    """A module `given_parts` with a part of each name that the tests ask for."""
    module = types.ModuleType("given_parts")
    module.gelu = module.Head = lambda x: "given"
    sys.modules["given_parts"] = module
    yield "given_parts"
    del sys.modules["given_parts"]


def test_a_definition_gives_way_to_the_import_and_every_line_keeps_its_number():
    out = delegate(MODULE, "first", "given.a01.m")
    first = MODULE.index("@staticmethod"), MODULE.index("\n\n\nclass Head")
    lost = MODULE[slice(*first)].count("\n")
    assert out == MODULE[: first[0]] + "from given.a01.m import first" + "\n" * lost + MODULE[first[1] :]


def test_a_method_is_delegated_with_its_class():
    assert "from given.m import Head\n" in delegate(MODULE, "Head.forward", "given.m")


@pytest.mark.parametrize(
    "source",
    [
        "gelu = lambda x: 'mine'",
        "gelu = lambda x: 'mine'; relu = gelu  # a comment",
        "relu = gelu = lambda x: 'mine'",
        "gelu, relu = (lambda x:\n    'mine'), (lambda x: 0); used = gelu",
        "gelu: object = print",
        "import math as gelu",
        "from math import *",
        "from math import (pi,\n  tau as gelu)\nused = gelu",
        "def gelu(x): return 'mine'\ngelu = staticmethod(gelu)",
        "def gelu(x): return 'mine'\nused = gelu\ndef gelu(x):\n    return 'mine'\n    # the end",
        "if True:\n\tdef gelu(x):\n\t\treturn 'mine'\nelse:\n    gelu = 1",
        "try:\n    from nowhere import gelu\nexcept ImportError as gelu:\n    gelu = print",
        "if (gelu := print):\n    pass  # a comment\nused = gelu",
        "for gelu in (1, 2): gelu = 3",
        "with open('/dev/null') as gelu:\n    pass",
        "match 3:\n    case gelu:\n        pass",
        "match {1: 2}:\n    case {1: 2, **gelu}: pass",
        "while True:\n    gelu = 3\n    break",
        "async def gelu(x): return 'mine'",
        "\ufeff# a mark\r\ndef gelu(x):\r\n    return 'mine'\r\nused = gelu\r\n",
        '"""Doc."""',
        "from __future__ import annotations; x = 1",
        "# only a comment",
        "",
        "x = 1\nused = 2",
        "def relu(x):\n    gelu = 1\n    return [gelu for gelu in x]",
        "class MLP:\n    gelu = 3",
    ],
)
def test_the_name_means_the_given_part_however_the_student_bound_it(source, given_module):
    out = delegate(source, "gelu", given_module)
    names = run(out.removeprefix("\ufeff"))
    assert names["gelu"](1) == "given"
    if "used = gelu" in source:
        assert names["used"](1) == "given"


def test_a_file_that_does_not_parse_says_so():
    with pytest.raises(SyntaxError):
        delegate("def gelu(:\n", "gelu", "given_parts")


@given(MODULES, st.sampled_from(["f1", "C2", "target", "absent"]))
def test_delegate_leaves_all_other_code_at_its_place(parts, name):
    source = "import os\n" + "".join(f"{statement}\n" for part in parts for statement in part) + TARGET
    out = delegate(source, name, "given_parts")

    def others(text: str) -> list[tuple[int, str]]:
        return [
            (node.lineno, ast.dump(node))
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.stmt) and not hasattr(node, "body") and getattr(node, "module", "") != "given_parts"
        ]

    expected = [pair for pair in others(source) if pair in others(out)]
    assert others(out) == expected, "nothing new, nothing moved"
    defined = {getattr(node, "name", None) for node in ast.walk(ast.parse(out))}
    assert name not in defined - {None} or f"import {name}" in out
    assert not any(isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name for n in ast.parse(out).body)
