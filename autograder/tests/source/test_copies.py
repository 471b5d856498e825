"""A function of `given` is known again under other names, and code that somebody wrote alone is not taken for one."""

import json

import pytest

from autograder.assignment import Course
from autograder.source.copies import KNOWN, MIN_TOKENS, find_copies, functions, known_functions

HERE = Course.here()
ORIGINAL = '''
def scores(q, k, scale=None):
    """What a query says of each key."""
    if scale is None:
        raise ValueError(f"scale is missing; got {scale}")
    weights = torch.einsum("bqd,bkd->bqk", q, k) * scale
    return weights.softmax(dim=-1).to(q.dtype)
'''
RENAMED = """
class Mine:
    def anything(self, a, b, c=None):
        # my own words
        if c is None:
            raise ValueError("no scale")

        z = (T.einsum("bqd,bkd->bqk", a, b) * c) if False else T.einsum('bqd,bkd->bqk', a, b) * c
        return z.softmax(dim=-1).to(a.dtype)
""".replace('(T.einsum("bqd,bkd->bqk", a, b) * c) if False else ', "")


def digest(source: str) -> str:
    return next(functions(source)).digest


def test_names_texts_comments_and_layout_make_no_difference():
    assert digest(ORIGINAL) == digest(RENAMED)
    assert next(functions(ORIGINAL)).tokens >= MIN_TOKENS


@pytest.mark.parametrize(
    ("old", "new"),
    [("dim=-1", "dim=-2"), ("softmax", "sigmoid"), ("* scale", "/ scale"), ("q, k) *", "k, q) *"), ("dim=", "axis=")],
)
def test_what_the_code_does_makes_a_difference(old, new):
    assert old in ORIGINAL and digest(ORIGINAL.replace(old, new)) != digest(ORIGINAL)


def test_functions_are_found_inside_classes_and_functions_and_on_one_line():
    source = "class A:\n    def f(self): return 1\n\n    async def g(self):\n        def h(x):\n            return x\n        return h\n"
    assert [(f.name, f.line) for f in functions(source)] == [("f", 2), ("g", 4), ("h", 5)]


@pytest.mark.parametrize(
    "source", ["def f(", "def", "def f():\n  x\n y", "\x00", "(" * 100_000, "def f(x):\n" + " " * 50_000 + "x"]
)
def test_no_text_stops_the_search(source):
    list(functions(source))


@pytest.mark.parametrize("name", HERE.known())
def test_every_long_function_of_given_is_known_again(name):
    """Handed in as they are, but for those that stubs hold anyway."""
    assignment, known = HERE.load(name), known_functions(HERE.reference)
    sources = {path.name: path.read_text(encoding="utf-8") for path in (HERE.given / assignment.package).glob("*.py")}
    found = find_copies(sources, known)
    long = [function for text in sources.values() for function in functions(text) if function.tokens >= MIN_TOKENS]
    in_stubs = {f.digest for path in assignment.folder.glob("*.py") for f in functions(path.read_text(encoding="utf-8"))}
    assert len(found) == len([f for f in long if f.digest not in in_stubs]) >= 8


def test_no_right_or_wrong_code_of_the_course_is_taken_for_a_copy():
    """The references, their alternates and misconceptions, and the stubs."""
    known, files = known_functions(HERE.reference), 0
    for path in [*HERE.reference.rglob("*.py"), *HERE.assignments.glob("a*/*.py")]:
        files += 1
        for function in functions(path.read_text(encoding="utf-8")):
            assert function.tokens < MIN_TOKENS or function.digest not in known, f"{path.name}: {function.name}"
    assert files > 100


def test_the_list_is_missing_where_students_are(tmp_path):
    assert known_functions(tmp_path) == {}
    (tmp_path / KNOWN).write_text(json.dumps({"d": "a01_x/m.py: f"}))
    assert known_functions(tmp_path) == {"d": "a01_x/m.py: f"}
