"""Checks of bpe.py that never ship: other texts, merges and patterns."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


def words(draw, n, alphabet):
    """Drawn words of 1 to 9 signs with drawn counts."""
    lengths, counts = draw.integers(1, 10, n).tolist(), draw.integers(1, 5, n).tolist()
    return {
        "".join(alphabet[i] for i in draw.integers(0, len(alphabet), k).tolist()).encode(): c
        for k, c in zip(lengths, counts, strict=True)
    }


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(2)
@matches_reference
def test_merges_of_drawn_words(solution, draw):
    """Words of two, three and many different signs, where ties and runs abound, give the reference's merges to the last pair."""
    found = [
        solution.bpe.train_merges(words(draw, n, alphabet), 200) for n, alphabet in ((40, "ab"), (60, "xyz"), (80, "éñ€ qrst"))
    ]
    return {"merges": [torch.tensor([tuple(pair) for pair in merges], dtype=torch.int64) for merges in found]}


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@matches_reference
def test_other_merges_and_texts(solution, draw):
    """Drawn merges, a pattern of one's own, texts of drawn signs: tokens, chunks and the way back."""
    merges = list(dict.fromkeys(tuple(pair) for pair in (97 + draw.integers(0, 5, 12, 2)).tolist()))
    merges += [(256 + i, 97 + int(draw.integers(0, 5, 1))) for i in range(4)]
    tokenizer = solution.bpe.Tokenizer(merges, ["ab|", "ab|c"], r"[a-c]+| ?[de]+|[^a-e]+?(?=[a-e])|[^a-e]+")
    texts = ["".join("abcde |\n"[i] for i in draw.integers(0, 8, 60).tolist()) for _ in range(12)]
    tokens = [tokenizer.encode(text, allow_special=True) for text in texts]
    return {
        "tokens": [torch.tensor(one) for one in tokens],
        "back": [tokenizer.decode(one) == text for one, text in zip(tokens, texts, strict=True)],
        "ordinary": torch.tensor(tokenizer.encode("".join(texts))),
    }
