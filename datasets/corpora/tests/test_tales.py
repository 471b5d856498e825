"""The tales: the same bytes for a seed, another language for another seed, never longer than the context."""

import hashlib
import math

import pytest
from corpora.sources.grammar import Options
from corpora.sources.lexicon import BOYS, FEELINGS, GIRLS, PLACES, QUALITIES, SPOTS, THINGS, TOOLS, Lexicon
from corpora.sources.tales import LONGEST, Grammar, corpus, language, story

DIGEST = "83ac156689c99af5b24563eb983d9d2e51cc9f2ebb6ae1b798d6b047d219e0ab"


def digest(texts) -> str:
    return hashlib.sha256("".join(texts).encode("ascii")).hexdigest()


def test_the_bytes_of_seed_0_are_frozen():
    made = corpus(0, size=100_000, held_out=20_000)
    assert digest(made.train + made.held_out) == DIGEST


def test_any_size_and_the_smaller_begins_the_larger():
    small, large = corpus(3, size=10_000, held_out=5_000), corpus(3, size=200_000, held_out=5_000)
    assert large.train[: len(small.train)] == small.train and small.held_out == large.held_out and small.floor == large.floor
    assert 10_000 - LONGEST < len(small.text) <= 10_000 and 200_000 - LONGEST < len(large.text) <= 200_000
    assert not set(small.train) & set(small.held_out)


def test_another_seed_is_another_language():
    one, two = corpus(1, 20_000, 5_000), corpus(2, 20_000, 5_000)
    # Half of each pool is shared on average, so now and then a tale belongs to both.
    assert sum(language(1).log_probability(text) is not None for text in two.train) < len(two.train) / 10
    assert one.train != two.train and set(one.text.split()) != set(two.text.split())


def test_every_language_has_the_same_shape():
    """The same number of words with the same chances, so the same entropy of each pick; only lengths differ a little."""

    def shape(words):
        return {name: some.shares for name, some in vars(words).items() if isinstance(some, Options)}

    shapes = [shape(Lexicon(seed)) for seed in range(20)]
    assert len(shapes[0]) == 12 and all(s == shapes[0] for s in shapes)


def test_a_disguise_changes_the_spelling_and_nothing_else():
    plain, hidden = corpus(4, 20_000, 5_000), corpus(4, 20_000, 5_000, disguised=True)
    assert [len(t) for t in plain.train] == [len(t) for t in hidden.train] and plain.floor == hidden.floor
    assert all(language(4).log_probability(text) is None for text in hidden.train)
    assert len(set("".join(plain.train).lower())) == len(set("".join(hidden.train).lower()))
    words = set(plain.text.replace(".", "").split())
    assert not {"found", "wanted", "used", "left"} & set(hidden.text.split()) and "found" in words


def test_no_seed_can_write_a_tale_longer_than_the_context():
    """All tales of the longest words of every pool are listed; a tale grows with each of its words."""

    class Longest(Lexicon):
        def __init__(self):
            super().__init__(0)
            self.boys = []  # "She" is the longer
            self.names = Options(sorted(GIRLS, key=len)[-2:], [1, 1])
            pools = {
                "things": THINGS,
                "qualities": QUALITIES,
                "places": PLACES,
                "spots": SPOTS,
                "tools": TOOLS,
                "feelings": FEELINGS,
            }
            pools |= {name: getattr(self, name).texts for name in ("gets", "meets", "where")}
            for name, pool in pools.items():
                setattr(self, name, Options([max(pool, key=len)], [1]))

    assert max(map(len, BOYS)) == max(map(len, GIRLS))
    grammar = Grammar(story(Longest()))
    every, prefixes = {}, {"": 1.0}
    while prefixes:
        prefix, probability = prefixes.popitem()
        chances = grammar.next_characters(prefix)
        if chances is None:
            every[prefix] = probability
        else:
            prefixes |= {prefix + letter: probability * p for letter, p in chances.items()}
    assert len(every) == 2 * 3 * 3 and math.isclose(sum(every.values()), 1)
    assert all(math.isclose(math.exp(grammar.log_probability(text)), p) for text, p in every.items())
    assert max(map(len, every)) == 138 <= LONGEST


@pytest.mark.parametrize("pool", [BOYS + GIRLS, THINGS, QUALITIES, PLACES, SPOTS, TOOLS, FEELINGS])
def test_any_choice_from_a_pool_is_prefix_free(pool):
    Options(pool, [1] * len(pool))


def test_articles_fit_what_follows():
    assert not [word for word in QUALITIES + SPOTS if word[0] in "aeiou"]
