"""No way to show an input leads to what a student reads on Gradescope, where inputs are secret. A grade of public ones shows it."""

import json
import re

import pytest

from autograder.check.inputs import OFFICIAL, SECRET
from autograder.tests.toy_course import course_copy

# Each puts the drawn numbers where it can: SHOWN is what the student hopes to read.
LEAKS = {
    "prints them": "print('SHOWN', x.tolist()); return x @ w * 2",
    "writes them to the error stream": "import sys; print('SHOWN', x.tolist(), file=sys.stderr); return x @ w * 2",
    "raises them": "raise ValueError(f'SHOWN {x.tolist()}')",
    "raises a class of that name": "raise type('SHOWN' + str(x.tolist()), (Exception,), {})('')",
    "raises a syntax error with them": "raise SyntaxError(f'SHOWN {x.tolist()}')",
    "exits with them": "import sys; sys.exit(f'SHOWN {x.tolist()}')",
    "returns them": "return x.reshape(-1)[: x[..., 0].numel()].reshape(x.shape[:-1]) if x.shape[0] == x.shape[-1] else x[..., 0] * 1",
    "returns them in another shape": "return x",
    "names a function after them": "f = eval('lambda: 1 / 0'); f.__code__ = f.__code__.replace(co_name='SHOWN' + str(x.tolist())); f()",
}
METADATA = {
    "users": [],
    "created_at": "2026-03-02T11:00:00.000000-08:00",
    "assignment": {"due_date": "2026-03-03T12:00:00.000000-08:00"},
}
NUMBER = re.compile(r"-?\d+\.\d{3,}")  # a drawn value, or what follows from one


def shown(course, folder, root) -> str:
    """All that Gradescope shows to a student."""
    path, _ = course.submit(folder, root, METADATA)
    value = json.loads(path.read_text())
    return "\n".join([value["output"], *(test["output"] for test in value["tests"])])


@pytest.mark.slow
@pytest.mark.parametrize("way", LEAKS)
def test_no_input_is_shown(toy, tmp_path, way):
    folder = toy.submission(tmp_path / "s", weighted=LEAKS[way])
    text = shown(toy, folder, tmp_path / "official")
    assert "SHOWN" not in text and not NUMBER.findall(text), text
    assert "`make grade` on your machine does" in text


@pytest.mark.slow
def test_a_grade_of_public_inputs_shows_them(toy, tmp_path):
    """The control of all ways: without a secret, the same submissions show what they can."""
    with course_copy(toy.root, tmp_path / "course") as course:
        (course.root / "reference" / OFFICIAL / SECRET).unlink()
        for number, way in enumerate(LEAKS):
            folder = course.submission(tmp_path / f"s{number}", weighted=LEAKS[way])
            text = shown(course, folder, tmp_path / f"public {number}")
            assert "SHOWN" in text or NUMBER.findall(text) or "shape" in text, f"{way}: {text}"
            assert "`make grade` on your machine does" not in text


@pytest.mark.slow
def test_it_still_says_what_went_wrong_and_where(toy, tmp_path):
    words = {
        "raise ValueError('x')": "The code raised ValueError\n  sums.py:",
        "return x": "out does not have the expected shape",
        "return x @ w * 2": "out is not as expected",
        "return -(x @ w)": "The sum has the wrong sign",
        "raise NotImplementedError('a90_toy/sums.py: weighted() is yours to write')": "weighted() is yours to write",
    }
    for number, (body, expected) in enumerate(words.items()):
        text = shown(toy, toy.submission(tmp_path / f"s{number}", weighted=body), tmp_path / str(number))
        assert expected in text, f"{body}: {text}"
