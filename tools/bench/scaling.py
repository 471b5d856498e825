"""Speed of the reference of a04: its tokenizer beside passes over the same text and other libraries, its step beside matmuls.

Times are CPU times of this process on one thread. Figures are medians. Hugging Face's `tokenizers` takes part where it is
installed.
"""

import importlib.util
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch

from autograder.errors import GraderFault
from tools.bench.timing import REPEATS, course_module, in_turns, matmuls_of_a_step, print_figure, ratios

WORDS, MERGES = 16_000, 500
SMALL_TEXT, LARGE_TEXT = 130_000, 5_000_000  # characters to train a tokenizer on
STEPS_AT_ONCE = 15  # of training, so that one measurement is long enough

Encode = Callable[[str], list[int]]


def tokens() -> None:
    """Training a tokenizer in units p (one pass that cuts and counts the same text), and encoding short and long texts.

    GraderFault: another library gives other tokens.
    """
    bpe = course_module("a04_scaling.bpe")
    for size in (SMALL_TEXT, LARGE_TEXT):
        _time_training(bpe, size)
    merges, text = bpe.train_merges(bpe.count_pretokens([_prose(SMALL_TEXT)]), MERGES), _prose(2_000_000)

    def encode(text: str) -> list[int]:
        return bpe.Tokenizer(merges).encode(text)  # a new one, which knows no word yet

    _time_long_text(encode, short=text[:10_000], long=text[:1_000_000])
    _compare_libraries(encode, _other_encoders(bpe.Tokenizer(merges)), text)


def _time_training(bpe: ModuleType, size: int) -> None:
    text = _prose(size)
    counts = bpe.count_pretokens([text])
    actions = {"p": partial(bpe.count_pretokens, [text]), "merges": partial(bpe.train_merges, counts, MERGES)}
    rounds = in_turns(actions, repeats=REPEATS if size < 10**6 else 3)
    title = f"{MERGES} merges of {size / 1e6:g} MB, {len(counts):,} different pre-tokens of {counts.total():,}"
    print_figure(title, ratios(rounds, "merges", "p"), "p", at_most=25)


def _time_long_text(encode: Encode, short: str, long: str) -> None:
    rounds = in_turns({"short": lambda: [encode(short) for _ in range(10)], "long": lambda: encode(long)})
    rates = [(len(long) / times["long"]) / (10 * len(short) / times["short"]) for times in rounds]
    print_figure("encoding, rate of 1 MB over rate of 10 KB", rates, "x", at_least=0.8)


def _compare_libraries(encode: Encode, others: dict[str, Encode], text: str) -> None:
    encoders = {"ours": encode} | others
    ids = {name: encoder(text) for name, encoder in encoders.items()}
    if any(other != ids["ours"] for other in ids.values()):
        raise GraderFault(f"not the same tokens: {', '.join(ids)}")
    rounds = in_turns({name: partial(encoder, text) for name, encoder in encoders.items()})
    for name in others:
        target = 1.5 if name == "tokenizers" else None
        print_figure(f"  rate of 2 MB in one string over that of {name}", ratios(rounds, name, "ours"), "x", at_least=target)


def update() -> None:
    """`training_step` (micro-batches, one gradient, clipping, AdamW, a schedule) over its matmuls: a01's model, 12 sequences of 64."""
    amp, schedule, accumulate = (course_module(f"a04_scaling.{name}") for name in ("amp", "schedule", "accumulate"))
    gpt, optim = course_module("given.a01_transformer.model"), course_module("given.a02_training.optim")
    torch.manual_seed(0)
    model = gpt.GPT(gpt.GPTConfig(65, 64, 128, 4, 4))
    optimizer = optim.AdamW(schedule.groups(model, 0.1), lr=1e-3)
    scheduler = schedule.Scheduler(optimizer, lambda step: schedule.warmup_stable_decay(min(step, 1000), 1000, 1e-3))
    tokens = torch.randint(65, (12, 65))
    for count, target in ((1, 1.9), (4, None)):
        batches = accumulate.split_batch((tokens[:, :-1], tokens[:, 1:]), count)
        train = partial(amp.training_step, model, optimizer, batches, amp.Scaler.off(), scheduler=scheduler)
        actions = {"step": _repeat(train), "matmuls": _repeat(matmuls_of_a_step([(128, 512), (512, 128)]))}
        title = f"training step of a04 in {count} micro-batch{'es' * (count > 1)} over its matmuls in one"
        print_figure(title, ratios(in_turns(actions), "step", "matmuls"), "x", at_most=target)


def _repeat(action: Callable[[], object]) -> Callable[[], object]:
    return lambda: [action() for _ in range(STEPS_AT_ONCE)]


def _prose(size: int) -> str:
    """Made-up words, `size` characters. The word of rank r is 1 / (r + 2.7) times as frequent as the first."""
    rng = np.random.default_rng(0)
    letters = np.array(list("eeeetttaaaooiinnsshhrrdlucmfwypvbgk"))
    words = np.array(["".join(rng.choice(letters, length)) for length in rng.integers(1, 10, WORDS)])
    weights = 1 / (np.arange(WORDS) + 2.7)
    return " ".join(rng.choice(words, size // 4, p=weights / weights.sum()))[:size]


def _other_encoders(tokenizer: Any) -> dict[str, Encode]:
    """Encoders of other libraries with the same merges. tokenizer: a `Tokenizer` of the reference of a04."""
    import tiktoken

    encoding = tiktoken.Encoding("ours", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.ranks(), special_tokens={})
    encoders: dict[str, Encode] = {"tiktoken": encoding.encode_ordinary}
    if importlib.util.find_spec("tokenizers") is None:
        print("    not measured: Hugging Face's `tokenizers` is not installed")
        return encoders
    return encoders | {"tokenizers": _hugging_face(tokenizer)}


def _hugging_face(tokenizer: Any) -> Encode:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, models, pre_tokenizers

    characters = _characters_of_bytes()
    spelled = ["".join(characters[byte] for byte in data) for data in tokenizer.token_bytes]
    merges = [(spelled[first], spelled[second]) for first, second in tokenizer.merges]
    library = Tokenizer(models.BPE(vocab={name: token for token, name in enumerate(spelled)}, merges=merges))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return lambda text: library.encode(text).ids


def _characters_of_bytes() -> list[str]:
    """The character that stands for each byte in vocabularies of GPT-2's kind.

    It is the byte itself where that is visible, otherwise a character from 256 on.
    """
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    invisible = [byte for byte in range(256) if byte not in visible]
    codes = {byte: 256 + rank for rank, byte in enumerate(invisible)}
    return [chr(codes.get(byte, byte)) for byte in range(256)]
