"""Byte-level byte-pair encoding: bytes that often stand together become one token, and again, until there are enough tokens.

Tokens 0 … 255 are the bytes, 256 + i is what merge i makes, special tokens follow. Text is cut into pre-tokens first (words with
the space before them, numbers, signs, space), and no token crosses such a cut. Left out: normalisation, dropout of merges, and a
priority queue for the encoding of very long pre-tokens (each different merge is one pass over the pre-token).
Source: Sennrich et al., arXiv:1508.07909, §3.2; bytes and the pattern: GPT-2 (Radford et al. 2019), §2.2.
"""

import heapq
import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path

import regex

Pair = tuple[int, int]

# A contraction; or letters, digits, other signs, each with one space before; or space, whose last sign goes to what follows.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UNKNOWN = "\ufffd".encode()  # what stands for a token that is none
FORMAT = "byte pairs, 1"  # first entry of a saved file
CACHED = 2**16  # pre-tokens whose tokens an encoder remembers


def split_special(text: str, special: Iterable[str]) -> list[str]:
    """The text cut at special texts. Segments at even indices are ordinary, perhaps empty, and those at odd indices are special.

    Special texts are found from the left. Of those that begin at one position the longest counts. The joined segments are the text.
    """
    # TODO: cut (handout: bpe, step 1).
    # Watch: signs like | and [ mean something to regular expressions; no special text at all.
    # BEGIN SOLUTION
    longest_first = sorted(special, key=len, reverse=True)
    return regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if longest_first else [text]
    # END SOLUTION


def count_pretokens(texts: Iterable[str], special: Sequence[str] = (), pattern: str = PATTERN) -> Counter[bytes]:
    """How often each pre-token stands in the texts, as UTF-8. Special texts are cut out, and no pre-token crosses one.

    texts: any iterable. No pre-token reaches from one text into the next. All of them need not fit into memory.
    """
    # TODO: count (handout: bpe, step 2).
    # Watch: specials before the pattern; counting strings is quicker than encoding each one first.
    # BEGIN SOLUTION
    counts = Counter()
    for text in texts:
        for segment in split_special(text, special)[::2]:
            counts.update(regex.findall(pattern, segment))
    return Counter({word.encode(): count for word, count in counts.items()})
    # END SOLUTION


def merge(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """`ids` with every occurrence of the pair replaced by `new`, from the left: of (a, a, a) the first two become one."""
    # TODO: one pass (handout: bpe, step 3).
    # Watch: occurrences that overlap; the last token; `ids` stays as it is.
    # BEGIN SOLUTION
    merged, position = [], 0
    while position < len(ids):
        found = tuple(ids[position : position + 2]) == pair
        merged.append(new if found else ids[position])
        position += 2 if found else 1
    return merged
    # END SOLUTION


def train_merges(words: Mapping[bytes, int], n_merges: int) -> list[Pair]:
    """The first n_merges merges: each time the pair of neighbours with the highest count, and of equal ones the lowest pair.

    A pair counts once for each position where it stands (twice in a, a, a), times the count of its word. The lowest pair is that
    with the lowest first token, and of these with the lowest second token. Merge i makes token 256 + i. Fewer merges come out when
    no pair is left. Time grows with the number of different pre-tokens, not with the length of the text.

    words: pre-tokens, and how often each stands in the text.
    """
    # TODO: merge until there are enough (handout: bpe, step 4).
    # Watch: the naive loop recounts everything for every merge, and is 50 times too slow; the counts of the neighbours; ties.
    # BEGIN SOLUTION
    spelled = [list(word) for word in words]
    times = list(words.values())
    counts: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)  # words that hold the pair, or held it once
    for number, ids in enumerate(spelled):
        for pair in pairwise(ids):
            counts[pair] += times[number]
            where[pair].add(number)
    # The heap may hold counts that have sunk since; a pair whose count has risen is put in again.
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        count, pair = heapq.heappop(heap)
        if counts[pair] != -count:
            if counts[pair]:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        new, risen = 256 + len(merges), set()
        for number in where.pop(pair):
            old, spelled[number] = spelled[number], merge(spelled[number], pair, new)
            for gone in pairwise(old):
                counts[gone] -= times[number]
            for there in pairwise(spelled[number]):
                counts[there] += times[number]
                if new in there:  # only such pairs are new in this word
                    where[there].add(number)
                    risen.add(there)
        for higher in risen:
            heapq.heappush(heap, (-counts[higher], higher))
        merges.append(pair)
    return merges
    # END SOLUTION


