"""The list by which copies are known holds every given function of today, and keeps those of yesterday."""

import json
import shutil

from autograder.assignment import Course
from autograder.source.copies import KNOWN, known_functions
from autograder.tests.toy_course import course_copy
from tools.author.given_functions import present_functions, write_given_functions

HERE = Course.here()


def test_the_list_is_up_to_date():
    """`make stubs` brings it up to date."""
    present = present_functions(HERE.root)
    assert len(present) > 100 and present.keys() <= known_functions(HERE.reference).keys()


def test_a_function_that_is_given_no_more_stays_on_the_list(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course:
        path = course.root / "assignments/given/a90_toy/sums.py"
        longer = "\n\ndef {name}(x, w):\n    total = 0.0\n    for a, b in zip(x, w):\n        total = total + a * b * {c}\n    return total / len(x) + {c}\n"
        before = path.read_text()
        path.write_text(before + longer.format(name="first", c=2))
        written = write_given_functions(course.root)
        assert written == course.root / "reference" / KNOWN
        assert list(json.loads(written.read_text()).values()) == ["a90_toy/sums.py: first"]
        assert write_given_functions(course.root) is None, "nothing is new"
        path.write_text(before + longer.format(name="second", c=3))
        write_given_functions(course.root)
        assert sorted(known_functions(course.root / "reference").values()) == [
            "a90_toy/sums.py: first",
            "a90_toy/sums.py: second",
        ]
        shutil.rmtree(path.parent)
        assert write_given_functions(course.root) is None
