"""These are wrong versions of parts of bpe.py, one mistake each. A docstring is the hint that a student reads."""

import json
from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import regex

from tools.author.cases import misconception

from .bpe import FORMAT, PATTERN, UNKNOWN, Tokenizer, count_pretokens, merge, split_special, train_merges


@misconception("bpe.split_special", pitfall=5, ask="Which of two specials does | try first?")
def shorter_special_may_win(text, special):
    """Specials are tried in the order in which they were given, so that a short one can cut a longer one in two."""
    special = list(special)
    return regex.split("(" + "|".join(map(regex.escape, special)) + ")", text) if special else [text]


@misconception("bpe.split_special", pitfall=5, ask='What does "<|end|>" mean to a regular expression?')
def signs_are_a_pattern(text, special):
    """Special texts are taken for regular expressions, in which |, [ and . mean something else."""
    longest_first = sorted(special, key=len, reverse=True)
    return regex.split("(" + "|".join(longest_first) + ")", text) if longest_first else [text]


@misconception("bpe.split_special", pitfall=5, ask="Where do specials stand if a text begins with one?")
def empty_segments_are_left_out(text, special):
    """Empty segments are dropped, so that specials do not always stand at odd indices."""
    longest_first = sorted(special, key=len, reverse=True)
    segments = regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if longest_first else [text]
    return [segment for segment in segments if segment]


@misconception("bpe.count_pretokens", pitfall=5, ask="What becomes of <|end|> if the pattern comes first?")
def specials_are_counted(texts, special=(), pattern=PATTERN):
    """Special texts are not cut out, so that what they consist of is counted and merged like words."""
    counts = Counter()
    for text in texts:
        counts.update(regex.findall(pattern, text))
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception("bpe.count_pretokens", pitfall=5, ask='What stands before and behind the special in "the[s]cat"?')
def words_reach_across_specials(texts, special=(), pattern=PATTERN):
    """Specials are taken out and the text on both sides is joined, so that words grow together across them."""
    counts = Counter()
    for text in texts:
        counts.update(regex.findall(pattern, "".join(split_special(text, special)[::2])))
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception("bpe.count_pretokens", pitfall=4, ask='How many pre-tokens is "dog."?')
def words_are_cut_at_spaces(texts, special=(), pattern=PATTERN):
    """The text is split at white space instead of by the pattern: signs stick to words, and spaces are lost."""
    counts = Counter()
    for text in texts:
        for segment in split_special(text, special)[::2]:
            counts.update(segment.split())
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception(
    "bpe.count_pretokens", pitfall=4, ask="Which pair is the most frequent one of English, if the space is a sign like others?"
)
def text_is_one_word(texts, special=(), pattern=PATTERN):
    """The text is not cut into pre-tokens at all, so that merges cross from word to word."""
    return Counter(segment.encode() for text in texts for segment in split_special(text, special)[::2] if segment)


@misconception("bpe.count_pretokens", ask="Do frequent words count more than rare ones?")
def words_are_counted_once(texts, special=(), pattern=PATTERN):
    """Each different pre-token of a text counts once, however often it stands there."""
    counts = Counter()
    for text in texts:
        for segment in split_special(text, special)[::2]:
            counts.update(set(regex.findall(pattern, segment)))
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception("bpe.count_pretokens", ask="May a word begin in one text and end in the next?")
def texts_are_joined(texts, special=(), pattern=PATTERN):
    """All texts are joined first: words reach from one into the next, and everything is in memory at once."""
    counts = Counter()
    for segment in split_special("".join(texts), special)[::2]:
        counts.update(regex.findall(pattern, segment))
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception("bpe.merge", pitfall=2, ask="How many tokens are left of (a, a, a)?")
def overlapping_pairs_are_all_merged(ids, pair, new):
    """Occurrences that overlap are all replaced, so that one token becomes part of two."""
    merged = [new if (ids[i], ids[i + 1]) == pair else ids[i] for i in range(len(ids) - 1)]
    last = ids[-1:] if len(ids) < 2 or (ids[-2], ids[-1]) != pair else []
    return merged + list(last)


