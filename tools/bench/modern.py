"""Speed of the references of a01 and a03, as ratios to work that the same run does another way: full reading, bare matmuls.

CPU time of this process on one thread, so that neighbours on the machine matter less; medians. `stack` trains and compares steps.
"""

import statistics
import time
from collections.abc import Callable

import torch

from autograder.errors import GraderFault
from tools.bench.timing import REPEATS, by_turns, course_module, line, products

PROMPT, NEW = 128, 100  # tokens
SEEDS, STEPS, EVERY = 5, 400, 10  # of the race; held-out loss is measured every EVERY steps


def cache() -> None:
    """Writing 100 tokens after 128 with the reference's cache, six blocks of d_model 384, and what that is compared with."""
    theirs, ours, sample = (
        course_module("given.a03_modern.model"),
        course_module("a03_modern.model"),
        course_module("given.a02_training.sample"),
    )
    writing, greedy = course_module("a03_modern.generate"), sample.Sampling(temperature=0)
    torch.manual_seed(0)
    model = ours.Transformer(ours.ModelConfig(65, 256, 384, 6, 6)).eval()
    rival = theirs.Transformer(theirs.ModelConfig(65, 256, 384, 6, 6)).eval()
    rival.load_state_dict(model.state_dict())
    prompt, one, positions = torch.randint(65, (1, PROMPT)), torch.zeros(1, 1, dtype=torch.int64), torch.arange(PROMPT)[None]
    sequences = {}

    def written(name: str, write: Callable[[], list]) -> None:
        sequences[name] = write()

    actions = {
        "cached": lambda: written("cached", lambda: writing.generate(model, prompt.tolist(), NEW, greedy)),
        "again": lambda: written("again", lambda: sample.generate(rival, prompt.tolist(), NEW, greedy, context=PROMPT + NEW)),
        "single": lambda: [model(one) for _ in range(NEW)],
    }
    passes = {
        "prefill": lambda: writing.prefill(model, prompt, positions, model.new_caches(1, PROMPT)),
        "forward": lambda: model(prompt),
    }
    with torch.no_grad():
        rounds, short_rounds = by_turns(actions), by_turns(passes, 5 * REPEATS)
    if sequences["cached"] != sequences["again"]:
        raise GraderFault("with a cache the reference of a03 writes other tokens than without")
    ratio = lambda above, below, among=rounds: [r[above] / r[below] for r in among]
    line(f"{NEW} tokens after {PROMPT}, everything read again by `given` over cached", ratio("again", "cached"), "x", at_least=7)
    line(f"  cached over {NEW} passes of one token without a past", ratio("cached", "single"), "x", 1.5)
    line("  prefill over one forward pass of as many tokens", ratio("prefill", "forward", short_rounds), "x", 1.2)


def stream() -> None:
    """One sequence through a window of 256 and 4 sinks: memory and time of a token after 1,000 tokens and after 100,000."""
    import psutil

    ours, process = course_module("a03_modern.model"), psutil.Process()
    torch.manual_seed(0)
    model = ours.Transformer(ours.ModelConfig(65, 256, 64, 4, 1, window=256, sinks=4)).eval()
    caches, token, start = model.new_caches(1), torch.zeros(1, 1, dtype=torch.int64), 0

    def read(upto: int) -> float:
        nonlocal start
        begin, first = time.process_time(), start
        for position in range(start, upto):
            token.fill_(int(model(token, torch.tensor([[position]]), caches)[0, -1].argmax()))
        start = upto
        return 1000 * (time.process_time() - begin) / (upto - first)

    with torch.no_grad():
        read(1_000)
        early_size, early_bytes = process.memory_info().rss, sum(c.n_bytes for c in caches)
        early = [read(start + 1_000) for _ in range(REPEATS)]
        read(100_000 - REPEATS * 1_000)
        late = [read(start + 1_000) for _ in range(REPEATS)]
    line(
        "rolling cache: resident memory after 100,000 tokens over after 1,000",
        [process.memory_info().rss / early_size],
        "x",
        1.05,
    )
    line("  bytes of its tensors, likewise", [sum(c.n_bytes for c in caches) / early_bytes], "x", 1.05)
    line("  time of a token up to 100,000 over from 1,000", [statistics.median(late) / statistics.median(early)], "x", 1.25)


def step() -> None:
    """A training step (forward, loss, backward, AdamW) over its matmuls alone: four blocks of d_model 128, 12 sequences of 64."""
    old, new, optim = (
        course_module("a01_transformer.model"),
        course_module("a03_modern.model"),
        course_module("given.a02_training.optim"),
    )
    torch.manual_seed(0)
    tokens, fields = torch.randint(65, (12, 65)), (65, 64, 128, 4, 4)
    for name, model, wide in (
        ("a01", old.GPT(old.GPTConfig(*fields)), [(128, 512), (512, 128)]),
        ("a03", new.Transformer(new.ModelConfig(*fields)), [(128, 344), (128, 344), (344, 128)]),
    ):
        optimizer = optim.AdamW(optim.parameter_groups(model, 0.1), lr=1e-3)

        def train(model=model, optimizer=optimizer) -> None:
            for _ in range(15):
                optimizer.zero_grad()
                logits = model(tokens[:, :-1])
                torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
                optimizer.step()

        bare = products(wide)
        rounds = by_turns({"step": train, "products": lambda bare=bare: [bare() for _ in range(15)]})
        line(f"training step of {name} over its matmuls alone", [r["step"] / r["products"] for r in rounds], "x", 1.9)


def stack() -> None:
    """The modern stack against the baseline of a03's ablation, seed by seed: share of its steps to the loss that it ends with."""
    ablation, demo, train = (
        course_module(name) for name in ("a03_modern.ablation", "a03_modern.demo", "given.a02_training.train")
    )
    next_batch, validation = demo.task()
    rows = ablation.ablation_rows(demo.small_config(bias=True))
    runs = ablation.run_ablation(
        {name: rows[name] for name in ("baseline", "all")},
        range(SEEDS),
        next_batch,
        validation,
        train.TrainConfig(STEPS, evaluate_every=EVERY),
    )
    shares = next(s for s in ablation.summarise(runs) if s.row == "all").share_of_steps
    shares = [float("inf") if share is None else share for share in shares]
    line(f"modern stack: share of the baseline's steps, median of {SEEDS} seeds", shares, "x")
    line("  the worst of them", [max(shares)], "x", 0.7)
