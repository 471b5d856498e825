"""The snippets run, do what their names say, and have one right body each."""

import ast
import operator

import corpora
from corpora.sources import snippets

MEANING = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "rest": operator.mod,
    "power": operator.pow,
    "mean": lambda a, b: (a + b) / 2,
    "gap": lambda a, b: abs(a - b),
    "swap": lambda a, b: (b, a),
    "pair": lambda a, b: [a, b],
    "equal": operator.eq,
    "larger": max,
    "smaller": min,
    "count": None,
    "double": lambda a: 2 * a,
    "square": lambda a: a * a,
    "total": None,
}


def test_every_row_parses_runs_and_does_what_its_name_says():
    assert MEANING.keys() == snippets.BODIES.keys() and len(MEANING) == 17
    for name, letters in snippets.pairs():
        space: dict = {}
        exec(snippets.row(name, letters), space)
        if name == "count":
            assert space[name]([3, 5, 3], 3) == 2
        elif name == "total":
            assert space[name]([3, 5, 3]) == 11
        else:
            for values in ((7, 3), (2, 5)):
                numbers = values[: len(letters)]
                assert space[name](*numbers) == MEANING[name](*numbers), (name, letters)


def test_rows_fit_the_model():
    made = snippets.corpus()
    rows = made.train + made.held_out
    assert made.longest <= snippets.LONGEST and len(set("".join(rows))) <= 42
    assert all(text.endswith("\n\n") and text.index("\n\n") == len(text) - 2 for text in rows)
    assert all(len(ast.parse(text).body) == 1 for text in rows)


def test_held_out_pairs_are_never_trained_on_and_their_parts_are():
    made = snippets.corpus()
    every = {snippets.row(*pair) for pair in snippets.pairs()}
    assert set(made.train) | set(made.held_out) == every and len(every) == len(made.train) + len(made.held_out) == 14 * 90 + 30
    assert len(made.held_out) >= 200

    def heads(rows):
        return {text.split(":", 1)[0] for text in rows}

    assert len(heads(every)) == len(every), "one body for each first line"
    assert {head.split("(")[0] for head in heads(made.held_out)} <= {head.split("(")[0] for head in heads(made.train)}
    assert {head.split("(")[1] for head in heads(made.held_out)} <= {head.split("(")[1] for head in heads(made.train)}


def test_the_seed_decides_what_is_held_out():
    assert snippets.corpus(0) == snippets.corpus(0) == corpora.load("snippets")
    assert set(snippets.corpus(0).held_out) != set(snippets.corpus(1).held_out)