@misconception("bpe.merge", pitfall=2, ask="Which two of (a, a, a) become one?")
def merged_from_the_right(ids, pair, new):
    """Pairs are taken from the right, so that of three equal tokens the last two become one."""
    merged, position = [], len(ids) - 1
    while position >= 0:
        found = position > 0 and (ids[position - 1], ids[position]) == pair
        merged.append(new if found else ids[position])
        position -= 2 if found else 1
    return merged[::-1]


@misconception("bpe.merge", ask="What about the second position where the pair stands?")
def only_the_first_occurrence(ids, pair, new):
    """Only the first occurrence is replaced."""
    for position in range(len(ids) - 1):
        if (ids[position], ids[position + 1]) == pair:
            return [*ids[:position], new, *ids[position + 2 :]]
    return list(ids)


@misconception("bpe.merge", ask="What comes after the last pair?")
def last_token_is_lost(ids, pair, new):
    """The walk ends one token early, and a last token that is in no pair is lost."""
    merged, position = [], 0
    while position < len(ids) - 1:
        found = (ids[position], ids[position + 1]) == pair
        merged.append(new if found else ids[position])
        position += 2 if found else 1
    return merged


@misconception("bpe.merge", ask="Who else may still need the tokens that came in?")
def ids_are_overwritten(ids, pair, new):
    """The list that came in is changed in place."""
    position = 0
    while position < len(ids) - 1:
        if (ids[position], ids[position + 1]) == pair:
            ids[position : position + 2] = [new]
        position += 1
    return list(ids)


def all_counted(spelled, times):
    """How often each pair stands there."""
    counts = Counter()
    for ids, count in zip(spelled, times, strict=True):
        for pair in pairwise(ids):
            counts[pair] += count
    return counts


def lowest(counts):
    """The most frequent pair, and of equal ones the lowest, as it should be."""
    return min(counts, key=lambda pair: (-counts[pair], pair))


def counted_anew(words, n_merges, choose=lowest, count=all_counted):
    """Merges of a trainer that counts all pairs anew for each of them, until none is left."""
    spelled, merges = [list(word) for word in words], []
    while len(merges) < n_merges and (counts := count(spelled, words.values())):
        best = choose(counts)
        spelled = [merge(ids, best, 256 + len(merges)) for ids in spelled]
        merges.append(best)
    return merges


@misconception("bpe.train_merges", pitfall=7, ask="Which of equally frequent pairs does `max` give you?")
def ties_go_to_the_first_seen(words, n_merges):
    """Of equally frequent pairs the one that was met first is taken, so that merges depend on the order of the words."""
    return counted_anew(words, n_merges, choose=lambda counts: max(counts, key=counts.get))


@misconception("bpe.train_merges", pitfall=7, ask="Which comes first for `max`, (1, (97, 98)) or (1, (98, 97))?")
def ties_go_to_the_highest(words, n_merges):
    """Of equally frequent pairs the highest is taken, not the lowest."""
    return counted_anew(words, n_merges, choose=lambda counts: max(counts, key=lambda pair: (counts[pair], pair)))


@misconception("bpe.train_merges", pitfall=7, ask="Does a tie depend on what the tokens spell?")
def ties_go_by_the_bytes(words, n_merges):
    """Of equally frequent pairs the one whose bytes come first in the alphabet is taken, not the one with the lowest numbers."""
    spells = [bytes([byte]) for byte in range(256)]

    def choose(counts):
        best = min(counts, key=lambda pair: (-counts[pair], spells[pair[0]], spells[pair[1]]))
        spells.append(spells[best[0]] + spells[best[1]])
        return best

    return counted_anew(words, n_merges, choose)


