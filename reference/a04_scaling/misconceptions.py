"""Wrong versions of parts of this assignment, one mistake each; the docstring is the hint that a student reads.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import contextlib
import json
import math
import random
from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import regex
import safetensors.torch
import torch
import torch.nn.functional as F
from given.a00_foundations.profiling import share_of_peak
from given.a02_training.data import IGNORE
from given.a02_training.optim import clip_gradients
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tools.author.cases import misconception

from .accumulate import accumulate_gradients, count_targets, summed_loss
from .amp import Step, apply_gradients
from .bpe import FORMAT, PATTERN, UNKNOWN, Tokenizer, count_pretokens, merge, split_special, train_merges
from .checkpoint import NO_GENERATORS, _copied, _packed, _to_disk, _unpacked, random_state, restore_random_state
from .parallel import _device_of_talk, buckets, joint_count, joint_sum, reduce_gradients

# bpe


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
def empty_pieces_are_left_out(text, special):
    """Empty pieces are dropped, so that specials do not always stand at odd places."""
    longest_first = sorted(special, key=len, reverse=True)
    pieces = regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if longest_first else [text]
    return [piece for piece in pieces if piece]


@misconception("bpe.count_pretokens", pitfall=5, ask="What becomes of <|end|> if the pattern comes first?")
def specials_are_counted(texts, special=(), pattern=PATTERN):
    """Special texts are not cut out, so that their pieces are counted and merged like words."""
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
        for piece in split_special(text, special)[::2]:
            counts.update(piece.split())
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception(
    "bpe.count_pretokens", pitfall=4, ask="Which pair is the most frequent one of English, if the space is a sign like others?"
)
def text_is_one_word(texts, special=(), pattern=PATTERN):
    """The text is not cut into pre-tokens at all, so that merges cross from word to word."""
    return Counter(piece.encode() for text in texts for piece in split_special(text, special)[::2] if piece)


@misconception("bpe.count_pretokens", ask="Do frequent words count more than rare ones?")
def words_are_counted_once(texts, special=(), pattern=PATTERN):
    """Each different pre-token of a text counts once, however often it stands there."""
    counts = Counter()
    for text in texts:
        for piece in split_special(text, special)[::2]:
            counts.update(set(regex.findall(pattern, piece)))
    return Counter({word.encode(): count for word, count in counts.items()})


@misconception("bpe.count_pretokens", ask="May a word begin in one text and end in the next?")
def texts_are_joined(texts, special=(), pattern=PATTERN):
    """All texts are joined first: words reach from one into the next, and everything is in memory at once."""
    counts = Counter()
    for piece in split_special("".join(texts), special)[::2]:
        counts.update(regex.findall(pattern, piece))
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
    merged, place = [], len(ids) - 1
    while place >= 0:
        found = place > 0 and (ids[place - 1], ids[place]) == pair
        merged.append(new if found else ids[place])
        place -= 2 if found else 1
    return merged[::-1]


@misconception("bpe.merge", ask="What about the second place where the pair stands?")
def only_the_first_occurrence(ids, pair, new):
    """Only the first occurrence is replaced."""
    for place in range(len(ids) - 1):
        if (ids[place], ids[place + 1]) == pair:
            return [*ids[:place], new, *ids[place + 2 :]]
    return list(ids)


@misconception("bpe.merge", ask="What comes after the last pair?")
def last_token_is_lost(ids, pair, new):
    """The walk ends one token early, and a last token that is in no pair is lost."""
    merged, place = [], 0
    while place < len(ids) - 1:
        found = (ids[place], ids[place + 1]) == pair
        merged.append(new if found else ids[place])
        place += 2 if found else 1
    return merged


@misconception("bpe.merge", ask="Who else may still need the tokens that came in?")
def ids_are_overwritten(ids, pair, new):
    """The list that came in is changed in place."""
    place = 0
    while place < len(ids) - 1:
        if (ids[place], ids[place + 1]) == pair:
            ids[place : place + 2] = [new]
        place += 1
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
    """The counts of the neighbours are mended one merged place at a time, each as if the one beside it were not merged as well."""
    spelled, times, merges = [list(word) for word in words], list(words.values()), []
    counts = all_counted(spelled, times)
    while len(merges) < n_merges and any(count > 0 for count in counts.values()):
        best, new = lowest(counts), 256 + len(merges)
        for number, ids in enumerate(spelled):
            place = 0
            while place < len(ids) - 1:
                if (ids[place], ids[place + 1]) == best:
                    if place:
                        counts[ids[place - 1], best[0]] -= times[number]
                        counts[ids[place - 1], new] += times[number]
                    if place + 2 < len(ids):
                        counts[best[1], ids[place + 2]] -= times[number]
                        counts[new, ids[place + 2]] += times[number]
                    place += 1
                place += 1
            spelled[number] = merge(ids, best, new)
        del counts[best]
        merges.append(best)
    return merges


@misconception("bpe.train_merges", pitfall=2, ask="At how many places does (a, a) stand in aaa?")
def runs_are_counted_without_overlap(words, n_merges):
    """Pairs that overlap are counted once: (a, a) once in aaa, where it stands at two places."""

    def count(spelled, times):
        counts = Counter()
        for ids, often in zip(spelled, times, strict=True):
            place = 0
            while place < len(ids) - 1:
                counts[ids[place], ids[place + 1]] += often
                place += 2 if ids[place : place + 3] == [ids[place]] * 3 else 1
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
        place = list(pairwise(ids)).index(pair)
        ids[place : place + 2] = [256 + self.order[pair]]
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
    for place, piece in enumerate(split_special(text, self.special) if allow_special else [text]):
        ids += [self.ids[piece]] if place % 2 else self.encode_word(piece.encode())
    return ids


@misconception("bpe.Tokenizer.encode", pitfall=5, ask="Who may write <|end|> into a text?")
def specials_are_always_tokens(self, text, allow_special=False):
    """Special texts become special tokens whether that is allowed or not."""
    ids = []
    for place, piece in enumerate(split_special(text, self.special)):
        ids += (
            [self.ids[piece]]
            if place % 2
            else chain.from_iterable(map(self._known.__getitem__, regex.findall(self.pattern, piece)))
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
def line_ends_are_changed(self, path, allow_special=False, chunk=2**16):
    """The file is opened as Python opens texts, which turns CR LF into LF."""
    with Path(path).open(encoding="utf-8") as file:
        yield from self.encode_chunks(iter(lambda: file.read(chunk), ""), allow_special)


@misconception("bpe.Tokenizer.encode_file", pitfall=8, ask="What is a byte that is no UTF-8?")
def bytes_that_are_no_text(self, path, allow_special=False, chunk=2**16):
    """Bytes that are no UTF-8 are replaced in silence, where an error should say so."""
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        yield from self.encode_chunks(iter(lambda: file.read(chunk), ""), allow_special)


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="How many bytes has é?")
def token_by_token(self, tokens):
    """Each token is decoded on its own, and a character that two tokens share becomes � twice."""
    pieces = (self.token_bytes[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return "".join(piece.decode("utf-8", errors="replace") for piece in pieces)


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="What may a model write?")
def broken_text_is_an_error(self, tokens):
    """Bytes that are no UTF-8 are an error, though a model may write any tokens."""
    pieces = (self.token_bytes[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return b"".join(pieces).decode("utf-8")


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="What is list[-1]?")
def negative_tokens_count_from_the_end(self, tokens):
    """Negative tokens are looked up from the end of the table, as Python does."""
    pieces = (self.token_bytes[token] if token < self.vocab_size else UNKNOWN for token in map(int, tokens))
    return b"".join(pieces).decode("utf-8", errors="replace")


@misconception("bpe.Tokenizer.decode", pitfall=6, ask="Are bytes that are left out the same as bytes that are replaced?")
def broken_bytes_are_left_out(self, tokens):
    """Bytes that are no UTF-8 and tokens outside the vocabulary are left out, where � should show them."""
    pieces = (self.token_bytes[token] for token in map(int, tokens) if 0 <= token < self.vocab_size)
    return b"".join(pieces).decode("utf-8", errors="ignore")


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


# accumulate


def must_be_possible(batch, n_parts):
    """The argument check of `split_batch`."""
    if not 1 <= n_parts <= len(batch[0]):
        raise ValueError(f"{len(batch[0])} rows do not make {n_parts} parts")


@misconception("accumulate.split_batch", pitfall=5, ask="How many parts does `chunk` make of 9 rows if you ask for 4?")
def chunks_of_a_size(batch, n_parts):
    """`chunk` rounds the size of a part up, so that there are fewer parts than asked for, and a small last one."""
    must_be_possible(batch, n_parts)
    return list(zip(batch[0].chunk(n_parts), batch[1].chunk(n_parts), strict=True))


@misconception("accumulate.split_batch", pitfall=5, ask="Where is row 7 of 7, in three parts?")
def rest_of_the_rows_is_dropped(batch, n_parts):
    """Parts are of equal size, and the rows that are left over are lost."""
    must_be_possible(batch, n_parts)
    rows = len(batch[0]) // n_parts
    return [(batch[0][i * rows : (i + 1) * rows], batch[1][i * rows : (i + 1) * rows]) for i in range(n_parts)]


@misconception("accumulate.count_targets", pitfall=2, ask="What is the target of a padded place?")
def padding_is_counted(parts):
    """All targets are counted, those of padding too."""
    return sum(targets.numel() for _, targets in parts)


@misconception("accumulate.count_targets", pitfall=2, ask="Is token 0 padding?")
def zeros_are_not_counted(parts):
    """Token 0 is taken for padding and not counted."""
    return sum(int((targets > 0).sum()) for _, targets in parts)


@misconception("accumulate.summed_loss", pitfall=2, ask="By what is the loss of a part divided here?")
def mean_of_the_part(logits, targets):
    """The mean over the targets of this part, not their sum."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


