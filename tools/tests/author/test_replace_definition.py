"""Overlays change one definition and nothing else: of the reference by a case, of a student's file by an import."""

import ast
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.source.delegate import delegate
from tools.author.cases import Case, load_cases
from tools.author.replace_definition import replace_definition

MODULE = '''#!/usr/bin/env python3
# über a line before the docstring
"""Doc."""
import math
from collections.abc import Callable


def other():  return  "é", math.pi   # kept as it is


@staticmethod
def first(x: int) -> int:
    """Doc
of first."""
    # BEGIN SOLUTION
    return x
    # END SOLUTION


class Head:
    """Doc."""

    def forward(self, x):
        return x

    def backward(self, x): return -x
'''


def cases(tmp_path, text: str) -> list[Case]:
    path = tmp_path / "cases.py"
    path.write_text(text, encoding="utf-8")
    return load_cases(path)


def run(source: str) -> dict:
    names: dict = {"__name__": "module"}
    exec(compile(source, "module", "exec"), names)
    return names


@pytest.fixture
def given_module():
    """A module `given_parts` with a part of each name that the tests ask for."""
    module = types.ModuleType("given_parts")
    module.gelu = module.Head = lambda x: "given"
    sys.modules["given_parts"] = module
    yield "given_parts"
    del sys.modules["given_parts"]


# replace


def test_a_function_is_replaced_under_its_own_name_with_what_the_case_needs(tmp_path):
    (case,) = cases(
        tmp_path,
        """
import math
from fractions import Fraction

def _half(x):
    return Fraction(x, 2)

@misconception("m.first")
@staticmethod
def halved(x):
    '''It halves
and calls itself.'''
    return _half(x) + (halved(x - 1) if x else 0) + math.floor(0.5)
""",
    )
    out = replace_definition(MODULE, "first", case)
    assert out == MODULE.replace(
        "from collections.abc import Callable\n",
        "from collections.abc import Callable\nfrom fractions import Fraction\ndef _half(x):\n    return Fraction(x, 2)\n",
    ).replace(
        MODULE[MODULE.index("@staticmethod") : MODULE.index("\n\n\nclass Head")],
        "@staticmethod\ndef first(x):\n    '''It halves\nand calls itself.'''\n"
        "    return _half(x) + (first(x - 1) if x else 0) + math.floor(0.5)",
    )
    assert run(out)["first"](4) == 5


def test_a_method_is_replaced_at_its_indentation_and_strings_keep_their_insides(tmp_path):
    (case,) = cases(
        tmp_path,
        '''
@misconception("m.Head.forward")
def wrong(self, x):
    """Doc
  with a second line."""
    text = f"""
    {x}
 é"""

    # a comment
    return super().__class__, text, (
        "a"
        "b"
    )
''',
    )
    out = replace_definition(MODULE, "Head.forward", case)
    before, after = MODULE[: MODULE.index("    def forward")], MODULE[MODULE.index("\n\n    def backward") :]
    assert out.startswith(before)
    assert out.endswith(after)
    assert "\n        # a comment\n" in out
    head = run(out)["Head"]
    assert head.forward.__doc__ == "Doc\n  with a second line."
    assert head().forward(7)[1:] == ("\n    7\n é", "ab")
    assert head().backward(7) == -7


def test_a_class_is_replaced_wholly_and_may_name_itself(tmp_path):
    (case,) = cases(
        tmp_path,
        """
@alternate("m.Head")
class Other(dict):
    '''Another.'''
    def __init__(self):
        super().__init__(a=1)
        super(Other, self).__init__(b=2)
        self.__hidden = 3
""",
    )
    made = run(replace_definition(MODULE, "Head", case))["Head"]()
    assert (made, made._Head__hidden) == ({"a": 1, "b": 2}, 3)


def test_imports_that_the_file_has_are_not_repeated(tmp_path):
    (case,) = cases(tmp_path, 'import math\n@alternate("m.other")\ndef o():\n    "doc"\n    return math.e\n')
    assert replace_definition(MODULE, "other", case).count("import math") == 1


def test_in_a_file_without_imports_what_a_case_needs_comes_before_the_code(tmp_path):
    (case,) = cases(tmp_path, 'import math\n@alternate("m.f")\ndef o():\n    "doc"\n    return math.e\n')
    out = replace_definition("# a comment\n@print\ndef f(): return 1\n", "f", case)
    assert out == '# a comment\nimport math\ndef f():\n    "doc"\n    return math.e\n'


@pytest.mark.parametrize(
    ("target", "text", "complaint"),
    [
        ("missing", "def f(): 'doc'", "found on lines: none"),
        ("Head.missing", "def f(): 'doc'", "expected one def or class missing"),
        ("twice", "def f(): 'doc'", "found on lines: 1, 3"),
        ("assigned", "def f(): 'doc'", "found on lines: 2"),
        ("Head", "def f(): 'doc'", "must be both classes or both functions"),
        ("first", "def f(x): 'doc'", "first is a staticmethod"),
        ("other", "def f():\n    'doc'\n    return other()", "uses other, which it replaces"),
        ("Head", "class f(Head): 'doc'", "uses Head, which it replaces"),
        ("other", "def f():\n    'doc'\n    return first()", "has a first of its own"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(tmp_path, target, text, complaint):
    (case,) = cases(tmp_path, f'def first(): pass\n@alternate("m.{target}")\n{text}\n')
    with pytest.raises(ValueError, match=complaint):
        replace_definition("def twice(): pass\nassigned = 1\ndef twice(): pass\n" + MODULE, target, case)


# delegate


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


# laws

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=8)
DOCS = TEXTS.map(lambda text: '"""' + text.replace("\\", "").replace('"', "") + '"""')
STATEMENTS = st.one_of(
    TEXTS.map(lambda t: "# " + " ".join(t.split())),
    DOCS,
    st.just(""),
    st.integers(0, 9).map(lambda n: f"import math as m{n}; c{n} = 'é', 1"),
    st.tuples(st.integers(0, 9), DOCS).map(lambda p: f"@(lambda f: f)\ndef f{p[0]}(a, *, b=1):\n  {p[1]}\n  return a"),
    st.tuples(st.integers(0, 9), DOCS).map(lambda p: f"class C{p[0]}:\n\t{p[1]}\n\tdef g(self):\n\t\treturn 1\n\t# end"),
    st.integers(0, 9).map(lambda n: f"if True:\n    def f{n}(): return 'a' ; 'b'\nelse: f{n} = 1"),
)
TARGET = "@(lambda f: f)\ndef target(x):\n    '''Doc\n  of target.'''\n    return x\n    # the last comment"
MODULES = st.tuples(st.lists(STATEMENTS, max_size=6), st.lists(STATEMENTS, max_size=6))
CASE = Case("alternate", "m.target", "other", "", source="def other(x):\n    '''é\n é'''\n    return 'replaced'")


@given(MODULES)
def test_replace_keeps_every_character_outside_the_definition(parts):
    before, after = ("".join(f"{statement}\n" for statement in part) for part in parts)
    out = replace_definition(f"{before}{TARGET}\n{after}", "target", CASE)
    assert out == f"{before}def target(x):\n    '''é\n é'''\n    return 'replaced'\n{after}"
    assert run(out)["target"](1) == "replaced"


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
