"""These are other right versions of parts of bpe.py. The tolerances allow for all of these routes."""

from collections import Counter, defaultdict
from itertools import pairwise

import regex

from tools.author.cases import alternate

from .bpe import PATTERN, split_special


@alternate("bpe.split_special")
def walked_from_the_left(text, special):
    """Position by position, asking at each whether a special begins there."""
    by_length = sorted(special, key=len, reverse=True)
    segments, begin, position = [], 0, 0
    while position < len(text):
        found = next((one for one in by_length if text.startswith(one, position)), None)
        if found is None:
            position += 1
            continue
        segments += [text[begin:position], found]
        begin = position = position + len(found)
    segments.append(text[begin:])
    return segments


@alternate("bpe.count_pretokens")
def one_dictionary_of_bytes(texts, special=(), pattern=PATTERN):
    """Each match is encoded at once and counted in a dictionary."""
    counts = defaultdict(int)
    for text in texts:
        for number, segment in enumerate(split_special(text, special)):
            if number % 2 == 0:
                for match in regex.finditer(pattern, segment):
                    counts[match.group().encode("utf-8")] += 1
    return Counter(counts)


@alternate("bpe.merge")
def looking_back(ids, pair, new):
    """Each token looks back at the one before it, which may be taken only once."""
    out, free = [], False
    for token in ids:
        if free and (out[-1], token) == pair:
            out[-1], free = new, False
        else:
            out.append(token)
            free = True
    return out


@alternate("bpe.train_merges")
def counts_without_a_heap(words, n_merges):
    """Counts are kept for each pair and updated word by word. The best pair is looked for among all of them, each time."""
    rows = [[list(word), count] for word, count in words.items()]
    total, holders = Counter(), defaultdict(set)
    for number, (row, count) in enumerate(rows):
        for left, right in pairwise(row):
            total[left, right] += count
            holders[left, right].add(number)
    chosen = []
    for token in range(256, 256 + n_merges):
        most = max(total.values(), default=0)
        if most <= 0:
            break
        first, second = best = min(pair for pair, count in total.items() if count == most)
        for number in list(holders.pop(best)):
            row, count = rows[number]
            for pair in pairwise(row):
                total[pair] -= count
                if total[pair] == 0:
                    del total[pair]
            position, shorter = 0, []
            while position < len(row):
                joined = position + 1 < len(row) and row[position] == first and row[position + 1] == second
                shorter.append(token if joined else row[position])
                position += 1 + joined
            rows[number][0] = shorter
            for pair in pairwise(shorter):
                total[pair] += count
                holders[pair].add(number)
        chosen.append(best)
    return chosen


@alternate("bpe.Tokenizer.encode_word")
def one_position_at_a_time(self, word):
    """The earliest merge at its leftmost position, in place, and then again."""
    ids = list(word)
    while True:
        ranked = [(self.order[pair], position) for position, pair in enumerate(pairwise(ids)) if pair in self.order]
        if not ranked:
            return ids
        rank, position = min(ranked)
        ids[position : position + 2] = [256 + rank]


@alternate("bpe.Tokenizer.encode")
def a_table_for_each_text(self, text, allow_special=False):
    """Words are remembered in a table of this call, and matches come from an iterator."""
    text.encode("utf-8")
    known, out = {}, []
    for number, segment in enumerate(split_special(text, self.special if allow_special else [])):
        if number % 2:
            out.append(self.ids[segment])
            continue
        for match in regex.finditer(self.pattern, segment):
            word = match[0]
            if word not in known:
                known[word] = self.encode_word(word.encode("utf-8"))
            out.extend(known[word])
    return out


@alternate("bpe.Tokenizer.decode")
def bytes_in_one_array(self, tokens):
    """Bytes are collected in one array."""
    collected = bytearray()
    for token in map(int, tokens):
        collected += self.token_bytes[token] if token in range(self.vocab_size) else b"\xef\xbf\xbd"
    return str(collected, "utf-8", "replace")


@alternate("bpe.Tokenizer.encode_chunks")
def settled_a_few_chunks_at_a_time(self, chunks, allow_special=False):
    """Several small chunks are collected before it is asked how far they are settled."""
    waiting, text = [], ""
    for chunk in chunks:
        waiting.append(chunk)
        if len(waiting) == 3 or len(chunk) > 1000:
            text += "".join(waiting)
            waiting.clear()
            end = self.settled(text, allow_special)
            yield from iter(self.encode(text[:end], allow_special))
            text = text[end:]
    yield from self.encode(text + "".join(waiting), allow_special)