@misconception("accumulate.summed_loss", pitfall=3, ask="What is 0/0, times 0?")
def mean_times_count(logits, targets):
    """The mean times the count, which is NaN where no target counts."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    mean = F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)
    return mean * (targets != IGNORE).sum()


@misconception("accumulate.summed_loss", ask="What is 2048 + 1 in float16?")
def summed_in_sixteen_bits(logits, targets):
    """The loss is computed and summed in the dtype of the logits, which in 16 bits keeps three digits."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="sum")


@misconception("accumulate.summed_loss", pitfall=3, ask="What does F.cross_entropy do with −100, and what with your own choice?")
def padding_is_a_class(logits, targets):
    """Padded targets are turned into token 0 and counted as such."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten().clamp_min(0), reduction="sum")


def total_of(parts, total):
    """The argument check of `accumulate_gradients`."""
    total = count_targets(parts) if total is None else total
    if total < 1:
        raise ValueError("nothing to divide by")
    return total


def logits_of(model, inputs, dtype):
    """One forward pass, under autocast where that is asked for."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model(inputs.to(device))


def part_by_part(model, parts, scale, dtype, share):
    """A backward pass for each part, and the sum of the shares. share(sum of losses, the part): the part's share of the loss."""
    mean = 0.0
    for part in parts:
        loss = share(summed_loss(logits_of(model, part[0], dtype), part[1]), part)
        (loss * scale).backward()
        mean += loss.item()
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="How large is the sum of four means?")
def means_are_added(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The means of the parts are added and never divided: with k parts the gradient is k times too large."""
    total_of(parts, total)
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / max(1, count_targets([part])))


@misconception("accumulate.accumulate_gradients", pitfall=2, ask="What does a token weigh in a part with few of them?")
def divided_by_the_parts(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The mean of the parts' means: tokens in parts with few targets weigh more than others."""
    total_of(parts, total)
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / max(1, count_targets([part])) / len(parts))


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="What is the gradient of a sum of 4,000 losses?")
def sums_are_added(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The sums of the parts are added and not divided by the number of targets; only the loss that is told is."""
    total = total_of(parts, total)
    mean = 0.0
    for inputs, targets in parts:
        loss = summed_loss(logits_of(model, inputs, dtype), targets)
        (loss * scale).backward()
        mean += loss.item() / total
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="What is left of the first part's gradient?")
def cleared_for_each_part(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """Gradients are cleared before each part, so that those of the last one alone are left."""
    total = total_of(parts, total)
    mean = 0.0
    for part in parts:
        model.zero_grad()
        mean += part_by_part(model, [part], scale, dtype, lambda loss, part: loss / total)
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="Whose gradients may be there before?")
def cleared_at_the_start(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """Gradients that are there already are cleared, though they should stay in the sum."""
    total = total_of(parts, total)
    model.zero_grad()
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / total)


@misconception("accumulate.accumulate_gradients", pitfall=4, ask="When are the activations of the first part freed?")
def one_backward_pass_at_the_end(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """All losses are added up with their graphs, and one backward pass comes at the end: that is the large batch again."""
    total = total_of(parts, total)
    losses = [summed_loss(logits_of(model, inputs, dtype), targets) / total for inputs, targets in parts]
    if losses:
        (sum(losses) * scale).backward()
    return float(sum(losses))


@misconception("accumulate.accumulate_gradients", ask="What does the log show if the scale is 65,536?")
def loss_comes_back_scaled(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the loss with its scale."""
    total = total_of(parts, total)
    return part_by_part(model, parts, 1.0, dtype, lambda loss, part: loss / total * scale)


@misconception("accumulate.accumulate_gradients", ask="Who else holds parts of this batch?")
def own_count_instead_of_the_total(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The total that was given is ignored, and the gradient divided by the targets of these parts."""
    total_of(parts, total)
    mine = max(1, count_targets(parts))
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / mine)


@misconception("accumulate.accumulate_gradients", ask="Whose loss is the last one?")
def loss_of_the_last_part(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the last part's share of the loss."""
    total = total_of(parts, total)
    shares = [part_by_part(model, [part], scale, dtype, lambda loss, part: loss / total) for part in parts]
    return shares[-1] if shares else 0.0


@misconception("accumulate.accumulate_gradients", ask="Where is the dtype used?")
def autocast_is_left_out(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The dtype is ignored, and everything is computed in float32."""
    total = total_of(parts, total)
    return part_by_part(model, parts, scale, torch.float32, lambda loss, part: loss / total)


# schedule


def must_fit(step, n_steps, warmup, decay, shape):
    """The argument check of `warmup_stable_decay`, and both lengths."""
    warmup = n_steps // 10 if warmup is None else warmup
    decay = n_steps // 5 if decay is None else decay
    if step < 1 or min(warmup, decay) < 0 or warmup + decay > n_steps or shape not in ("linear", "sqrt"):
        raise ValueError("no such schedule")
    return warmup, decay


def wsd(step, n_steps, peak, warmup, decay, final_share, left, rising=None):
    """The schedule with these parts: what is left of the peak at a share of the decay, and the rise."""
    if step <= warmup:
        return rising(step) if rising else peak * step / warmup
    if step <= n_steps - decay:
        return peak
    done = min(1.0, (step - (n_steps - decay)) / decay) if decay else 1.0
    return peak * (final_share + (1 - final_share) * left(done))


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="Which update is the last one at the peak?")
def decay_begins_an_update_late(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The decay is counted from 0: its first update still has the peak, and the last one is not at the end yet."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    if step <= warmup:
        return peak * step / warmup
    if step <= n_steps - decay:
        return peak
    done = min(1.0, (step - 1 - (n_steps - decay)) / decay) if decay else 1.0
    return peak * (final_share + (1 - final_share) * (1 - (done if shape == "linear" else math.sqrt(done))))


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="What rate has update 1?")
def first_update_stands_still(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The warm-up begins at 0, so that the first update changes nothing and the peak is reached one update late."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: 1 - math.sqrt(done))
    return wsd(step, n_steps, peak, warmup, decay, final_share, left, rising=lambda step: peak * (step - 1) / warmup)


@misconception("schedule.warmup_stable_decay", ask="Which falls steeply at first, 1 − √x or √(1 − x)?")
def root_of_what_is_left(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The root is taken of 1 − x, so that the rate falls slowly at first and steeply at the end."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: math.sqrt(1 - done))
    return wsd(step, n_steps, peak, warmup, decay, final_share, left)


@misconception("schedule.warmup_stable_decay", ask="What is the rate at the first update of the decay if f is 0.5?")
def cut_off_at_the_final_share(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rate falls towards 0 and is held at the final share, instead of falling towards it."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: 1 - math.sqrt(done))
    return max(peak * final_share, wsd(step, n_steps, peak, warmup, decay, 0.0, left)) if step > warmup else peak * step / warmup


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="What is x after the end?")
def falls_on_after_the_end(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rate goes on falling after the last update, and becomes negative."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    if step <= n_steps - decay:
        return peak * min(1.0, step / warmup) if warmup else peak
    done = (step - (n_steps - decay)) / decay if decay else 1.0
    return peak * (final_share + (1 - final_share) * (1 - (done if shape == "linear" else math.sqrt(done))))


@misconception("schedule.Scheduler.step", ask="What is the rate of update 2, after update 1 is done?")
def rate_is_an_update_late(self):
    """The rate is set before the update is counted, so that each rate is used twice or late."""
    self._set()
    self.done += 1


@misconception("schedule.Scheduler.step", ask="How many groups has an optimiser with weight decay?")
def first_group_alone(self):
    """Only the first group gets the new rate."""
    self.done += 1
    self.optimizer.param_groups[0]["lr"] = self.rate(self.done + 1)


@misconception("schedule.Scheduler.load_state_dict", pitfall=3, ask="What rate has the new optimiser until the first `step`?")
def rate_is_not_set_on_resuming(self, state):
    """The count is restored and the rate is not, so that the next update has the rate that the optimiser was made with."""
    self.done = state["done"]


@misconception("schedule.Scheduler.load_state_dict", pitfall=3, ask="How many updates are done, if 4 were done before the pause?")
def resumed_an_update_late(self, state):
    """The state is taken for the number of the next update, and not of those that are done."""
    self.done = state["done"] - 1
    self._set()


def two_groups(names, decays, weight_decay):
    """The groups of parameters by their names."""
    return [
        {
            "params": [parameter for parameter in names if decays(parameter) == wanted],
            "names": [names[parameter][0] for parameter in names if decays(parameter) == wanted],
            "weight_decay": weight_decay if wanted else 0.0,
        }
        for wanted in (True, False)
    ]


def names_of(model, trained_only=True):
    """All names of each parameter."""
    names = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.requires_grad or not trained_only:
            names.setdefault(parameter, []).append(name)
    return names


@misconception("schedule.groups", pitfall=4, ask="What is the second name of a tied head?")
def first_name_alone(model, weight_decay, exempt=("embedding", "positions")):
    """Only the first name of a shared parameter is looked at, so that a tied head may decay."""
    names = names_of(model)
    return two_groups(names, lambda p: p.ndim >= 2 and not any(text in names[p][0] for text in exempt), weight_decay)


@misconception("schedule.groups", pitfall=4, ask="How often is each row of an embedding trained?")
def axes_alone_decide(model, weight_decay, exempt=("embedding", "positions")):
    """All matrices decay, embeddings too: their names are not looked at."""
    return two_groups(names_of(model), lambda parameter: parameter.ndim >= 2, weight_decay)


@misconception("schedule.groups", ask="What would an optimiser do with a parameter that is never trained?")
def frozen_ones_decay_too(model, weight_decay, exempt=("embedding", "positions")):
    """Frozen parameters stand in the groups as well."""
    names = names_of(model, trained_only=False)
    return two_groups(
        names, lambda p: p.ndim >= 2 and not any(text in name for name in names[p] for text in exempt), weight_decay
    )


@misconception("schedule.groups", ask="How many axes has a kernel of a convolution?")
def two_axes_exactly(model, weight_decay, exempt=("embedding", "positions")):
    """Parameters with more than two axes do not decay."""
    names = names_of(model)
    return two_groups(
        names, lambda p: p.ndim == 2 and not any(text in name for name in names[p] for text in exempt), weight_decay
    )


@misconception("schedule.groups", ask="Which of both groups decays?")
def decay_of_the_wrong_group(model, weight_decay, exempt=("embedding", "positions")):
    """Vectors and embeddings decay, and matrices do not."""
    names = names_of(model)
    return two_groups(names, lambda p: p.ndim < 2 or any(text in name for name in names[p] for text in exempt), weight_decay)


# amp


@misconception("amp.Scaler.unscale", ask="The loss was multiplied by the scale; what has to be done to gradients?")
def multiplied_again(self, parameters):
    """Gradients are multiplied by the scale once more, instead of being divided by it."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(self.scale)


@misconception("amp.Scaler.unscale", ask="Who else may hold the tensor in .grad?")
def unscaled_copies(self, parameters):
    """New tensors are put into .grad, so that whoever holds the old ones (a bucket, a hook) still has scaled gradients."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad / self.scale


@misconception("amp.Scaler.unscale", ask="What is the gradient of a layer that was not used?")
def every_parameter_has_a_gradient(self, parameters):
    """It is taken for granted that every parameter has a gradient."""
    for parameter in parameters:
        parameter.grad.div_(self.scale)


@misconception("amp.Scaler.state_dict", pitfall=7, ask="When does the scale grow next?")
def good_steps_are_not_saved(self):
    """The good steps since the last change are saved as none, so that the scale of a resumed run grows later."""
    return {"scale": self.scale, "good_steps": 0}


@misconception("amp.Scaler.load_state_dict", pitfall=7, ask="What does growth depend on besides the scale?")
def good_steps_are_not_restored(self, state):
    """The scale is restored, and how many good steps there were since it last changed is not."""
    self.scale = state["scale"]


@misconception("amp.Scaler.load_state_dict", pitfall=7, ask="How many steps does it take to find the scale again?")
def scale_starts_again(self, state):
    """The scale is not restored, and starts where the new scaler was made."""
    self.good_steps = state["good_steps"]


def unscaled_and_clipped(model, scaler, max_norm):
    """The beginning of the step, as it should be: the norm."""
    scaler.unscale(model.parameters())
    return clip_gradients(model.parameters(), max_norm).item()


def updated(norm, finite, optimizer, scaler, scheduler):
    """The rest of the step, as it should be."""
    if finite:
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    scaler.update(finite)
    return norm, not finite


@misconception("amp.apply_gradients", pitfall=1, ask="To what norm are true gradients clipped, if scaled ones are clipped to 1?")
def clipped_before_unscaling(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Scaled gradients are clipped and unscaled afterwards, so that nearly every step is smaller by the scale."""
    norm = clip_gradients(model.parameters(), max_norm).item() / scaler.scale
    scaler.unscale(model.parameters())
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", ask="What divides the gradients by the scale?")
def never_unscaled(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Gradients are not unscaled at all; the norm is that of scaled ones."""
    norm = clip_gradients(model.parameters(), max_norm).item()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=2, ask="What is a weight after one step of infinite size?")
def steps_on_infinity(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The update is done although the gradient is not finite."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    scaler.update(math.isfinite(norm))
    return norm, not math.isfinite(norm)


@misconception("amp.apply_gradients", pitfall=2, ask="Is NaN infinite?")
def nan_is_not_infinite(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Infinity is looked for and NaN is not, so that the update is done with NaN."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    return updated(norm, not math.isinf(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=4, ask="How many updates were there, if one of three was skipped?")
def scheduler_counts_skipped_steps(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scheduler is stepped for skipped updates as well."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    if scheduler is not None and not math.isfinite(norm):
        scheduler.step()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=4, ask="Whose rate does the optimiser use, if the scheduler goes first?")
def scheduler_before_the_optimiser(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scheduler is stepped before the optimiser, so that each update has the rate of the next one."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    if scheduler is not None and math.isfinite(norm):
        scheduler.step()
    return updated(norm, math.isfinite(norm), optimizer, scaler, None)


@misconception("amp.apply_gradients", pitfall=2, ask="How will the scale ever fit?")
def scaler_hears_of_good_steps_alone(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scaler is not told of skipped updates, so that it never shrinks, and every step is skipped."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    finite = math.isfinite(norm)
    return updated(norm, finite, optimizer, scaler, scheduler) if finite else (norm, True)


@misconception("amp.apply_gradients", ask="Which norm says that something is going wrong?")
def norm_from_after_clipping(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The norm that comes back is that of clipped gradients, which hardly ever changes."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    return updated(min(norm, max_norm), math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", ask="What does clipping do to the largest gradients?")
def clipping_is_forgotten(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Gradients are not clipped."""
    scaler.unscale(model.parameters())
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])).item()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.training_step", pitfall=3, ask="What stands in .grad after the last step?")
def gradients_are_not_cleared(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients of earlier steps are not cleared, and stay in the sum."""
    loss = accumulate_gradients(model, parts, scale=scaler.scale, dtype=dtype)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", pitfall=3, ask="What is left to step with?")
def gradients_are_cleared_too_late(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients are cleared after the step, where a skipped one of before, or whatever else stands there, comes along."""
    loss = accumulate_gradients(model, parts, scale=scaler.scale, dtype=dtype)
    step = Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))
    optimizer.zero_grad()
    return step


