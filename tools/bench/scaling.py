"""Speed of the reference of a04: its tokenizer in passes over the same text and beside other libraries, its step over its matmuls.

CPU time of this process on one thread; medians. Hugging Face's `tokenizers` takes part where it is installed.
"""

import importlib.util
import os
from typing import Any

import numpy as np
import torch

from autograder.errors import GraderFault
from tools.bench.timing import REPEATS, by_turns, course_module, line, products

WORDS, MERGES = 16_000, 500


def tokens() -> None:
    """Training in units p (one pass that cuts and counts the same text), and encoding of short and long texts."""
    bpe = course_module("a04_scaling.bpe")
    for size in (130_000, 5_000_000):
        text = _prose(size)
        counts = bpe.count_pretokens([text])
        work = {"p": lambda t=text: bpe.count_pretokens([t]), "merges": lambda c=counts: bpe.train_merges(c, MERGES)}
        line(
            f"{MERGES} merges of {size / 1e6:g} MB, {len(counts):,} different pre-tokens of {counts.total():,}",
            [r["merges"] / r["p"] for r in by_turns(work, repeats=REPEATS if size < 10**6 else 3)],
            "p",
            25,
        )
    merges, text = bpe.train_merges(bpe.count_pretokens([_prose(130_000)]), MERGES), _prose(2_000_000)
    short, long = text[:10_000], text[:1_000_000]

    def fresh(text: str) -> list[int]:
        return bpe.Tokenizer(merges).encode(text)  # it has met no word yet

    work = {"short": lambda: [fresh(short) for _ in range(10)], "long": lambda: fresh(long)}
    rates = [(len(long) / r["long"]) / (10 * len(short) / r["short"]) for r in by_turns(work)]
    line("encoding, rate of 1 MB over rate of 10 KB", rates, "x", at_least=0.8)
    others = _others(bpe.Tokenizer(merges))
    found = {name: encode(text) for name, encode in others.items()} | {"ours": fresh(text)}
    if len({tuple(ids) for ids in found.values()}) > 1:
        raise GraderFault(f"not the same tokens: {', '.join(found)}")
    times = by_turns({"ours": lambda: fresh(text)} | {name: lambda e=encode: e(text) for name, encode in others.items()})
    for name in others:
        bar = {"at_least": 1.5} if name == "tokenizers" else {}
        line(f"  rate of 2 MB in one string over that of {name}", [t[name] / t["ours"] for t in times], "x", **bar)


def update() -> None:
    """`training_step` (micro-batches, clipping, AdamW, a learning rate) over its matmuls: a01's model, 12 sequences of 64 tokens."""
    amp, schedule, accumulate = (course_module(f"a04_scaling.{name}") for name in ("amp", "schedule", "accumulate"))
    gpt, optim = course_module("given.a01_transformer.model"), course_module("given.a02_training.optim")
    torch.manual_seed(0)
    model = gpt.GPT(gpt.GPTConfig(65, 64, 128, 4, 4))
    optimizer = optim.AdamW(schedule.groups(model, 0.1), lr=1e-3)
    scheduler = schedule.Scheduler(optimizer, lambda step: schedule.warmup_stable_decay(min(step, 1000), 1000, 1e-3))
    text = torch.randint(65, (12, 65))
    for n_micro_batches in (1, 4):
        micro_batches = accumulate.split_batch((text[:, :-1], text[:, 1:]), n_micro_batches)
        bare = products([(128, 512), (512, 128)])
        work = {
            "step": lambda m=micro_batches: [
                amp.training_step(model, optimizer, m, amp.Scaler.off(), scheduler=scheduler) for _ in range(15)
            ],
            "products": lambda b=bare: [b() for _ in range(15)],
        }
        line(
            f"training step of a04 in {n_micro_batches} micro-batch{'es' * (n_micro_batches > 1)} over its matmuls in one",
            [r["step"] / r["products"] for r in by_turns(work)],
            "x",
            *([1.9] if n_micro_batches == 1 else []),
        )


def _prose(size: int) -> str:
    """Made-up words; the word of rank r stands there 1 / (r + 2.7) times as often as the first."""
    chance = np.random.default_rng(0)
    letters = np.array(list("eeeetttaaaooiinnsshhrrdlucmfwypvbgk"))
    words = np.array(["".join(chance.choice(letters, length)) for length in chance.integers(1, 10, WORDS)])
    share = 1 / (np.arange(WORDS) + 2.7)
    return " ".join(chance.choice(words, size // 4, p=share / share.sum()))[:size]


def _others(tokenizer: Any) -> dict[str, Any]:
    """Encoders of other libraries with the same merges."""
    import tiktoken

    theirs = tiktoken.Encoding("ours", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.ranks(), special_tokens={})
    others = {"tiktoken": theirs.encode_ordinary}
    if importlib.util.find_spec("tokenizers") is None:
        print("    not measured: Hugging Face's `tokenizers` is not installed")
        return others
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, models, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    signs = _signs_of_bytes()
    spelled = ["".join(signs[byte] for byte in data) for data in tokenizer.token_bytes]
    merges = [(spelled[first], spelled[second]) for first, second in tokenizer.merges]
    library = Tokenizer(models.BPE(vocab={name: token for token, name in enumerate(spelled)}, merges=merges))
    library.pre_tokenizer = byte_level
    return others | {"tokenizers": lambda text: library.encode(text).ids}


def _signs_of_bytes() -> list[str]:
    """The sign that stands for each byte in vocabularies of GPT-2's kind: itself where it can be seen, else one from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = {byte: 256 + place for place, byte in enumerate(byte for byte in range(256) if byte not in seen)}
    return [chr(hidden.get(byte, byte)) for byte in range(256)]