class Tokenizer:
    """Text to tokens and back, with merges that were trained before.

    merges: merge i makes token 256 + i of two tokens that there are before it.
    special: texts that stand for one token each. Their tokens have the numbers behind the merges.
    pattern: cuts text into pre-tokens. Every character must belong to one.
    ValueError: a merge names a token that does not exist yet, or stands there twice.
    ValueError: a special text is empty, or stands there twice.

    `merges`, `special`, `pattern`: the arguments.
    `vocab_size`: how many tokens there are.
    `token_bytes`: the bytes of each token. Those of a special one are its text as UTF-8.
    `ids`: the token of each special text.
    `order`: the number of each merge, by its pair.
    """

    def __init__(self, merges: Sequence[Pair], special: Sequence[str] = (), pattern: str = PATTERN):
        self.merges, self.special, self.pattern = [tuple(pair) for pair in merges], list(special), pattern
        self.token_bytes = [bytes([byte]) for byte in range(256)]
        self.order = {pair: number for number, pair in enumerate(self.merges)}
        for number, (first, second) in enumerate(self.merges):
            if not (0 <= first < 256 + number and 0 <= second < 256 + number):
                raise ValueError(f"merge {number} joins tokens that come before {256 + number}; got {(first, second)}")
            self.token_bytes.append(self.token_bytes[first] + self.token_bytes[second])
        if len(self.order) < len(self.merges):
            raise ValueError(f"each pair is merged once; got {len(self.merges) - len(self.order)} merges twice")
        if len(set(special)) < len(special) or "" in special:
            raise ValueError(f"special tokens must be different texts, none of them empty; got {list(special)}")
        self.ids = {text: len(self.token_bytes) + index for index, text in enumerate(special)}
        self.token_bytes += [text.encode() for text in special]
        self.vocab_size = len(self.token_bytes)
        self._known = _Known(self)

    def encode_word(self, word: bytes) -> list[int]:
        """The tokens of one pre-token. Of all merges that fit, the earliest trained one is applied everywhere, until none fits."""
        # TODO: merge by rank (handout: bpe, step 5).
        # Watch: the earliest merge, not the leftmost pair nor the longest token.
        # BEGIN SOLUTION
        ids = list(word)
        while len(ids) > 1:
            pair = min(pairwise(ids), key=lambda pair: self.order.get(pair, len(self.merges)))
            if pair not in self.order:
                break
            ids = merge(ids, pair, 256 + self.order[pair])
        return ids
        # END SOLUTION

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The tokens of a text.

        allow_special: whether special texts become their one token. By default they are text like everything else, because others
            may have written the text.
        ValueError: the text has half a surrogate pair, which UTF-8 does not have (UnicodeEncodeError).
        """
        # TODO: specials, pre-tokens, merges (handout: bpe, step 6).
        # Watch: most words have been met before (`self._known[word]` remembers); time must grow in a line with the text.
        # BEGIN SOLUTION
        ids = []
        for index, segment in enumerate(split_special(text, self.special) if allow_special else [text]):
            if index % 2:
                ids.append(self.ids[segment])
            else:
                ids += chain.from_iterable(map(self._known.__getitem__, regex.findall(self.pattern, segment)))
        return ids
        # END SOLUTION

    def settled(self, text: str, allow_special: bool = False) -> int:
        """How many characters from the left are cut in the same way, whatever text comes behind them.

        With PATTERN, and with patterns that look ahead no further than it does, text that comes can change only the last two
        pre-tokens of `text` ("'l" is two, "'ll" is one). It can also complete a special text whose beginning stands at the end.
        """
        longest = max(map(len, self.special), default=1) if allow_special else 1
        horizon = max(0, len(text) - longest + 1)  # every special text that begins before it is there as a whole
        start = position = 0
        for number, segment in enumerate(split_special(text, self.special) if allow_special else [text]):
            if number % 2 and position < horizon:
                start = position + len(segment)
            position += len(segment)
        safe, open_ends = start, deque()  # no cut behind the second of two pre-tokens of space, because alone they would be one
        for found in regex.finditer(self.pattern, text, pos=start, endpos=horizon):
            joins = found[0].isspace() and text[found.start() - 1 : found.start()].isspace()
            open_ends.append(None if joins else found.end())
            if len(open_ends) == 3:
                safe = open_ends.popleft() or safe
        return safe

    def encode_chunks(self, chunks: Iterable[str], allow_special: bool = False) -> Iterator[int]:
        """The tokens of the joined chunks, one by one. They are exactly those of `encode`.

        The whole text is never in memory: at most the longest pre-token, three more and a chunk are.
        """
        # TODO: encode what is settled, keep the rest for the next chunk (handout: bpe, step 7).
        # Watch: `settled` says how far; what is left when there are no more chunks; a special text that two chunks share.
        # BEGIN SOLUTION
        rest = ""
        for chunk in chunks:
            rest += chunk
            end = self.settled(rest, allow_special)
            yield from self.encode(rest[:end], allow_special)
            rest = rest[end:]
        yield from self.encode(rest, allow_special)
        # END SOLUTION

    def encode_file(self, path: Path | str, allow_special: bool = False, chunk_size: int = 2**16) -> Iterator[int]:
        """The tokens of a UTF-8 file of any size. Line ends stay as they are.

        chunk_size: how many characters are read at a time.
        ValueError: the file is no UTF-8 (UnicodeDecodeError).
        """
        # TODO: chunks of a file (handout: bpe, step 8).
        # Watch: Python turns CR LF into LF unless told otherwise.
        # BEGIN SOLUTION
        with Path(path).open(encoding="utf-8", newline="") as file:
            yield from self.encode_chunks(iter(lambda: file.read(chunk_size), ""), allow_special)
        # END SOLUTION

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of any tokens. It never fails.

        Bytes that are no UTF-8 are replaced as by `bytes.decode(errors="replace")`. A token outside the vocabulary becomes U+FFFD.
        """
        # TODO: from tokens to text (handout: bpe, step 9).
        # Watch: a character may be spread over several tokens; Python counts negative indices from the end.
        # BEGIN SOLUTION
        segments = (self.token_bytes[token] if 0 <= token < self.vocab_size else UNKNOWN for token in map(int, tokens))
        return b"".join(segments).decode("utf-8", errors="replace")
        # END SOLUTION

    def ranks(self) -> dict[bytes, int]:
        """The number of each token that is not special by its bytes, as `tiktoken.Encoding(mergeable_ranks=…)` takes it."""
        return {data: token for token, data in enumerate(self.token_bytes[: 256 + len(self.merges)])}

    def save(self, path: Path | str) -> None:
        """Write everything that `load` needs into one JSON file, which reads the same on every machine."""
        # TODO: write (handout: bpe, step 10).
        # Watch: the order of the merges is their rank; the encoding of the file; the pattern and the special texts.
        # BEGIN SOLUTION
        content = {"format": FORMAT, "pattern": self.pattern, "special": self.special, "merges": self.merges}
        Path(path).write_text(json.dumps(content), encoding="utf-8")
        # END SOLUTION

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """The tokenizer that `save` wrote.

        ValueError: the file holds something else. The message names the file.
        """
        # TODO: read and check (handout: bpe, step 10).
        # Watch: JSON has lists where Python has tuples; a file of something else is refused, and not half read.
        # BEGIN SOLUTION
        try:
            content = json.loads(Path(path).read_bytes())
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            return cls(content["merges"], content["special"], content["pattern"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} does not hold what Tokenizer.save writes ({FORMAT!r}): {error}") from error
        # END SOLUTION


class _Known(dict):
    """The tokens of pre-tokens by their text. It is emptied when it is too large, so that memory stays bounded."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> list[int]:
        if len(self) >= CACHED:
            self.clear()
        self[word] = self.tokenizer.encode_word(word.encode())
        return self[word]


def train(texts: Iterable[str], vocab_size: int, special: Sequence[str] = (), pattern: str = PATTERN) -> Tokenizer:
    """A tokenizer that is trained on these texts.

    It has vocab_size tokens (bytes, merges and special ones), or fewer if no pair is left.

    ValueError: vocab_size has no room for the bytes and the special tokens.
    """
    n_merges = vocab_size - 256 - len(special)
    if n_merges < 0:
        raise ValueError(f"vocab_size must be at least 256 bytes and {len(special)} special tokens; got {vocab_size}")
    # TODO: count, merge, build (handout: bpe, step 11).
    # BEGIN SOLUTION
    return Tokenizer(train_merges(count_pretokens(texts, special, pattern), n_merges), special, pattern)
    # END SOLUTION