@misconception("amp.training_step", ask="How many updates does a batch in four parts make?")
def an_update_for_each_part(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Each part makes an update of its own: that is training with small batches."""
    losses = []
    for part in parts:
        if count_targets([part]):
            optimizer.zero_grad()
            losses.append(accumulate_gradients(model, [part], scale=scaler.scale, dtype=dtype))
            norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(sum(losses) / len(losses), norm, skipped)


@misconception("amp.training_step", ask="After how many batches is the warm-up over, if each has four parts?")
def scheduler_counts_parts(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The scheduler is stepped once for each part, so that its phases are over too early."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, parts, scale=scaler.scale, dtype=dtype)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    for _ in parts[1:]:
        if scheduler is not None:
            scheduler.step()
    return Step(loss, norm, skipped)


@misconception("amp.training_step", pitfall=5, ask="What is a loss of 150,733 nats?")
def loss_is_told_with_its_scale(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The loss that is told is the scaled one."""
    optimizer.zero_grad()
    scale = scaler.scale
    loss = accumulate_gradients(model, parts, scale=scale, dtype=dtype)
    return Step(loss * scale, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", ask="By what does `unscale` divide?")
def loss_is_not_scaled(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The loss is not scaled, though gradients are unscaled: every step is too small by the scale."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, parts, dtype=dtype)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", ask="Where does the dtype go?")
def dtype_is_not_handed_on(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The dtype is not handed on, and everything is computed in float32."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, parts, scale=scaler.scale)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


# checkpoint


@misconception("checkpoint.snapshot", pitfall=3, ask="Whose tensors does state_dict() hold?")
def snapshot_holds_live_tensors(parts, generators=NO_GENERATORS):
    """The tensors of the snapshot are those of the model and the optimiser, and train along."""
    return {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "generators": {name: generator.get_state() for name, generator in generators.items()},
        "random": random_state(),
    }


@misconception("checkpoint.snapshot", pitfall=3, ask="How deep in its state does an optimiser keep its moments?")
def copies_at_the_top_alone(parts, generators=NO_GENERATORS):
    """Tensors at the top of each state are copied; those that lie deeper, as an optimiser's moments, are live."""
    clone = lambda value: value.detach().clone() if isinstance(value, torch.Tensor) else value
    return {
        "parts": {name: {key: clone(value) for key, value in part.state_dict().items()} for name, part in parts.items()},
        "generators": {name: generator.get_state() for name, generator in generators.items()},
        "random": random_state(),
    }


@misconception("checkpoint.snapshot", pitfall=1, ask="What besides the weights does the next step depend on?")
def model_alone_is_saved(parts, generators=NO_GENERATORS):
    """Only the model's state is in it; those of all other parts are empty."""
    return _copied(
        {
            "parts": {name: part.state_dict() if name == "model" else {} for name, part in parts.items()},
            "generators": {name: generator.get_state() for name, generator in generators.items()},
            "random": random_state(),
        },
        "cpu",
    )


def must_be_the_same(state, parts, generators):
    """The argument check of `restore`."""
    if parts.keys() != state["parts"].keys() or generators.keys() != state["generators"].keys():
        raise ValueError("other parts")


@misconception("checkpoint.restore", pitfall=1, ask="What do AdamW's moments start from?")
def optimiser_is_not_restored(state, parts, generators=NO_GENERATORS):
    """The optimiser starts anew: its moments are 0, and its bias correction counts from step 1."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        if name != "optimizer":
            part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())
    restore_random_state(state["random"])


@misconception("checkpoint.restore", pitfall=2, ask="What will dropout drop next?")
def chance_is_not_restored(state, parts, generators=NO_GENERATORS):
    """What Python, NumPy and PyTorch draw next is not restored; the run goes on with other numbers."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())


@misconception("checkpoint.restore", pitfall=2, ask="Which batches come next?")
def generators_are_not_restored(state, parts, generators=NO_GENERATORS):
    """The run's own generators are not restored, so that the same batches come again, or others."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    restore_random_state(state["random"])


@misconception("checkpoint.restore", pitfall=3, ask="Which tensors does an optimiser keep?")
def optimiser_trains_the_snapshot(state, parts, generators=NO_GENERATORS):
    """The optimiser is given the snapshot's own tensors and keeps them, so that training on changes the snapshot."""
    must_be_the_same(state, parts, generators)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())
    restore_random_state(state["random"])


def numpy_now():
    """NumPy's state as a file can hold it."""
    now = np.random.get_state(legacy=False)
    return {**now, "state": {**now["state"], "key": torch.from_numpy(now["state"]["key"].astype(np.int64))}}


@misconception("checkpoint.random_state", pitfall=2, ask="Is the seed where the generator stands now?")
def seed_instead_of_the_state():
    """The state of PyTorch is that of its seed, at the beginning of its numbers, and not where it stands now."""
    return {
        "python": random.getstate(),
        "numpy": numpy_now(),
        "torch": torch.Generator().manual_seed(torch.initial_seed()).get_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="What can a file of tensors hold?")
def numpy_array_in_the_state():
    """NumPy's state is left as it is, with an array in it that no file of tensors and plain values takes."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="Where does a normal value wait that was drawn with its twin?")
def waiting_values_are_forgotten():
    """Python and NumPy draw normal values two at a time; the one that waits is not part of the state."""
    version, key, _ = random.getstate()
    return {
        "python": (version, key, None),
        "numpy": numpy_now() | {"has_gauss": 0, "gauss": 0.0},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="What comes next, after you have looked?")
def looking_draws_a_number():
    """A number is drawn from each source and kept as a seed, which changes what comes next."""
    return {
        "python": random.Random(random.random()).getstate(),
        "numpy": numpy_now(),
        "torch": torch.Generator().manual_seed(int(torch.randint(2**31, ()))).get_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def numpy_back(state):
    """Put NumPy's state back."""
    inner = state["numpy"]["state"]
    np.random.set_state({**state["numpy"], "state": {**inner, "key": inner["key"].cpu().numpy().astype(np.uint32)}})


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with NumPy?")
def numpy_is_left_alone(state):
    """NumPy's state is not put back."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"].cpu())


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with Python's random?")
def python_is_left_alone(state):
    """Python's state is not put back."""
    numpy_back(state)
    torch.set_rng_state(state["torch"].cpu())


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with PyTorch's default generator?")
def torch_is_left_alone(state):
    """PyTorch's state is not put back."""
    random.setstate(state["python"])
    numpy_back(state)


def header_of(state, tensors):
    """The header of a checkpoint."""
    return {"format": "training checkpoint, 1", "tree": json.dumps(_packed(state, tensors))}


@misconception("checkpoint.write", pitfall=4, ask="What is in the file while it is being written?")
def written_over_the_old_one(path, state):
    """The new file is written over the old one, which is lost when the process is killed half-way."""
    tensors = {}
    header = header_of(state, tensors)
    data = safetensors.torch.save(tensors, header)
    with Path(path).open("wb") as file:
        file.write(data)
    _to_disk(Path(path))


@misconception("checkpoint.write", pitfall=4, ask="What does `path` lead to between the two calls?")
def old_one_is_removed_first(path, state):
    """The old file is removed before the new one takes its name, and for a moment there is none."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    path.unlink(missing_ok=True)
    part.rename(path)
    _to_disk(path.parent)


@misconception("checkpoint.write", pitfall=4, ask="What does a move from one disk to another do?")
def written_in_another_folder(path, state):
    """The new file is written elsewhere and moved, which between two file systems is a copy that can be cut short."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = Path("checkpoint.tmp")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)
    _to_disk(path.parent)


@misconception("checkpoint.write", pitfall=5, ask="Where are the bytes when `save_file` returns?")
def not_synced(path, state):
    """Nothing is synced: after a power failure the new name may lead to an empty file."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    part.replace(path)


@misconception("checkpoint.write", pitfall=5, ask="What makes the new name last?")
def folder_is_not_synced(path, state):
    """The file is synced and the folder is not, so that after a power failure the name may be the old one's or gone."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)


@misconception("checkpoint.write", pitfall=5, ask="Which comes first, the bytes or the name?")
def synced_after_the_name(path, state):
    """The file is synced after it has its name, when the old one is already gone."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    part.replace(path)
    _to_disk(path)
    _to_disk(path.parent)


def plain_keys(tree):
    """A tree as JSON would have it: keys are texts, tuples are lists."""
    if isinstance(tree, dict):
        return {str(key): plain_keys(value) for key, value in tree.items()}
    return [plain_keys(value) for value in tree] if isinstance(tree, list | tuple) else tree


@misconception("checkpoint.write", pitfall=7, ask="What does JSON make of {0: 1} and (1, 2)?")
def keys_become_texts(path, state):
    """The tree is what JSON makes of it: numbers as keys become texts, and tuples lists."""
    path, tensors = Path(path), {}
    header = header_of(plain_keys(state), tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)
    _to_disk(path.parent)


@misconception("checkpoint.read", ask="Which error does the caller of a training script wait for?")
def library_errors_come_through(path, map_location="cpu"):
    """Faults of the file come out as errors of the library, which no caller waits for."""
    with safe_open(path, framework="pt", device=str(map_location)) as file:
        header = file.metadata() or {}
        if header.get("format") != "training checkpoint, 1":
            raise ValueError("not ours")
        return _unpacked(json.loads(header["tree"]), file.get_tensor)


@misconception("checkpoint.read", ask="Is every safetensors file a checkpoint?")
def format_is_not_looked_at(path, map_location="cpu"):
    """It is not asked whether a safetensors file is one of ours: those of others end in an error of another kind, or in nonsense."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            return _unpacked(json.loads(file.metadata()["tree"]), file.get_tensor)
    except SafetensorError as error:
        raise ValueError(f"{path} is broken") from error


@misconception("checkpoint.read", ask="What can a pickle do when it is loaded?")
def pickles_are_loaded_too(path, map_location="cpu"):
    """What is no safetensors file is loaded with pickle, which runs whatever stands in it."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            header = file.metadata() or {}
            if header.get("format") != "training checkpoint, 1":
                raise ValueError("not ours")
            return _unpacked(json.loads(header["tree"]), file.get_tensor)
    except SafetensorError as error:
        with contextlib.suppress(Exception):
            torch.load(path, map_location=map_location, weights_only=False)
        raise ValueError(f"{path} is broken") from error


@misconception("checkpoint.read", ask="Is a file that is not there a broken one?")
def missing_file_is_a_value_error(path, map_location="cpu"):
    """A file that is not there is reported as a broken one."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            header = file.metadata() or {}
            if header.get("format") != "training checkpoint, 1":
                raise ValueError("not ours")
            return _unpacked(json.loads(header["tree"]), file.get_tensor)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is broken") from error


def must_be_positive(save, mean):
    """The argument check of `young_interval`."""
    if not (save > 0 and mean > 0):
        raise ValueError("both times must be positive")


@misconception("checkpoint.young_interval", ask="What is the derivative of C/T + T/(2M)?")
def half_is_forgotten(save, mean_time_between_failures):
    """The 2 is missing: a failure costs half an interval on average, not a whole one."""
    must_be_positive(save, mean_time_between_failures)
    return math.sqrt(save * mean_time_between_failures)


@misconception("checkpoint.young_interval", ask="In which unit is the product of two times?")
def root_is_forgotten(save, mean_time_between_failures):
    """The root is missing."""
    must_be_positive(save, mean_time_between_failures)
    return 2 * save * mean_time_between_failures


@misconception("checkpoint.expected_seconds", pitfall=9, ask="What does a failure cost besides the work that is lost?")
def restart_is_free(work, interval, save, restart, mean_time_between_failures):
    """The time of restarts is left out."""
    mean = mean_time_between_failures
    return work / interval * mean * math.expm1((interval + save) / mean)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="Can a failure come while the checkpoint is being written?")
def saving_cannot_fail(work, interval, save, restart, mean_time_between_failures):
    """Failures come while working alone; saving is added on top, as if none could come then."""
    mean = mean_time_between_failures
    return work / interval * (mean * math.exp(restart / mean) * math.expm1(interval / mean) + save)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="Can a failure come while restarting?")
