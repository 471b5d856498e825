"""These are wrong versions of parts of tokenizer.py, one mistake each. A docstring is the hint that a student reads."""

from tools.author.cases import misconception

from .tokenizer import UNKNOWN


@misconception("tokenizer.ByteTokenizer.encode", ask="How many bytes has “ë” in UTF-8?")
def characters_taken_for_bytes(self, text, allow_special=False):
    """Each character becomes one token, its number in Unicode, which only ASCII allows."""
    tokens, position = [], 0
    while position < len(text):
        special = max((s for s in self.ids if allow_special and text.startswith(s, position)), key=len, default="")
        tokens.append(self.ids[special] if special else ord(text[position]))
        position += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.encode", ask="Who wrote the text that is being encoded?")
def special_tokens_always_made(self, text, allow_special=False):
    """Special texts become special tokens whether they are allowed or not, so whoever writes the text can end it."""
    tokens, position = [], 0
    while position < len(text):
        special = max((s for s in self.ids if text.startswith(s, position)), key=len, default="")
        tokens += [self.ids[special]] if special else text[position].encode("utf-8")
        position += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.encode", ask="Which of two special texts wins, if one begins with the other?")
def first_special_wins(self, text, allow_special=False):
    """Of special texts that begin at one position the first of the list wins, and not the longest."""
    tokens, position = [], 0
    while position < len(text):
        special = next((s for s in self.ids if allow_special and text.startswith(s, position)), "")
        tokens += [self.ids[special]] if special else text[position].encode("utf-8")
        position += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.decode", ask="What may a model write that was not trained for long?")
def decode_expects_whole_characters(self, tokens):
    """Decoding takes the bytes for well-formed UTF-8, and fails on any that are not."""
    names = {token: text.encode("utf-8") for text, token in self.ids.items()}
    unknown = UNKNOWN.encode("utf-8")
    chunks = (bytes([token]) if 0 <= token < 256 else names.get(token, unknown) for token in map(int, tokens))
    return b"".join(chunks).decode("utf-8")


@misconception("tokenizer.ByteTokenizer.decode", ask="What is left of [195, 171], if each is decoded alone?")
def each_byte_decoded_alone(self, tokens):
    """Each token is decoded by itself, so that no character of more than one byte comes back."""
    names = {token: text for text, token in self.ids.items()}
    one = lambda token: bytes([token]).decode("utf-8", errors="replace") if 0 <= token < 256 else names.get(token, UNKNOWN)
    return "".join(one(int(token)) for token in tokens)


@misconception("tokenizer.CharTokenizer.decode", ask="What is the character at index −1 of a Python string?")
def negative_tokens_count_from_the_end(self, tokens):
    """A token below 0 counts from the end of the alphabet."""
    return "".join(self.alphabet[token] if token < self.vocab_size else UNKNOWN for token in map(int, tokens))


@misconception("tokenizer.CharTokenizer.encode", ask="Would you rather have an error, or a text with holes?")
def unknown_characters_are_dropped(self, text):
    """Characters outside the alphabet are left out without a word."""
    return [self.alphabet.index(character) for character in text if character in self.alphabet]