@misconception("bpe.train_merges", pitfall=3, ask="How often does (b, c) still stand there, once every b has become part of ab?")
def old_counts_stay(words, n_merges):
    """Counts of new pairs are added after a merge, and those of the pairs that went away with it are not taken back."""
    spelled, times, merges = [list(word) for word in words], list(words.values()), []
    counts = all_counted(spelled, times)
    while len(merges) < n_merges and counts:
        best = lowest(counts)
        del counts[best]
        for number, ids in enumerate(spelled):
            spelled[number] = merge(ids, best, 256 + len(merges))
            for pair in pairwise(spelled[number]):
                if 256 + len(merges) in pair:
                    counts[pair] += times[number]
        merges.append(best)
    return merges


@misconception("bpe.train_merges", pitfall=3, ask="What stands between two merged pairs that are neighbours, as in abab?")
def neighbours_that_merge_as_well(words, n_merges):
    """The counts of the neighbours are corrected for each merged pair alone, as if the pair beside it were not merged as well."""
    spelled, times, merges = [list(word) for word in words], list(words.values()), []
    counts = all_counted(spelled, times)
    while len(merges) < n_merges and any(count > 0 for count in counts.values()):
        best, new = lowest(counts), 256 + len(merges)
        for number, ids in enumerate(spelled):
            position = 0
            while position < len(ids) - 1:
                if (ids[position], ids[position + 1]) == best:
                    if position:
                        counts[ids[position - 1], best[0]] -= times[number]
                        counts[ids[position - 1], new] += times[number]
                    if position + 2 < len(ids):
                        counts[best[1], ids[position + 2]] -= times[number]
                        counts[new, ids[position + 2]] += times[number]
                    position += 1
                position += 1
            spelled[number] = merge(ids, best, new)
        del counts[best]
        merges.append(best)
    return merges


@misconception("bpe.train_merges", pitfall=2, ask="At how many positions does (a, a) stand in aaa?")
def runs_are_counted_without_overlap(words, n_merges):
    """Pairs that overlap are counted once: (a, a) once in aaa, where it stands at two positions."""

    def count(spelled, times):
        counts = Counter()
        for ids, often in zip(spelled, times, strict=True):
            position = 0
            while position < len(ids) - 1:
                counts[ids[position], ids[position + 1]] += often
                position += 2 if ids[position : position + 3] == [ids[position]] * 3 else 1
        return counts

    return counted_anew(words, n_merges, count=count)


@misconception("bpe.train_merges", ask="What is the number behind each word for?")
def each_word_counts_once(words, n_merges):
    """Each different word counts once, however often it stands in the text."""
    return counted_anew(dict.fromkeys(words, 1), n_merges)


@misconception("bpe.train_merges", ask="When does the docstring say that fewer merges come out?")
def rare_pairs_are_left(words, n_merges):
    """Training stops when no pair stands there twice, before there are as many merges as were asked for."""

    def count(spelled, times):
        return {pair: often for pair, often in all_counted(spelled, times).items() if often >= 2}

    return counted_anew(words, n_merges, count=count)


@misconception("bpe.Tokenizer.encode_word", pitfall=1, ask="Which merge was trained first?")
def leftmost_pair_first(self, word):
    """The leftmost pair that has a merge is merged, instead of the one that was trained earliest."""
    ids = list(word)
    while pair := next((pair for pair in pairwise(ids) if pair in self.order), None):
        position = list(pairwise(ids)).index(pair)
        ids[position : position + 2] = [256 + self.order[pair]]
    return ids


@misconception("bpe.Tokenizer.encode_word", pitfall=1, ask="Does training ever look for the longest token?")
def longest_token_first(self, word):
    """From the left the longest token that fits is taken, whatever merges it takes to make it."""
    known, ids, start = self.ranks(), [], 0
    while start < len(word):
        end = next(end for end in range(len(word), start, -1) if word[start:end] in known)
        ids.append(known[word[start:end]])
        start = end
    return ids