def restarting_cannot_fail(work, interval, save, restart, mean_time_between_failures):
    """Each failure costs one restart, in which nothing can fail."""
    mean = mean_time_between_failures
    return work / interval * (mean + restart) * math.expm1((interval + save) / mean)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="What is left of Daly's formula to second order in 1/M?")
def youngs_sum(work, interval, save, restart, mean_time_between_failures):
    """Young's sum, which holds where failures are rare: half an interval and a restart for each of them."""
    segment = interval + save
    return work / interval * (segment + segment / mean_time_between_failures * (segment / 2 + restart))


@misconception("checkpoint.expected_seconds", ask="How many digits of e^x − 1 are left, if x is 10⁻¹²?")
def digits_are_lost(work, interval, save, restart, mean_time_between_failures):
    """exp(x) − 1 loses its digits where failures are rare, which is what math.expm1 is for."""
    mean = mean_time_between_failures
    return work / interval * mean * math.exp(restart / mean) * (math.exp((interval + save) / mean) - 1)


def to_failure(mean, generator):
    """Seconds to the next failure."""
    return -mean * math.log1p(-torch.rand((), generator=generator, dtype=torch.float64).item())


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="What is lost if the failure comes while saving?")
def failures_spare_the_saving(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure while saving costs nothing: the interval before it counts as saved."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval
    while segments:
        if failure < pending:
            clock += failure
            pending, failure = restart + interval, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending + save, failure - pending
            segments, pending = segments - 1, interval
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="Can a failure come while restarting?")
def failures_spare_the_restart(work, interval, save, restart, mean_time_between_failures, generator):
    """No failure comes while restarting."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    while segments:
        if failure < interval + save:
            clock, failure = clock + failure + restart, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure, segments = clock + interval + save, failure - interval - save, segments - 1
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="What is done again after a failure?")
def nothing_is_lost(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure costs the restart alone: the work since the last checkpoint is not done again."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval + save
    while segments:
        if failure < pending:
            clock, pending = clock + failure, pending - failure + restart
            failure = to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending, failure - pending
            segments, pending = segments - 1, interval + save
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="How far back does a failure throw the run?")
def everything_is_lost(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure throws the run back to its beginning, as if there were no checkpoints."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval + save
    done = 0
    while done < segments and clock < 1e4 * work:
        if failure < pending:
            clock, done = clock + failure, 0
            pending, failure = restart + interval + save, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending, failure - pending
            done, pending = done + 1, interval + save
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="Do failures come like trains?")
def failures_come_regularly(work, interval, save, restart, mean_time_between_failures, generator):
    """Times between failures are spread evenly around their mean, where short ones should be the most frequent."""
    draw = lambda: 2 * mean_time_between_failures * torch.rand((), generator=generator, dtype=torch.float64).item()
    clock, segments, failure = 0.0, round(work / interval), draw()
    pending = interval + save
    while segments:
        if failure < pending:
            clock += failure
            pending, failure = restart + interval + save, draw()
        else:
            clock, failure = clock + pending, failure - pending
            segments, pending = segments - 1, interval + save
    return clock


# metrics


@misconception("metrics.json_line", pitfall=1, ask="What does JSON know of NaN?")
def nan_stands_in_the_line(step, values):
    """NaN and Infinity are written as Python writes them, which is no JSON."""
    return json.dumps({"step": step, **values}) + "\n"


@misconception("metrics.json_line", pitfall=1, ask="What does `float` make of null?")
def nan_becomes_null(step, values):
    """Numbers that JSON does not have become null, so that nobody can tell NaN from infinity."""
    return json.dumps({"step": step, **{name: value if math.isfinite(value) else None for name, value in values.items()}}) + "\n"


@misconception("metrics.json_line", pitfall=2, ask="Where does the next line begin?")
def line_has_no_end(step, values):
    """There is no line end, so that the next step stands in the same line."""
    return json.dumps(
        {"step": step, **{name: value if math.isfinite(value) else str(float(value)) for name, value in values.items()}}
    )


@misconception("metrics.json_line", ask="Who needs all digits?")
def numbers_are_rounded(step, values):
    """Numbers are rounded to four decimals, so that small ones become 0."""
    readable = {name: round(value, 4) if math.isfinite(value) else str(float(value)) for name, value in values.items()}
    return json.dumps({"step": step, **readable}) + "\n"


@misconception("metrics.read_json_lines", ask="How does the file of a killed run end?")
def half_a_line_is_an_error(path, up_to=None):
    """A last line that was never finished is an error, so that a killed run cannot go on."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if up_to is None or row["step"] <= up_to]


