"""Checks of bpe.py."""

import json
import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    at_most,
    fits_in_memory,
    keeps_pace,
    limits,
    matches_reference,
    needs,
    part,
    refusal,
    satisfies,
)

FABLE = """The miller had three sons, a mill, a donkey and a cat. When he died the sons shared what there was: the eldest took the mill,
the second took the donkey, and the youngest took the cat. "What shall I do with a cat?" said the youngest. "I'll eat it, and then
there's nothing left." The cat heard him, and it didn't like what it heard. "Give me a pair of boots," said the cat, "and you'll see
that you haven't been treated so badly." Another day the cat took 12 partridges, 144 rabbits and 1728 fish to the king's table.
"""
SPELLED = (  # some that this text gives, so that checks of the tokenizer do not depend on training
    "104,101 32,116 97,116 257,256 32,97 32,115 110,100 32,99 32,100 108,108 263,258 105,116 111,111 114,101 260,262 32,34 32,109 "
    "32,119 32,121 101,115 104,97 104,258 105,100 110,103 111,110 111,117 257,268 274,281 282,107 32,49 32,98 32,256 32,267 97,114 "
    "105,265 107,101 116,256 272,290 275,116 32,101 32,108 32,112 32,276 39,115 39,116 39,265 46,34 84,256 97,98 97,278 101,100 "
    "101,101 104,105 110,111 118,101 261,276 261,280 261,305 264,280 273,277 279,294 283,316 287,289 291,121 312,115 314,319 13,10"
)
MERGES = [tuple(map(int, pair.split(","))) for pair in SPELLED.split()]
SPECIAL = ["<|end|>", "[s]", "<|end|>er"]
ODD = (
    "",
    "the cat",
    "a\r\nb\r\n\r\n  c\n",
    "    spaces   and\ttabs \t end  ",
    "\u00a0the\u2003cat\u00a0",
    "cafe\u0301 café ñ",
    "👩‍👩‍👧 🇩🇪👍🏽the",
    "I'll he've don't cat's 'tis 'LL rock'n'roll",
    "1728 12partridges 144,5 ½ ²",
    "的模型 моде́ль نموذج",
    "<|end|>[s] x<|end|>er|end|",
    "\0\x7f\ufeffthe\u200dcat",
)


def row(tokens):
    """Tokens as a tensor, so that a report shows the first one that differs."""
    return torch.tensor(list(tokens), dtype=torch.int64)


def counted(words):
    """Words and counts in alphabetical order; a type name where words are no bytes."""
    return {
        "words": " | ".join(
            sorted(word.decode("utf-8", "replace") if isinstance(word, bytes) else str(type(word)) for word in words)
        ),
        "counts": row(words[word] for word in sorted(words, key=repr)),
    }


def pairs(merges):
    """Merges as a tensor (merges, 2)."""
    return torch.tensor([tuple(pair) for pair in merges], dtype=torch.int64).reshape(-1, 2)


def letters(draw, n, alphabet):
    """A text of n drawn signs."""
    return "".join(alphabet[i] for i in draw.integers(0, len(alphabet), n).tolist())