@misconception(
    "bpe.Tokenizer.encode_word", pitfall=1, ask="Where was counted how frequent a pair is, in this word or in training?"
)
def most_frequent_pair_first(self, word):
    """Of the merges that fit, the one whose pair stands most often in this word is applied, as if it were trained anew."""
    ids = list(word)
    while found := Counter(pair for pair in pairwise(ids) if pair in self.order):
        pair = min(found, key=lambda pair: (-found[pair], self.order[pair]))
        ids = merge(ids, pair, 256 + self.order[pair])
    return ids


@misconception("bpe.Tokenizer.encode_word", pitfall=1, ask="What is a high number, an early merge or a late one?")
def latest_merge_first(self, word):
    """Of the merges that fit the latest trained one is applied, not the earliest."""
    ids = list(word)
    while found := [pair for pair in pairwise(ids) if pair in self.order]:
        pair = max(found, key=self.order.get)
        ids = merge(ids, pair, 256 + self.order[pair])
    return ids


@misconception("bpe.Tokenizer.encode_word", pitfall=1, ask="Can a pair that a merge has made be merged again?")
def pairs_are_looked_for_once(self, word):
    """The pairs of the bytes are merged in the order of their ranks, and the pairs that come into being are not."""
    ids = list(word)
    for pair in sorted(set(pairwise(ids)), key=lambda pair: self.order.get(pair, len(self.merges))):
        if pair in self.order:
            ids = merge(ids, pair, 256 + self.order[pair])
    return ids


@misconception("bpe.Tokenizer.encode", pitfall=4, ask="What is between two words?")
def whole_text_is_a_word(self, text, allow_special=False):
    """The text is not cut into pre-tokens, so that merges cross from one into the next."""
    ids = []
    for index, segment in enumerate(split_special(text, self.special) if allow_special else [text]):
        ids += [self.ids[segment]] if index % 2 else self.encode_word(segment.encode())
    return ids


@misconception("bpe.Tokenizer.encode", pitfall=5, ask="Who may write <|end|> into a text?")
def specials_are_always_tokens(self, text, allow_special=False):
    """Special texts become special tokens whether that is allowed or not."""
    ids = []
    for index, segment in enumerate(split_special(text, self.special)):
        ids += (
            [self.ids[segment]]
            if index % 2
            else chain.from_iterable(map(self._known.__getitem__, regex.findall(self.pattern, segment)))
        )
    return ids


@misconception("bpe.Tokenizer.encode", pitfall=5, ask="When must specials be found, before the pattern or after it?")
def specials_are_never_tokens(self, text, allow_special=False):
    """Special texts are cut up like everything else, also where they are allowed."""
    return list(chain.from_iterable(map(self._known.__getitem__, regex.findall(self.pattern, text))))


@misconception("bpe.Tokenizer.encode_chunks", pitfall=9, ask="What if a chunk ends in the middle of a word?")
def each_chunk_on_its_own(self, chunks, allow_special=False):
    """Each chunk is encoded on its own, so that tokens depend on where the text happens to be cut."""
    for chunk in chunks:
        yield from self.encode(chunk, allow_special)


@misconception("bpe.Tokenizer.encode_chunks", pitfall=9, ask="What is left when there are no more chunks?")
def rest_is_forgotten(self, chunks, allow_special=False):
    """What is not settled when the last chunk has come is never encoded."""
    rest = ""
    for chunk in chunks:
        rest += chunk
        end = self.settled(rest, allow_special)
        yield from self.encode(rest[:end], allow_special)
        rest = rest[end:]


@misconception("bpe.Tokenizer.encode_chunks", pitfall=9, ask="Can a special text stand in two chunks?")
def specials_in_two_chunks(self, chunks, allow_special=False):
    """It is forgotten that specials are allowed when asking how far a text is settled, so that one in two chunks is cut up."""
    rest = ""
    for chunk in chunks:
        rest += chunk
        end = self.settled(rest)
        yield from self.encode(rest[:end], allow_special)
        rest = rest[end:]
    yield from self.encode(rest, allow_special)


