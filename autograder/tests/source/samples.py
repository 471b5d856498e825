"""Source files for tests of what edits them: one to look at, and many that hypothesis draws."""

from hypothesis import strategies as st

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


def run(source: str) -> dict:
    """The names of a module after it has run."""
    names: dict = {"__name__": "module"}
    exec(compile(source, "module", "exec"), names)
    return names


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