@misconception("metrics.read_json_lines", ask="Which of these lines did a kill cut short?")
def all_broken_lines_are_left_out(path, up_to=None):
    """Every line that cannot be read is left out, so that damage in the middle of a file goes unseen."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [row for row in rows if up_to is None or row["step"] <= up_to]


@misconception("metrics.read_json_lines", pitfall=3, ask="Will step `up_to` happen again?")
def last_step_is_dropped(path, up_to=None):
    """The step `up_to` itself is left out, though it is done."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]]
    return [row for row in rows if up_to is None or row["step"] < up_to]


@misconception("metrics.read_json_lines", pitfall=3, ask="Which steps will happen again?")
def steps_to_come_are_kept(path, up_to=None):
    """Lines of steps after `up_to` are kept, and stand there twice in the end."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]]


def gradients_of(parameters):
    """The gradients that are there."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@misconception("metrics.gradient_norm", pitfall=5, ask="How long is (3, 4), and how long are 3 and 4?")
def sum_of_norms(parameters):
    """The norms of all gradients are added."""
    return float(
        sum(
            torch.linalg.vector_norm(gradient.to(torch.promote_types(gradient.dtype, torch.float32)))
            for gradient in gradients_of(parameters)
        )
    )


@misconception("metrics.gradient_norm", pitfall=5, ask="What is 300 squared in float16?")
def squares_in_low_precision(parameters):
    """Squares are summed in the dtype of the gradients, and in float16 they overflow."""
    return math.sqrt(sum(gradient.square().sum().item() for gradient in gradients_of(parameters)))