@misconception("bpe.Tokenizer.encode_file", pitfall=8, ask="What does Python make of CR LF?")
def line_ends_are_changed(self, path, allow_special=False, chunk_size=2**16):
    """The file is opened as Python opens texts, which turns CR LF into LF."""
    with Path(path).open(encoding="utf-8") as file:
        yield from self.encode_chunks(iter(lambda: file.read(chunk_size), ""), allow_special)


@misconception("bpe.Tokenizer.encode_file", pitfall=8, ask="What is a byte that is no UTF-8?")
def bytes_that_are_no_text(self, path, allow_special=False, chunk_size=2**16):
    """Bytes that are no UTF-8 are replaced in silence, where an error should say so."""
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        yield from self.encode_chunks(iter(lambda: file.read(chunk_size), ""), allow_special)


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="How many bytes has é?")
def token_by_token(self, tokens):
    """Each token is decoded on its own, and a character that two tokens share becomes � twice."""
    segments = (self.token_bytes[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return "".join(segment.decode("utf-8", errors="replace") for segment in segments)


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="What may a model write?")
def broken_text_is_an_error(self, tokens):
    """Bytes that are no UTF-8 are an error, though a model may write any tokens."""
    segments = (self.token_bytes[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return b"".join(segments).decode("utf-8")


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="What is list[-1]?")
def negative_tokens_count_from_the_end(self, tokens):
    """Negative tokens are looked up from the end of the table, as Python does."""
    segments = (self.token_bytes[token] if token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return b"".join(segments).decode("utf-8", errors="replace")


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="Are bytes that are left out the same as bytes that are replaced?")
def broken_bytes_are_left_out(self, tokens):
    """Bytes that are no UTF-8 and tokens outside the vocabulary are left out, where � should show them."""
    segments = (self.token_bytes[token] for token in map(int, tokens) if 0 <= token < self.vocab_size)
    return b"".join(segments).decode("utf-8", errors="ignore")


@misconception("bpe.Tokenizer.save", pitfall=10, ask="What says which merge comes first?")
def order_of_merges_is_lost(self, path):
    """Merges are saved in sorted order, and so their ranks are lost."""
    content = {"format": FORMAT, "pattern": self.pattern, "special": self.special, "merges": sorted(self.merges)}
    Path(path).write_text(json.dumps(content), encoding="utf-8")


@misconception("bpe.Tokenizer.load", pitfall=10, ask="What else does the tokenizer depend on?")
@classmethod
def pattern_is_forgotten(cls, path):
    """The pattern of the file is not used, so that a tokenizer with another one comes back with the usual one."""
    try:
        content = json.loads(Path(path).read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        return cls(content["merges"], content["special"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not hold what Tokenizer.save writes ({FORMAT!r}): {error}") from error


@misconception("bpe.Tokenizer.load", pitfall=10, ask="Who is told which file is broken?")
@classmethod
def any_file_is_taken(cls, path):
    """It is not asked whether the file is a tokenizer at all: one of something else is taken, or fails with an error of its own."""
    content = json.loads(Path(path).read_bytes())
    return cls(content["merges"], content["special"], content["pattern"])


@misconception("bpe.train", ask="Which tokens are there besides bytes and merges?")
def specials_come_on_top(texts, vocab_size, special=(), pattern=PATTERN):
    """Special tokens are not counted, so that there are more tokens than were asked for."""
    if vocab_size < 256 + len(special):
        raise ValueError("vocab_size is too small")
    return Tokenizer(train_merges(count_pretokens(texts, special, pattern), vocab_size - 256), special, pattern)


@misconception("bpe.train", pitfall=5, ask="Is <|end|> text to learn from?")
def trained_on_the_specials(texts, vocab_size, special=(), pattern=PATTERN):
    """Special texts are part of what merges are trained on."""
    n_merges = vocab_size - 256 - len(special)
    if n_merges < 0:
        raise ValueError("vocab_size is too small")
    return Tokenizer(train_merges(count_pretokens(texts, (), pattern), n_merges), special, pattern)
