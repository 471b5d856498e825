"""The sentences of stubs: parsing undoes writing, and a text that only resembles a sentence is none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.source.stub_text import (
    MAX_LENGTH,
    EarlierWork,
    OpenQuestion,
    Sentence,
    Unwritten,
    handout_step,
    parse,
    parse_todo,
)

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(["é", "belongs", "write", "given"])
FILES = st.tuples(NAMES, NAMES).map(lambda names: f"{names[0]}/{names[1]}.py")
FUNCTIONS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)
LINES = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=40)
STEPS = LINES.map(lambda text: text.replace(")", ""))
SENTENCES = st.one_of(
    st.builds(Unwritten, FILES, FUNCTIONS, STEPS),
    st.builds(EarlierWork, FILES, FUNCTIONS),
    st.builds(OpenQuestion, LINES),
)
YOURS = ["a01_x/m.py", ": ", "f", "()", " is yours to write", " (handout: ", "m, step 1", ")", "é", "\n"]
OTHERS = ["() belongs to ", "a01", "; finish it there or use given", "by_hand.toml: the question '", "' is still open", "'"]
RESEMBLING = st.lists(st.sampled_from([*YOURS, *OTHERS]), max_size=9).map("".join)


@given(SENTENCES)
def test_parsing_undoes_writing(sentence: Sentence):
    assert parse(str(sentence)) == sentence


@given(RESEMBLING)
def test_writing_undoes_parsing(text):
    sentence = parse(text)
    assert sentence is None or str(sentence) == text


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        (
            Unwritten("a03_modern/rope.py", "rotate", "rope, step 2"),
            "a03_modern/rope.py: rotate() is yours to write (handout: rope, step 2)",
        ),
        (Unwritten("a03_modern/rope.py", "Rope.rotate"), "a03_modern/rope.py: Rope.rotate() is yours to write"),
        (
            EarlierWork("a01_transformer/attention.py", "causal_mask"),
            "a01_transformer/attention.py: causal_mask() belongs to a01; finish it there or use given",
        ),
        (OpenQuestion("angle"), "by_hand.toml: the question 'angle' is still open"),
    ],
)
def test_the_words_of_each_sentence(sentence, text):
    assert str(sentence) == text and parse(text) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "this is yours to write",
        "m.py: f() is yours to write",
        "a01_x/m.py: f() is yours to write ",
        "Error: a01_x/m.py: f() is yours to write",
        "a01_x/m.py: f() is yours to write (handout: )",
        "a01_x/m.py: f() is yours to write (handout: m, step 1",
        "a01_x/m.py: f() is yours to write (handout: m, step 1) a01_x/m.py: g() is yours to write",
        "a01_x/m.py: f() and g() is yours to write",
        "a01_x/m.py: f() belongs to a02; finish it there or use given",
        "by_hand.toml: the question 'x\n' is still open",
        "by_hand.toml: the question 'x",
        "a01_x/m.py: " + "f" * MAX_LENGTH + "() is yours to write",
    ],
)
def test_a_text_that_resembles_a_sentence_is_none(text):
    assert parse(text) is None
    assert parse("a01_x/m.py: f() is yours to write (handout: m, step 1)"), "the control: this one is"


@pytest.mark.parametrize(
    ("file", "function", "step"),
    [
        ("m.py", "f", ""),
        ("a01_x/m.toml", "f", ""),
        ("../m.py", "f", ""),
        ("a01_x/m.py", "f()", ""),
        ("a01_x/m.py", "", ""),
        ("a01_x/m.py", "f", "m (step 1)"),
        ("a01_x/m.py", "f", "m\nstep 1"),
        ("a01_x/m.py", "f" * MAX_LENGTH, ""),
    ],
)
def test_a_sentence_that_could_not_be_parsed_is_not_written(file, function, step):
    with pytest.raises(ValueError, match="got "):
        Unwritten(file, function, step)
    assert Unwritten("a01_x/m.py", "f", "m, step 1")


def test_what_belongs_to_an_earlier_assignment_is_not_to_do_here():
    unwritten, earlier = Unwritten("a01_x/m.py", "f"), EarlierWork("a01_x/m.py", "f")
    assert (parse_todo(str(unwritten)), parse_todo(str(earlier))) == (unwritten, None)


@pytest.mark.parametrize(
    ("file", "function", "expected"),
    [
        ("a01_x/m.py", "mask", True),
        ("a01_x/m.py", "mask.inner", True),
        ("a01_x/m.py", "causal_mask", False),
        ("a01_x/m.py", "mask_bias", False),
        ("a01_x/m.py", "Head.mask", False),
        ("a01_x/mask.py", "f", False),
        ("a02_x/m.py", "mask", False),
    ],
)
def test_a_function_lies_in_the_part_of_its_module_and_name(file, function, expected):
    assert Unwritten(file, function).lies_in("a01_x", "m.mask") is expected


def test_every_open_question_belongs_to_by_hand():
    assert OpenQuestion("mask").lies_in("a01_x", "by_hand") and not OpenQuestion("mask").lies_in("a01_x", "m.mask")


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("    # TODO: turn it (handout: rope, step 2).", "rope, step 2"),
        ("(handout: a) (handout: b)", "a"),
        ("(handout: a", None),
        ("rope, step 2", None),
        ("(handout: )", ""),
    ],
)
def test_the_step_of_the_handout(text, step):
    assert handout_step(text) == step


@pytest.mark.parametrize("piece", ["(handout: ", "() is yours to write", "a: ", "'", "by_hand.toml: the question '", "."])
def test_a_hostile_message_costs_no_more_than_its_length(piece):
    """Ten million characters and a thousand messages that are not too long: quadratic parsing would take hours."""
    text = piece * (10_000_000 // len(piece))
    started = time.process_time()
    assert parse(text) is None and not any(parse(text[:length]) for length in range(MAX_LENGTH))
    assert time.process_time() - started < 5