@misconception("metrics.gradient_norm", pitfall=5, ask="Root of the sum of squares, or the sum itself?")
def root_of_the_squares_is_forgotten(parameters):
    """The sum of the squares comes back, without its root."""
    return float(
        sum(
            gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum().item()
            for gradient in gradients_of(parameters)
        )
    )


@misconception("metrics.flops_per_token", ask="What does a key cost each token?")
def attention_is_free(n_weights, n_layers, d_model, time):
    """Attention is left out."""
    return 6 * n_weights


@misconception("metrics.flops_per_token", ask="How many passes has a training step?")
def forward_pass_alone(n_weights, n_layers, d_model, time):
    """Only the forward pass is counted."""
    return 2 * n_weights + 4 * n_layers * d_model * time


@misconception("metrics.flops_per_token", ask="How many tokens does a token of the context look at?")
def attention_of_all_tokens(n_weights, n_layers, d_model, time):
    """Attention is counted for all tokens of the context together, and not for one."""
    return 6 * n_weights + 12 * n_layers * d_model * time * time


@misconception("metrics.Speed.look", pitfall=4, ask="How long does a slow first step show?")
def speed_since_the_beginning(self):
    """Tokens and seconds are those since the start, so that warm-up and every pause stay in them for ever."""
    tokens, seconds = self.tokens, self.clock() - self.since
    speed = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        speed["mfu"] = share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return speed


