"""A sealed file gives the sources again, and shows none of them to somebody who opens it in an editor or searches it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.assignment import Course
from autograder.source.given_parts import GivenParts
from autograder.source.seal import seal, unseal

SOURCES = st.dictionaries(st.text(max_size=20), st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=5)


@given(SOURCES, st.text(max_size=20))
def test_what_was_sealed_comes_back(sources, package):
    assert unseal(package, seal(package, sources)) == sources
    assert seal(package, dict(reversed(sources.items()))) == seal(package, sources)


@given(st.binary(max_size=200))
def test_what_is_no_seal_is_refused(data):
    with pytest.raises(ValueError, match="no seal of a01_x"):
        unseal("a01_x", data)


@pytest.mark.parametrize("name", Course.here().known())
def test_no_word_of_a_given_part_can_be_read_in_its_seal(name):
    course = Course.here()
    given_parts = GivenParts.of(course, course.load(name).package)
    [(file, data)] = given_parts.sealed().items()
    words = {word for text in given_parts.sources.values() for word in text.split() if len(word) >= 6}
    assert len(words) > 100 and file.endswith(".sealed")
    assert not [word for word in words if word.encode() in data]
