"""A definition of the reference is replaced by a case, and every other character stays."""

import pytest
from hypothesis import given

from autograder.tests.source.samples import MODULE, MODULES, TARGET, run
from tools.author.cases import Case, load_cases
from tools.author.replace_definition import replace_definition

CASE = Case("alternate", "m.target", "other", "", source="def other(x):\n    '''é\n é'''\n    return 'replaced'")


def cases(tmp_path, text: str) -> list[Case]:
    path = tmp_path / "cases.py"
    path.write_text(text, encoding="utf-8")
    return load_cases(path)


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


@given(MODULES)
def test_replace_keeps_every_character_outside_the_definition(parts):
    before, after = ("".join(f"{statement}\n" for statement in part) for part in parts)
    out = replace_definition(f"{before}{TARGET}\n{after}", "target", CASE)
    assert out == f"{before}def target(x):\n    '''é\n é'''\n    return 'replaced'\n{after}"
    assert run(out)["target"](1) == "replaced"
