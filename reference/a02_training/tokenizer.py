"""Two tokenizers without training: every byte is a token, or every character of a known alphabet is.

Left out: merging frequent pairs into longer tokens (byte-level BPE), which a later assignment trains.
Source: bytes as tokens: Xue et al., ByT5, arXiv:2105.13626, §3.1; UTF-8: RFC 3629.
"""

import re
from collections.abc import Iterable, Sequence

UNKNOWN = "\ufffd"  # what stands for something that cannot be read, in Unicode


class ByteTokenizer:
    """Tokens 0 … 255 are the bytes of UTF-8 text; special tokens follow, 256 for the first.

    special: texts that stand for one token each, such as "<|end|>"; ValueError if one is empty or stands there twice.
    `vocab_size`: how many tokens there are. `ids`: the token of each special text.
    """

    def __init__(self, special: Sequence[str] = ()):
        if len(set(special)) < len(special) or "" in special:
            raise ValueError(f"special tokens must be different texts, none of them empty; got {list(special)}")
        self.ids = {text: 256 + position for position, text in enumerate(special)}
        self.vocab_size = 256 + len(special)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The tokens of a text.

        allow_special: whether special texts become their one token, the first from the left and the longest of those that
        begin at one position. If not (the default, for text that others wrote), they are bytes like everything else.
        """
        # TODO: bytes, and special tokens where they are allowed (handout: tokenizer, step 1).
        # Watch: characters are not bytes; of "<|a|>" and "<|a|>b" the longer one wins; special texts hold signs like | and [.
        # BEGIN SOLUTION
        if not (allow_special and self.ids):
            return list(text.encode("utf-8"))
        longest_first = sorted(self.ids, key=len, reverse=True)
        chunks = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
        tokens = []
        for position, chunk in enumerate(chunks):  # the odd chunks are what was split at
            tokens += [self.ids[chunk]] if position % 2 else chunk.encode("utf-8")
        return tokens
        # END SOLUTION

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens; it never fails, because a model may write any tokens in any order.

        Bytes that are no UTF-8 are replaced as `bytes.decode(errors="replace")` does; a token outside the vocabulary becomes
        one U+FFFD. Special tokens become their text.
        """
        # TODO: from tokens to text (handout: tokenizer, step 2).
        # Watch: one character may take four tokens; a special token in the middle of a character ends it.
        # BEGIN SOLUTION
        names = {token: text.encode("utf-8") for text, token in self.ids.items()}
        unknown = UNKNOWN.encode("utf-8")
        chunks = (bytes([token]) if 0 <= token < 256 else names.get(token, unknown) for token in map(int, tokens))
        return b"".join(chunks).decode("utf-8", errors="replace")
        # END SOLUTION


class CharTokenizer:
    """Each character of an alphabet is a token: 0 for the first. Compact, and blind to everything else.

    alphabet: different characters, in the order of their tokens; ValueError otherwise. `of` takes it from a text.
    """

    def __init__(self, alphabet: str):
        if not alphabet or len(set(alphabet)) < len(alphabet):
            raise ValueError(f"the alphabet must be at least one character, each of them once; got {alphabet!r}")
        self.alphabet, self.vocab_size = alphabet, len(alphabet)

    @classmethod
    def of(cls, text: str) -> "CharTokenizer":
        """The tokenizer of all characters that stand in a text, in the order of Unicode."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> list[int]:
        """A token for each character. ValueError that names the first character outside the alphabet, and its position."""
        # TODO: characters to tokens (handout: tokenizer, step 3).
        # Watch: long texts (str.index looks through the alphabet each time); the error.
        # BEGIN SOLUTION
        token_of = {character: token for token, character in enumerate(self.alphabet)}
        for position, character in enumerate(text):
            if character not in token_of:
                raise ValueError(
                    f"{character!r} at position {position} is not in the alphabet {self.alphabet!r}; encode other text, or rebuild"
                )
        return [token_of[character] for character in text]
        # END SOLUTION

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens; one outside the alphabet becomes U+FFFD."""
        # TODO: tokens to characters (handout: tokenizer, step 4).
        # Watch: Python counts negative indices from the end.
        # BEGIN SOLUTION
        return "".join(self.alphabet[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
        # END SOLUTION
