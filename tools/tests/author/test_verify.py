"""`verify` names each thing that is not as it should be. The toy of test_pipeline, on which it finds none, is the control."""

import json
import shutil

import pytest

HARMLESS = """

@misconception("sums.mean")
def harmless(x, w):
    '''Called a mistake, but right.'''
    return weighted(x, w) / x.shape[-1]


@misconception("sums.mean")
def unnamed(x, w):
    '''The sum is not divided. No golden value knows it.'''
    return weighted(x, w)
"""
WRONG = """

@alternate("sums.mean")
def halved(x, w):
    '''Called right, but wrong.'''
    return weighted(x, w) / 2
"""


@pytest.mark.slow
def test_each_thing_that_is_not_as_it_should_be_is_named(toy, tmp_path):
    shutil.copytree(toy.root, tmp_path / "course")
    course = type(toy)(tmp_path / "course")
    for kind, text in (("misconceptions", HARMLESS), ("alternates", WRONG)):
        path = course.root / "reference/a90_toy" / kind / "sums.py"
        path.write_text(path.read_text() + text)
    shutil.copy(course.root / "reference/a90_toy/sums.py", course.root / "assignments/a90_toy/sums.py")
    result = course.run("verify", "a90", "--quick", "--json", str(tmp_path / "v.json"), module="tools")
    figures = json.loads((tmp_path / "v.json").read_text())["a90"]
    assert result.returncode == 1 and "mutants" not in figures, result.stderr
    assert [problem.partition(":")[0] for problem in figures["problems"]] == [
        "stubs get 100.0",
        "alternate halved gets 60.0 of 100",
        "misconception harmless passes every check of its own module (score 100.0)",
        "misconception unnamed is rejected but not named; shown instead",
        "3 misconceptions, at least 6 are asked for",
    ]
    assert all(f"- {problem}" in result.stdout for problem in figures["problems"])


EXTRA_MISTAKE = """
from tools.author.cases import misconception


@misconception("sums.mean")
def not_divided(x, w):
    '''The sum is not divided.'''
    return weighted(x, w)
"""
EXTRA_RIGHT = """
from tools.author.cases import alternate


@alternate("sums.mean")
def mean_of_products(x, w):
    '''Products first.'''
    return (x * w).mean(-1)
"""


@pytest.mark.slow
def test_extra_cases_are_graded_as_what_they_are(toy, tmp_path):
    """A right alternate gets 100; a mistake loses the points of the one check that notices it, and no others."""
    (tmp_path / "misconceptions.py").write_text(EXTRA_MISTAKE)
    (tmp_path / "alternates.py").write_text(EXTRA_RIGHT)
    course = type(toy)(shutil.copytree(toy.root, tmp_path / "course"))
    course.run("verify", "a90", "--quick", "--extra", str(tmp_path), "--json", str(tmp_path / "v.json"), module="tools")
    right, wrong = sorted(json.loads((tmp_path / "v.json").read_text())["a90"]["extra"], key=lambda one: one["case"])
    assert (right["case"], right["score"], right["failed"]) == ("alternate mean_of_products", 100.0, [])
    assert (wrong["case"], wrong["score"]) == ("misconception not_divided", 60.0)
    assert [failure["check"] for failure in wrong["failed"]] == ["test_sums.py::test_mean"]