def prose(draw, size, n_words=16_000):
    """About `size` characters of made-up words, few of them often, as in a language."""
    common = np.cumsum(np.array([12, 9, 8, 7.5, 7, 6.5, 6, 6, 4, 4, 3, 3, 2.5, 2.5, 2, 2, 2, 2, 1.5, 1, 1]))
    lengths = draw.integers(1, 10, n_words).tolist()
    drawn = np.searchsorted(common / common[-1], draw.uniform(0, 1, sum(lengths)).numpy()).clip(max=20)
    spelled = "".join("etaoinsrhdlucmfywgpbv"[i] for i in drawn.tolist())
    words = [spelled[end - length : end] for end, length in zip(accumulate(lengths), lengths, strict=True)]
    share = np.cumsum(1 / (np.arange(n_words) + 2.7))
    drawn = np.searchsorted(share / share[-1], draw.uniform(0, 1, size // 5).numpy()).clip(max=n_words - 1)
    return " ".join(words[i] for i in drawn.tolist())[:size]


def calls_of_libraries(solution, work):
    """What `work()` gives, and the tokenizer libraries that the student's bpe.py called on the way ("" for none)."""
    libraries, mine, found = ("tiktoken", "tokenizers", "sentencepiece"), solution.bpe.__file__, set()

    def watch(frame, event, argument):
        if event == "c_call" and frame.f_code.co_filename == mine:
            found.add(
                str(getattr(argument, "__module__", "") or type(getattr(argument, "__self__", None)).__module__).split(".")[0]
            )
        elif event == "call" and frame.f_back is not None and frame.f_back.f_code.co_filename == mine:
            found.add(str(frame.f_globals.get("__name__", "")).split(".")[0])

    sys.setprofile(watch)
    try:
        result = work()
    finally:
        sys.setprofile(None)
    return result, ", ".join(sorted(found.intersection(libraries)))


def equal(first, second):
    """Two sequences of tokens are the same, whatever is in them."""

    def holds(seen):
        a, b = seen[first].values, seen[second].values
        return (
            None if np.array_equal(a, b) else f"{first} and {second} should be the same tokens; there are {len(a)} and {len(b)}"
        )

    return holds


@part("bpe.split_special")
@weight(1)
@matches_reference
def test_special_texts_stand_at_odd_places(solution, draw):
    """Ordinary segments stand at even indices, empty ones too, special ones at odd indices; joined they are the text."""
    split = solution.bpe.split_special
    return {
        "between": split("one<|end|>two[s]three", SPECIAL),
        "at both ends": split("[s]x<|end|>", SPECIAL),
        "side by side": split("[s][s]", ["[s]"]),
        "none there": split("one", SPECIAL),
        "nothing": split("", SPECIAL),
        "no specials": split("a<|end|>b", []),
        "of an iterator": split("a<|end|>b", iter(["<|end|>"])),
        "drawn": " ¦ ".join(split(letters(draw, 14, ("x", "<|end|>", "[s]", "<|end|", "er", "]")), SPECIAL)),
    }


@part("bpe.split_special")
@weight(1)
@matches_reference
def test_longest_special_text_counts_and_signs_mean_themselves(solution, draw):
    """Of specials that begin at one position the longest counts; signs such as |, [, ., ( and * stand for themselves."""
    split = solution.bpe.split_special
    return {
        "longest": split("x<|end|>er<|end|>e", SPECIAL),
        "longest of three": split("aaaa", ["a", "aaa", "aa"]),
        "from the left": split("abcd", ["bcd", "ab"]),
        "drawn": " ¦ ".join(split(letters(draw, 16, "ab"), ["a", "aaa", "aa"])),
        "signs": split("a.c(x)abc**<s>", [".", "(x)", "**", "<s>"]),
        "brackets": split("s [s] end |", ["[s]", "<|end|>"]),
    }


@part("bpe.count_pretokens")
@needs("bpe.split_special")
@weight(1)
@matches_reference
def test_pretokens_are_counted(solution, draw):
    """Words with the space before them, numbers, signs, contractions and runs of space are counted, as bytes of UTF-8."""
    count = solution.bpe.count_pretokens
    return {
        "fable": counted(count([FABLE])),
        "odd": counted(count(ODD)),
        "bytes": all(isinstance(word, bytes) for word in count(["Zoë 的"])),
        "total": sum(count([letters(draw, 400, "ab c1.'s\n")]).values()),
        "nothing": len(count([""])),
    }


@part("bpe.count_pretokens")
@needs("bpe.split_special")
@weight(1)
@matches_reference
def test_special_texts_are_cut_out_first(solution, draw):
    """Special texts are not counted, and nothing reaches across one: "the[s]cat" holds "the" and "cat"."""
    count = solution.bpe.count_pretokens
    text = "the[s]cat <|end|> a  <|end|>er the<|end|>the"
    text += letters(draw, 14, (" the", " cat", "<|end|>", "[s]", "er", "  "))
    return {"with": counted(count([text], SPECIAL)), "without": counted(count([text]))}


@part("bpe.count_pretokens")
@needs("bpe.split_special")
@weight(1)
@matches_reference
def test_texts_come_one_by_one(solution, draw):
    """Texts may come from an iterator, each on its own: no pre-token reaches from one into the next. Another pattern is used."""
    count = solution.bpe.count_pretokens
    return {
        "three": counted(count(iter(["the ca", "t the", " cat", ""]))),
        "drawn": counted(count(letters(draw, 12, ("the", " ca", "t", " ")) for _ in range(3))),
        "other pattern": counted(count(["ab, cd  ef", "ab"], pattern=r"\w|\W+")),
        "all at once": counted(count(["the ca" + "t the"])),
    }


@part("bpe.merge")
@weight(1)
@matches_reference
def test_every_occurrence_becomes_one_token(solution, draw):
    """Each position where the pair stands becomes the new token; everything else stays, first and last tokens too."""
    merge, ids = solution.bpe.merge, [1, 2, 3, 1, 2, 2, 1, 1, 2]
    seen = {"several": row(merge(ids, (1, 2), 9)), "ids": row(ids), "none": row(merge(ids, (3, 3), 9))}
    drawn = draw.integers(0, 3, 200).tolist()
    return seen | {
        "many": row(merge(drawn, (2, 0), 7)),
        "short": [row(merge(some, (5, 6), 8)) for some in ([], [5], [5, 6], (6, 5), [5, 6, 5])],
    }


@part("bpe.merge")
@weight(1)
@matches_reference
def test_pairs_that_overlap_are_taken_from_the_left(solution, draw):
    """Of three equal tokens the first two become one; five become two and one; the new token may be half of the pair."""
    merge = solution.bpe.merge
    runs = {str(n): row(merge([4] * n, (4, 4), 9)) for n in range(2, 8)}
    return runs | {
        "drawn": row(merge(draw.integers(3, 5, 24).tolist(), (4, 4), 9)),
        "between others": row(merge([4, 4, 4, 1, 4, 4, 4, 4, 1], (4, 4), 9)),
        "new is old": row(merge([9, 4, 4, 9, 4], (9, 4), 9)),
    }


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(1)
@matches_reference
def test_first_merges_of_a_small_table(solution, draw):
    """Pairs are counted within words, times the count of their word; the example of the handout gives its three merges."""
    train, words = solution.bpe.train_merges, (b"ab", b"cd", b"ef", b"gh", b"ij", b"kl", b"mn")
    counts = [2 + 3 * place for place in draw.uniform(0, 1, 7).argsort().tolist()]  # no two are equal
    return {
        "handout": pairs(train({b"abab": 2, b"aba": 1, b"bb": 3}, 3)),
        "count of the word": pairs(train({b"xy": 5, b"ab": 2, b"cab": 2}, 2)),
        "within words": pairs(train({b"ab": 1, b"ba": 1, b"a": 50, b"b": 50}, 4)),
        "none": pairs(train({b"abab": 2}, 0)),
        "drawn counts": pairs(train(dict(zip(words, counts, strict=True)), 7)),
    }


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(1)
@matches_reference
def test_lowest_of_equal_pairs_wins(solution, draw):
    """Of equally frequent pairs the lowest is merged: by its first token, then by its second, in whatever order words come."""
    train = solution.bpe.train_merges
    words = [b"zy", b"ab", b"za", b"ac", b"ba", b"yz", b"az"]
    return {
        "all once": pairs(train(dict.fromkeys(words, 3), 7)),
        "backwards": pairs(train(dict.fromkeys(words[::-1], 3), 7)),
        "drawn": pairs(train({letters(draw, 2, "abcxyz").encode(): 3 for _ in range(8)}, 5)),
        "merged ones too": pairs(train({b"\xff\xfe": 4, b"ab": 4, b"abz": 2, b"\xff\xfez": 2, b"cabd": 1}, 9)),
    }


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(1)
@matches_reference
def test_counts_follow_every_merge(solution, draw):
    """After a merge the counts are those of what the words now are: runs of one letter, neighbours, and pairs that are gone."""
    train = solution.bpe.train_merges
    runs = {b"a" * n: 1 + n % 3 for n in range(1, 12)}
    mixed = Counter(letters(draw, 7, "ab").encode() for _ in range(60))
    return {
        "runs": pairs(train(runs, 12)),
        "two letters": pairs(train(mixed, 40)),
        "gone": pairs(train({b"abc": 5, b"bcx": 1, b"xy": 3, b"abq": 1, b"bcbc": 1}, 9)),
    }


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(1)
@matches_reference
def test_training_ends_when_no_pair_is_left(solution, draw):
    """Pairs that stand there only once are merged as well; with words of one token each there is nothing left to merge."""
    drawn = bytes(97 + place for place in draw.uniform(0, 1, 8).argsort().tolist())  # eight letters, each once
    train, words = solution.bpe.train_merges, {drawn: 1, b"xy": 1, b"q": 9}
    seen = {"all": pairs(train(words, 50)), "nothing": len(train({}, 5)), "single bytes": len(train({b"a": 3, b"b": 2}, 5))}
    return seen | {"words": " ".join(f"{word.decode()} {count}" for word, count in words.items())}


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(1)
@matches_reference
def test_merges_of_a_text(solution, draw):
    """The merges of a text are those of a slow trainer that counts everything anew for each of them, one by one."""
    words = Counter(f" {word}".encode() for word in (FABLE + prose(draw, 6000, 500)).split())
    merges, libraries = calls_of_libraries(solution, lambda: solution.bpe.train_merges(words, 250))
    return {"merges": pairs(merges), "libraries called": libraries}


def texts_to_train_on(draw):
    """A new text of 130 KB for each repetition."""
    return [prose(draw, 130_000) for _ in range(6)]


def one_pass(draw):
    """The given count of pre-tokens, over the same texts."""
    from given.a04_scaling.bpe import count_pretokens

    texts = texts_to_train_on(draw)
    yield
    for text in texts:
        yield {"words": len(count_pretokens([text]))}


@part("bpe.train_merges")
@needs("bpe.merge")
@weight(4)
@limits(seconds=90)
@keeps_pace(full=120.0, none=300.0, repeats=5, probe=one_pass)  # the naive loop takes 500, one without a heap 20, the reference 9
def test_training_keeps_pace(solution, draw):
    """500 merges of 130 KB take at most 120 times as long as one pass that cuts and counts the same text."""
    texts = [Counter(f" {word}".encode() for word in text.split()) for text in texts_to_train_on(draw)]
    yield
    for words in texts:
        yield {"merges": pairs(solution.bpe.train_merges(words, 500)).to(torch.float64)}


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1.5)
@matches_reference
def test_earliest_merge_goes_first(solution, draw):
    """In a pre-token the earliest trained merge that fits is applied everywhere, then the next one, until none fits."""
    build = solution.bpe.Tokenizer
    first = build([(98, 99), (97, 98), (257, 99), (97, 256), (99, 100), (97, 97), (261, 97), (261, 261)])
    words = [b"abc", b"ab", b"bcd", b"abcd", b"aab", b"a", b"", b"aaa", b"aaaaaaa", b"abab", b"\xff\x00", b"bcbcab"]
    drawn = [letters(draw, 12, "abcd").encode() for _ in range(20)]
    return {str(word): row(first.encode_word(word)) for word in words} | {
        "drawn": torch.cat([row(first.encode_word(word)) for word in drawn]),
        "no merges": row(build([]).encode_word(b"abc")),
        "refused": [refusal(lambda m=m: build(m).encode_word(b"ab")) for m in ([(97, 256)], [(97, 98), (97, 98)], [(-1, 98)])],
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1.5)
@satisfies(all_of(equal("ids", "tiktoken's ids"), equal("odd ids", "tiktoken's odd ids")))
def test_ids_are_those_of_tiktoken(solution, draw):
    """tiktoken, built from your ranks, gives the same tokens: of prose, of all kinds of signs, of drawn texts."""
    import tiktoken

    tokenizer = solution.bpe.Tokenizer(MERGES, SPECIAL)
    theirs = tiktoken.Encoding("theirs", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.ranks(), special_tokens={})
    drawn = [letters(draw, 40, "the cat'lsve 12.,\r\n\té的👩\u200d🇩\u0301\u00a0") for _ in range(50)]
    odd = [*ODD, *drawn]
    ids, libraries = calls_of_libraries(solution, lambda: tokenizer.encode(FABLE))
    return {
        "ids": row(ids),
        "tiktoken's ids": row(theirs.encode_ordinary(FABLE)),
        "odd ids": row(token for text in odd for token in tokenizer.encode(text)),
        "tiktoken's odd ids": row(token for text in odd for token in theirs.encode_ordinary(text)),
        "half a pair": refusal(lambda: tokenizer.encode("a\ud83d")),
        "libraries called": libraries,
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@matches_reference
def test_special_texts_are_tokens_only_where_they_are_allowed(solution, draw):
    """Special texts become one token if allowed, the longest that fits; in a text that others wrote they are ordinary text."""
    tokenizer = solution.bpe.Tokenizer(MERGES, SPECIAL)
    text = "the<|end|> cat[s]<|end|>er the end" + letters(draw, 12, (" the", "<|end|>", "[s]", "er", " cat"))
    return {
        "allowed": row(tokenizer.encode(text, allow_special=True)),
        "not allowed": row(tokenizer.encode(text)),
        "alone": row(tokenizer.encode("[s]", allow_special=True)),
        "back": tokenizer.decode(tokenizer.encode(text, allow_special=True)),
        "another pattern": row(solution.bpe.Tokenizer(MERGES, pattern=r"\s+|\S+").encode("said the, the cat")),
        "refused": [refusal(lambda s=s: solution.bpe.Tokenizer([], s).encode("a")) for s in (["a", "a"], [""])],
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@satisfies(
    all_of(equal("whole", "in chunks"), at_most("chunks read before the first token", 8)),
    random=("chunks read before the first token",),
)
def test_chunks_give_the_tokens_of_the_whole(solution, draw):
    """However a text is cut into chunks its tokens are those of the whole, and they come before the last chunk is read."""
    tokenizer = solution.bpe.Tokenizer(MERGES, SPECIAL)
    text = (
        "I'll<|end|>er see  the\r\n  cat[s]"
        + FABLE[:300]
        + "".join(ODD)
        + "<|end|> you've it'"
        + letters(draw, 30, "the ca\r\n'ld1")
    )
    cut = lambda size: [text[start : start + size] for start in range(0, len(text), size)]
    whole = {allow: tokenizer.encode(text, allow_special=allow) for allow in (False, True)}
    sizes = ((1, True), (2, False), (3, True), (7, False), (50, True), (10_000, False))
    read = []
    lazily = tokenizer.encode_chunks(read.append(chunk) or chunk for chunk in cut(10))
    next(iter(lazily))
    return {
        "whole": row(token for _, allow in sizes for token in whole[allow]),
        "in chunks": row(token for size, allow in sizes for token in tokenizer.encode_chunks(cut(size), allow)),
        "empty chunks": row(tokenizer.encode_chunks(["", "the c", "", "at", ""])),
        "nothing": len(list(tokenizer.encode_chunks([]))),
        "chunks read before the first token": len(read),
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@matches_reference
def test_file_is_encoded_as_it_is(solution, draw):
    """Tokens of a file are those of its text: UTF-8 whatever the machine's encoding, line ends as they are."""
    tokenizer, path = solution.bpe.Tokenizer(MERGES, SPECIAL), Path("some.txt")
    path.write_bytes(("a\r\nthe é\rcat\n\n的<|end|> the end" + letters(draw, 30, "thec é的\r\n")).encode())
    broken = Path("broken.txt")
    broken.write_bytes(b"the cat \xe9 the")
    return {
        "in one": row(tokenizer.encode_file(path)),
        "in small chunks": row(tokenizer.encode_file(str(path), chunk_size=3)),
        "special": row(tokenizer.encode_file(path, allow_special=True, chunk_size=5)),
        "broken": refusal(lambda: list(tokenizer.encode_file(broken))),
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@matches_reference
def test_decoding_joins_bytes_first(solution, draw):
    """A character may be spread over tokens; broken UTF-8 and tokens outside the vocabulary become �; nothing fails."""
    tokenizer = solution.bpe.Tokenizer([(240, 159), (256, 145), (195, 169)], ["<|end|>"])
    decode = tokenizer.decode
    return {
        "spread": decode([257, 141, 32, 240, 159, 145, 141, 258]),
        "cut short": decode([72, 257]),
        "special inside": decode([195, 259, 169]),
        "outside": decode([72, 260, -1, 10**6, 105]),
        "of a tensor": decode(torch.tensor([90, 111, 258, 259])),
        "of an iterator": decode(iter([256, 145, 141])),
        "round trips": [tokenizer.decode(tokenizer.encode(text)) == text for text in ODD],
        "nothing": decode([]),
        "drawn": decode(draw.integers(0, 262, 14).tolist()),
    }


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@matches_reference
def test_saved_tokenizer_comes_back(solution, draw):
    """What was saved and loaded gives the same tokens, with its pattern and specials; a file of something else is a ValueError."""
    build, path, drawn = solution.bpe.Tokenizer, Path("ours.json"), letters(draw, 12, (" the", "é<end>", "[s]", " take"))
    build(MERGES, ["é<end>", "[s]"], r"\s+|[^\s]+").save("ours.json")
    again = build.load("ours.json")
    again.save(path)
    again = build.load(path)
    refused = {}
    for name, content in (
        ("empty", b""),
        ("other", b'{"merges": [], "special": [], "pattern": "."}'),
        ("list", b"[1, 2]"),
        ("bytes", b"\xff\xfe\x00"),
        ("half", path.read_bytes()[:-40]),
        ("older", path.read_bytes().replace(b"byte pairs, 1", b"byte pairs, 0")),
        ("newer", path.read_bytes().replace(b"byte pairs, 1", b"byte pairs, 2")),
    ):
        Path(f"{name}.json").write_bytes(content)
        try:
            build.load(f"{name}.json")
            refused[name] = "accepted"
        except ValueError as error:
            refused[name] = (
                "a ValueError that names the file" if f"{name}.json" in str(error) else "a ValueError without the file"
            )
        except NotImplementedError:
            raise
        except Exception as error:
            refused[name] = type(error).__name__
    return {
        "tokens": row(again.encode("the cat, there é<end>[s] take" + drawn, allow_special=True)),
        "merges": pairs(again.merges),
        "special": again.special,
        "pattern": again.pattern,
        "is JSON": isinstance(json.loads(path.read_text(encoding="utf-8")), dict | list),
        "refused": refused,
    }


def texts_to_encode(draw):
    """A new text of 500 KB for each repetition."""
    return [prose(draw, 500_000) for _ in range(6)]


def encode_them(source, draw):
    """Each text with a tokenizer that has met no word yet."""
    texts = texts_to_encode(draw)
    yield
    for text in texts:
        yield {"tokens": torch.tensor(source.bpe.Tokenizer(MERGES).encode(text), dtype=torch.float64)}


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@limits(seconds=60)
@keeps_pace(full=8.0, none=25.0, repeats=5)  # without a table 3.8, the reference 1.4; what grows with the square takes minutes
def test_encoding_keeps_pace(solution, draw):
    """A text of 500 KB takes at most 8 times as long as with tiktoken: time grows in a line with the text."""
    yield from encode_them(solution, draw)


@part("bpe.Tokenizer")
@needs("bpe.merge", "bpe.split_special")
@weight(1)
@limits(seconds=60)
@fits_in_memory(growth=3 << 20)
def test_a_large_file_needs_no_more_memory_than_a_small_one(solution, draw):
    """A file of 3 MB is encoded in the memory that one of 200 KB takes: neither its text nor its tokens are there as a whole."""
    tokenizer, text = solution.bpe.Tokenizer(MERGES), prose(draw, 100_000, 1000) + "\n"
    yield
    for times in (2, 30):
        with Path("large.txt").open("w", encoding="utf-8") as file:
            for _ in range(times):
                file.write(text)
        count = last = 0
        for token in tokenizer.encode_file("large.txt"):
            count, last = count + 1, token
        yield {"tokens": count, "last": last}


@part("bpe.train")
@needs("bpe.split_special", "bpe.count_pretokens", "bpe.merge", "bpe.train_merges", "bpe.Tokenizer")
@weight(1)
@matches_reference
def test_tokenizer_for_a_text(solution, draw):
    """Bytes, merges and specials together are as many as asked for, trained on all texts but the specials in them."""
    train = solution.bpe.train
    tokenizer = train([FABLE, "<|end|>".join(["ab"] * 30), "ab  ab", letters(draw, 900, "abcdef ")], 320, SPECIAL)
    plain = train([FABLE], 300, pattern=r"[\w\s]+|.")
    return {
        "merges": pairs(tokenizer.merges),
        "size": tokenizer.vocab_size,
        "special": row(tokenizer.ids[text] for text in SPECIAL),
        "without specials": pairs(plain.merges),
        "pattern": plain.pattern,
        "few pairs": train(["abc"], 1000).vocab_size,
        "bytes alone": train([FABLE], 256).vocab_size,
        "too small": refusal(lambda: train([FABLE], 258, SPECIAL)),
    }
