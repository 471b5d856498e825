"""Entropies of n-grams: cases by hand, and the laws that hold for all texts."""

import math
from itertools import pairwise

import corpora
import pytest
from corpora.statistics import entropies
from hypothesis import given
from hypothesis import strategies as st


def test_by_hand():
    # a and b come equally often; after the first character nothing is left to guess.
    assert entropies(["abab", "baba"], 2) == pytest.approx([math.log(2), math.log(2) / 4])
    assert entropies(["aaaa"], 3) == [0, 0, 0]


@given(st.lists(st.text("ab\n", min_size=1), min_size=1))
def test_a_longer_context_never_knows_less(documents):
    found = entropies(documents, 6)
    assert all(one >= two - 1e-12 for one, two in pairwise(found)) and found[-1] >= 0


def test_counting_stays_above_the_floor_of_the_tales():
    tales = corpora.load("tales")
    found = entropies(tales.train)
    assert found[0] == pytest.approx(3.03, abs=0.02) and found[-1] > 2 * tales.floor


@pytest.mark.parametrize(("documents", "longest"), [([], 3), (["a"], 0)])
def test_nothing_to_count_is_refused(documents, longest):
    with pytest.raises(ValueError, match="documents and a length"):
        entropies(documents, longest)