@misconception("metrics.Speed.look", pitfall=4, ask="Which two things begin anew?")
def clock_is_not_set_back(self):
    """Tokens are counted anew after a look, and seconds are not."""
    tokens, seconds = self.tokens, self.clock() - self.since
    self.tokens = 0
    speed = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        speed["mfu"] = share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return speed


@misconception("metrics.Speed.look", ask="In which unit is the share of peak?")
def share_in_percent(self):
    """The share of peak is told in percent."""
    now = self.clock()
    tokens, seconds = self.tokens, now - self.since
    self.tokens, self.since = 0, now
    speed = {"tokens_per_second": tokens / seconds}
    if self.peak is not None:
        speed["mfu"] = 100 * share_of_peak(tokens * self.flops_per_token, seconds, self.peak)
    return speed


# parallel


@misconception("parallel.my_rows", pitfall=6, ask="Whose is row 7 of 7, on three ranks?")
def rest_of_the_batch_is_dropped(batch, rank, size):
    """Shares are of equal size, and rows that are left over are nobody's."""
    rows = len(batch[0]) // size
    return batch[0][rank * rows : (rank + 1) * rows], batch[1][rank * rows : (rank + 1) * rows]


@misconception("parallel.my_rows", pitfall=6, ask="What does a row count that two ranks have?")
def rows_are_repeated(batch, rank, size):
    """Shares are filled up with rows of other ranks, which then count twice."""
    rows = -(-len(batch[0]) // size)
    places = torch.arange(rank * rows, (rank + 1) * rows) % len(batch[0])
    return batch[0][places], batch[1][places]


@misconception("parallel.my_rows", ask="Is every third row a stretch?")
def every_nth_row(batch, rank, size):
    """Each rank takes every n-th row, where a stretch of them is asked for."""
    return batch[0][rank::size], batch[1][rank::size]


@misconception("parallel.my_rows", pitfall=6, ask="How large are the shares of 7 rows on three ranks?")
def last_rank_takes_the_rest(batch, rank, size):
    """All rows that are left over go to the last rank, for which the others wait."""
    rows = len(batch[0]) // size
    end = None if rank == size - 1 else (rank + 1) * rows
    return batch[0][rank * rows : end], batch[1][rank * rows : end]


@misconception("parallel.same_start", pitfall=4, ask="What does a forward pass depend on besides parameters?")
def buffers_are_forgotten(model, collective):
    """Buffers are left as they are, and each rank has its own."""
    with torch.no_grad():
        for tensor in model.parameters():
            collective.broadcast(tensor)


@misconception("parallel.same_start", pitfall=5, ask="Is the mean of starts a start?")
def mean_of_all_starts(model, collective):
    """All ranks take the mean of their parameters, which is no start that anybody has drawn."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            wide = tensor.to(torch.float64)
            collective.all_reduce(wide)
            tensor.copy_(wide / collective.size)


@misconception("parallel.same_start", pitfall=5, ask="Does a rank have what a frozen layer started from?")
def frozen_ones_are_left_out(model, collective):
    """Parameters that are not trained are not sent, though the forward pass depends on them."""
    with torch.no_grad():
        for tensor in (*(parameter for parameter in model.parameters() if parameter.requires_grad), *model.buffers()):
            collective.broadcast(tensor)


@misconception("parallel.joint_count", pitfall=7, ask="What is 2²⁴ + 1 in float32?")
def counted_in_float32(count, collective):
    """The count travels as float32, which is exact to 16.7 million."""
    total = torch.tensor([float(count)], dtype=torch.float32, device=_device_of_talk())
    collective.all_reduce(total)
    return int(total)


@misconception("parallel.joint_count", pitfall=1, ask="What is divided by the number of ranks?")
def mean_count(count, collective):
    """The mean count of the ranks comes back, not their sum."""
    total = torch.tensor([count], device=_device_of_talk())
    collective.all_reduce(total)
    return int(total) // collective.size


@misconception("parallel.joint_count", pitfall=1, ask="Do all ranks have as many targets as this one?")
def count_times_ranks(count, collective):
    """One's own count times the ranks, as if all had equally many."""
    return count * collective.size


def gradients_or_zeros(parameters):
    """The gradients of all trained parameters, made where there is none."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in trained]


def summed_in_buckets(gradients, collective, bucket_bytes=25 * 2**20):
    """Sums over ranks, a bucket at a time."""
    for bucket in buckets(gradients, bucket_bytes):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        collective.all_reduce(flat)
        for gradient, summed in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))


@misconception("parallel.reduce_gradients", pitfall=1, ask="By what was the loss divided already?")
def gradients_are_averaged(parameters, collective, bucket_bytes=25 * 2**20):
    """The sums are divided by the number of ranks, as PyTorch's own wrapper does; here the joint count has done that."""
    gradients = gradients_or_zeros(parameters)
    summed_in_buckets(gradients, collective, bucket_bytes)
    for gradient in gradients:
        gradient.div_(collective.size)


@misconception("parallel.reduce_gradients", pitfall=3, ask="Which calls does a rank make that has no rows?")
def missing_gradients_are_skipped(parameters, collective, bucket_bytes=25 * 2**20):
    """Parameters without a gradient are skipped, so that ranks make different calls and wait for each other."""
    summed_in_buckets([p.grad for p in parameters if p.requires_grad and p.grad is not None], collective, bucket_bytes)


@misconception("parallel.reduce_gradients", ask="What does a call cost that sends four bytes?")
def a_call_for_each_gradient(parameters, collective, bucket_bytes=25 * 2**20):
    """Each gradient travels on its own, and each call costs its latency."""
    for gradient in gradients_or_zeros(parameters):
        collective.all_reduce(gradient)


@misconception("parallel.reduce_gradients", ask="How much memory does a bucket of everything take?")
def one_bucket_for_everything(parameters, collective, bucket_bytes=25 * 2**20):
    """All gradients travel in one bucket, which takes as much memory again as all of them."""
    summed_in_buckets(gradients_or_zeros(parameters), collective, 2**60)


@misconception("parallel.reduce_gradients", ask="Where do the sums go?")
def sums_stay_in_the_bucket(parameters, collective, bucket_bytes=25 * 2**20):
    """The buckets are summed, and the sums never come back to the gradients."""
    for bucket in buckets(gradients_or_zeros(parameters), bucket_bytes):
        collective.all_reduce(torch.cat([gradient.flatten() for gradient in bucket]))


@misconception("parallel.reduce_gradients", ask="What is the gradient of a frozen parameter?")
def frozen_ones_get_gradients(parameters, collective, bucket_bytes=25 * 2**20):
    """Frozen parameters get a gradient of zeros as well, and travel along."""
    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    summed_in_buckets([parameter.grad for parameter in parameters], collective, bucket_bytes)


def parts_with_rows(parts):
    """Parts that have any."""
    return [part for part in parts if len(part[0])]


def own_share(model, parts, collective, scaler, dtype):
    """One's own gradients over the joint count, as they should be, and one's share of the loss."""
    mine = parts_with_rows(parts)
    total = joint_count(count_targets(mine), collective)
    return accumulate_gradients(model, mine, total, scaler.scale, dtype)


def together(share, model, optimizer, collective, scaler, max_norm, scheduler):
    """The end of the step, as it should be, once gradients are summed."""
    loss = joint_sum(share, collective)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("parallel.parallel_step", pitfall=1, ask="What does a token weigh on a rank with few of them?")
def mean_of_the_ranks_means(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Each rank divides by its own targets, and the ranks' means are averaged."""
    optimizer.zero_grad()
    mine = parts_with_rows(parts)
    total = max(1, count_targets(mine)) * collective.size
    joint_count(total, collective)
    share = accumulate_gradients(model, mine, total, scaler.scale, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", pitfall=2, ask="By which factor does each rank clip?")
def clipped_before_the_sum(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Each rank clips its own gradients before they are summed, each by another factor."""
    optimizer.zero_grad()
    share = own_share(model, parts, collective, scaler, dtype)
    if parts_with_rows(parts):
        clip_gradients(model.parameters(), max_norm * scaler.scale / collective.size)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="How often does each gradient travel, with four parts?")
def summed_after_each_part(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients are summed after each part and not once at the end: k times the traffic, and ranks must have equally many parts."""
    optimizer.zero_grad()
    mine = parts_with_rows(parts)
    total = joint_count(count_targets(mine), collective)
    share, kept = 0.0, None
    for part in mine or [None]:
        optimizer.zero_grad()
        share += accumulate_gradients(model, [part] if part else [], total, scaler.scale, dtype)
        reduce_gradients(model.parameters(), collective)
        now = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        kept = now if kept is None else [a + b for a, b in zip(kept, now, strict=True)]
    for parameter, gradient in zip([p for p in model.parameters() if p.grad is not None], kept, strict=True):
        parameter.grad = gradient
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="Whose loss stands in the log of rank 1?")
def loss_of_ones_own_share(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Each rank tells the loss of its own share."""
    optimizer.zero_grad()
    share = own_share(model, parts, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return Step(share, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("parallel.parallel_step", pitfall=3, ask="Who waits for a rank that has returned?")
def early_return_without_rows(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """A rank without rows returns early, and the others wait for it for ever."""
    optimizer.zero_grad()
    if not parts_with_rows(parts):
        return Step(0.0, 0.0, False)
    share = own_share(model, parts, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="What stands in .grad after the last step?")
def leftovers_are_summed_too(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients of earlier steps are not cleared, and are summed over the ranks again."""
    share = own_share(model, parts, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="What do the ranks have in common after one step?")
def gradients_are_never_summed(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Every rank steps with the gradients of its own share, and the models drift apart."""
    optimizer.zero_grad()
    share = own_share(model, parts, collective, scaler, dtype)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)
