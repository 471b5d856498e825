"""Stubs are the reference less its solutions, and those that are committed are those that the reference gives."""

import ast
import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.author.stubs import drifted, make_stub, stubs, write_stubs

ROOT = Path(__file__).parents[3]

SOURCE = '''"""Doc."""

import math  # used by the solution alone
from torch import nn


def angle(x: float) -> float:
    """Doc."""
    if x < 0:
        raise ValueError("x")
    # TODO: the angle (handout: rope, step 1).
    # Watch: degrees.
    # BEGIN SOLUTION
    def inner(y):
        return math.atan(y)

    return inner(x)

    # a last remark
    # END SOLUTION


class Head(nn.Module):
    """Doc."""

    def forward(self, x):
        # BEGIN SOLUTION
        return x
        # END SOLUTION

    async def later(self, x):
        """Doc (handout: nowhere)."""
        def outer(y):
            # BEGIN SOLUTION a01_transformer/layers.py
            return y
            # END SOLUTION
        return outer(x)  # é
'''


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[2:] for line in lines if line.startswith("+")]


def test_a_solution_becomes_one_raise_that_names_file_function_and_its_own_step():
    stub = make_stub(SOURCE, "a03_modern", "rope.py")
    assert changed(SOURCE, stub) == [
        '    raise NotImplementedError("a03_modern/rope.py: angle() is yours to write (handout: rope, step 1)")\n',
        '        raise NotImplementedError("a03_modern/rope.py: Head.forward() is yours to write")\n',
        "            raise NotImplementedError(\n",
        '                "a01_transformer/layers.py: Head.later.outer() belongs to a01; finish it there or use given"\n',
        "            )\n",
    ]
    assert "SOLUTION" not in stub
    assert "atan" not in stub
    assert "remark" not in stub
    assert stub.startswith(SOURCE[: SOURCE.index("    # BEGIN")]), "imports, checks and the TODO stay"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def f():\n    # BEGIN SOLUTION\n    return 1\n", r"m\.py:2: BEGIN SOLUTION without an END"),
        ("def f():\n    return 1\n    # END SOLUTION\n", r"m\.py:3: END SOLUTION without a BEGIN"),
        ("def f():\n    # BEGIN SOLUTION\n    # BEGIN SOLUTION\n    return 1\n", r"m\.py:3: a second BEGIN"),
        ("def f():\n    pass # BEGIN SOLUTION\n    # END SOLUTION\n", r"m\.py:2: a marker stands alone"),
        ("# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n", r"m\.py:1: a solution stands inside one function"),
        ("class A:\n    # BEGIN SOLUTION\n    x = 1\n    # END SOLUTION\n", r"m\.py:2: a solution stands inside"),
        (
            "def f():\n    # BEGIN SOLUTION\n    x = 1\n    # END SOLUTION\n    return x\n",
            r"m\.py:5: f\(\) goes on after",
        ),
        (
            "def f():\n    # BEGIN SOLUTION\n    x = 1\ndef g():\n    y = 2\n    # END SOLUTION\n",
            r"m\.py:2: a solution st",
        ),
        (
            "def f(x):\n    if x:\n        # BEGIN SOLUTION\n        return 1\n        # END SOLUTION\n    return 2\n",
            r":6: f\(\)",
        ),
        (
            "def f(x):\n    if x:\n    # BEGIN SOLUTION\n        y = 1\n    # END SOLUTION\n",
            r"m\.py: the stub would not be",
        ),
    ],
)
def test_markers_that_are_not_as_they_should_be_are_refused_with_their_place(source, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_stub(source, "a01_x", "m.py")


LINES = st.lists(
    st.sampled_from(["x = 'é'", "# c", "", "def f():\n    return '''\n# \x0c'''", "class A:\n\n\tb = 1"]), max_size=8
)
BODY = st.lists(st.sampled_from(["return 1", "y = 2  # é", "", "if y:\n        y = 3", "# remark"]), min_size=1, max_size=5)


@given(LINES)
def test_a_file_without_markers_is_its_own_stub(lines):
    source = "\n".join(lines)
    assert make_stub(source, "a01_x", "m.py") == source


@given(LINES, BODY, LINES, st.sampled_from(["\n", "\r\n"]))
def test_all_that_is_no_solution_stays_byte_for_byte(before, body, after, new_line):
    head = "\n".join([*before, "def g(y):", "    '''Doc.'''", "    # TODO (handout: m, step 1)", ""])
    solution = "\n".join(["    # BEGIN SOLUTION", *(f"    {line}".rstrip() for line in body), "    # END SOLUTION", ""])
    tail = "\n".join(["", *after])
    head, solution, tail = (part.replace("\n", new_line) for part in (head, solution, tail))
    stub = make_stub(head + solution + tail, "a01_x", "m.py")
    message = "a01_x/m.py: g() is yours to write (handout: m, step 1)"
    assert stub == f'{head}    raise NotImplementedError("{message}"){new_line}{tail}'
    assert ast.parse(stub)


def test_stubs_are_written_for_modules_with_solutions_and_only_when_they_change(tmp_path):
    reference = tmp_path / "reference" / "a03_modern"
    reference.mkdir(parents=True)
    (tmp_path / "assignments" / "a03_modern").mkdir(parents=True)
    for name in ("rope.py", "misconceptions/rope.py", "alternates/rope.py"):
        (reference / name).parent.mkdir(exist_ok=True)
        (reference / name).write_text(SOURCE, encoding="utf-8")
    (reference / "__init__.py").write_text("")
    stub = tmp_path / "assignments" / "a03_modern" / "rope.py"
    assert drifted(tmp_path) == [stub]
    assert write_stubs(tmp_path) == [stub]
    assert (drifted(tmp_path), write_stubs(tmp_path)) == ([], [])
    stub.write_text(stub.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
    assert drifted(tmp_path) == [stub]


def test_the_committed_stubs_are_those_that_the_reference_gives():
    assert stubs(ROOT)
    assert [str(path.relative_to(ROOT)) for path in drifted(ROOT)] == [], "run `make stubs`"
