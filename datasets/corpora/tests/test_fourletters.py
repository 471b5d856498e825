"""Level 1's sequences follow their rules and stand once each."""

from corpora.sources import fourletters
from hypothesis import given
from hypothesis import strategies as st


def successor(letter: str) -> str:
    return "a" if letter == "z" else chr(ord(letter) + 1)


@given(st.integers(0, 2**32 - 1))
def test_four_repeats_four_successors_and_four_without_a_rule(seed):
    pairs = [(text[:4], text[4:8]) for text in fourletters.corpus(seed).train]
    assert len(dict(pairs)) == len(pairs) == 12
    assert all(question == answer for question, answer in pairs[:4])
    assert all("".join(map(successor, question)) == answer for question, answer in pairs[4:8])
    assert all(answer not in (question, "".join(map(successor, question))) for question, answer in pairs[8:])


def test_48_pairs_without_a_rule():
    made = fourletters.arbitrary()
    assert len({text[:4] for text in made.train}) == 48 and {len(text) for text in made.train} == {9}
    assert len(fourletters.ALPHABET) == 37 and set(made.text) <= set(fourletters.ALPHABET)
    assert fourletters.arbitrary(1).train != made.train
