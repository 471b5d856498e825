"""Checks of tokenizer.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, part, refusal


def row(tokens):
    """Tokens as a tensor, so that a report shows the first one that differs."""
    return torch.tensor(list(tokens), dtype=torch.int64)


def drawn_text(draw, letters, length):
    """A text of these pieces, one behind the other as they are drawn."""
    return "".join(letters[i] for i in draw.integers(0, len(letters), length).tolist())


@part("tokenizer.ByteTokenizer")
@weight(1)
@matches_reference
def test_every_byte_is_a_token(solution, draw):
    """A text becomes the bytes of its UTF-8, several for a character beyond ASCII."""
    tokenizer = solution.tokenizer.ByteTokenizer()
    text = "Zoë, 5 €\n🙂" + drawn_text(draw, "aZ5 ëé€🙂\n", 12)
    return {"tokens": row(tokenizer.encode(text)), "nothing": row(tokenizer.encode("")), "size": tokenizer.vocab_size}


@part("tokenizer.ByteTokenizer")
@weight(2)
@matches_reference
def test_special_tokens_are_made_only_where_they_are_allowed(solution, draw):
    """Special texts become one token if allowed, the longest that fits; in a text that others wrote they are bytes."""
    tokenizer = solution.tokenizer.ByteTokenizer(["<|a|>", "[end]", "<|a|>b"])
    text = "x<|a|>b[end]é<|a|><|a|>" + drawn_text(draw, ["x", "b", "é", "<|a|>", "[end]", "<|a|", "end"], 12)
    return {"allowed": row(tokenizer.encode(text, allow_special=True)), "bytes": row(tokenizer.encode(text))}


@part("tokenizer.ByteTokenizer")
@weight(1)
@matches_reference
def test_decoding_never_fails(solution, draw):
    """Any tokens have a text: broken UTF-8, tokens outside the vocabulary, a special token in the middle of a character."""
    decode = solution.tokenizer.ByteTokenizer(["<|end|>"]).decode
    return {
        "cut short": decode([72, 240, 159, 153]),
        "out of order": decode([153, 72, 195, 72]),
        "outside": decode([72, 257, -1, 10**6, 105]),
        "interrupted": decode([195, 256, 171]),
        "of a tensor": decode(torch.tensor([90, 111, 195, 171, 256])),
        "of an iterator": decode(iter([90, 195, 171])),
        "drawn": decode(draw.integers(0, 256, 12).tolist()),
    }


@part("tokenizer.ByteTokenizer")
@weight(1)
@matches_reference
def test_bytes_come_back_as_the_text(solution, draw):
    """Decoding what was encoded gives the text back, special tokens included; faulty special tokens are a ValueError."""
    build = solution.tokenizer.ByteTokenizer
    tokenizer, text = build(["<|end|>"]), "Zoë läuft.<|end|>\t🙂\0" + drawn_text(draw, ["a", "ß", "🙂", " ", "<|end|>"], 9)
    return {
        "with special": tokenizer.decode(tokenizer.encode(text, allow_special=True)),
        "without": tokenizer.decode(tokenizer.encode(text)),
        "tokens": len(tokenizer.encode(text, allow_special=True)),
        "twice": refusal(lambda: build(["a", "a"])),
        "empty": refusal(lambda: build([""])),
    }


@part("tokenizer.CharTokenizer")
@weight(1)
@matches_reference
def test_every_character_of_the_alphabet_is_a_token(solution, draw):
    """The alphabet of a text has each character once, in the order of Unicode, and a token is its index there."""
    tokenizer = solution.tokenizer.CharTokenizer.of("no banana, Zoë" + drawn_text(draw, "cdefghijklmpqrstuvwxyzCDEFGH", 7))
    return {"alphabet": tokenizer.alphabet, "tokens": row(tokenizer.encode("a no Zë")), "back": tokenizer.decode([2, 6, 7, 0, 3])}


@part("tokenizer.CharTokenizer")
@weight(1)
@matches_reference
def test_characters_outside_the_alphabet(solution, draw):
    """A character outside the alphabet is a ValueError; a token outside it becomes U+FFFD, also one below 0."""
    tokenizer = solution.tokenizer.CharTokenizer("cab")
    return {
        "unknown": refusal(lambda: tokenizer.encode("abd")),
        "tokens": row(tokenizer.encode("abc")),
        "text": tokenizer.decode([2, 3, -1, 0, 300]),
        "drawn": tokenizer.decode(draw.integers(-2, 6, 12).tolist()),
        "of a tensor": tokenizer.decode(torch.tensor([1, 0, 2])),
        "twice": refusal(lambda: solution.tokenizer.CharTokenizer("aba")),
    }
