"""The modern stack at work: `python -m a03_modern.demo race|speed|stream|ablation`.

race: your old and your modern model learn the same tales (half a minute).
speed: generation with and without a cache (under a minute).
stream: a sequence without end in constant memory (half a minute).
ablation: every row with three seeds, into ablation.csv, ablation.md and ablation.png (a quarter of an hour, on one core).
Two numbers make it shorter: `… demo ablation 1 50` has one seed and 50 steps.

Training is `given`. Models, caches and ablation are yours.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from given.a01_transformer.model import width_scaled_std
from given.a02_training.data import Batch, batches_in_order, random_batch
from given.a02_training.sample import Sampling
from given.a02_training.sample import generate as generate_uncached
from given.a02_training.tokenizer import ByteTokenizer
from given.a02_training.train import TrainConfig

STEPS, SEQ_LEN = 400, 128


def task() -> tuple[Callable[[torch.Generator], Batch], list[Batch]]:
    """Batches of eight windows from random positions of the tales, and the windows of 8192 held-out characters."""
    import corpora

    corpus = corpora.load("tales")
    text, held_out = (np.frombuffer(part.encode(), np.uint8) for part in (corpus.text, corpus.held_out_text[: 8192 + 1]))
    return lambda generator: random_batch(text, 8, SEQ_LEN, generator), list(batches_in_order(held_out, 16, SEQ_LEN))


def small_config(**fields: object):
    """A model of d_model 64 with two blocks, in the modern stack if `fields` do not say otherwise."""
    from .model import ModelConfig

    return ModelConfig(256, SEQ_LEN, 64, 4, n_layers=2, init_std=width_scaled_std(64), **fields)


def race() -> bool:
    """Baseline against the modern stack, one seed: is the loss that the baseline ends with reached in 70 % of its steps?"""
    from .ablation import ablation_rows, steps_to, train_row
    from .generate import generate
    from .model import Transformer

    next_batch, validation = task()
    settings = TrainConfig(STEPS, evaluate_every=25)
    rows = ablation_rows(small_config(bias=True))
    runs, models = {}, {}
    for row in ("baseline", "all"):
        print(f"training {row} …", flush=True)
        build = lambda row=row: models.setdefault(row, Transformer(rows[row]))
        runs[row] = train_row(row, build, 0, next_batch, validation, settings)
    print("\n step   baseline     all    (held-out loss, nats per character)")
    for step, old, new in zip(runs["all"].steps, runs["baseline"].losses, runs["all"].losses, strict=True):
        print(f"{step:5d}   {old:8.3f}  {new:6.3f}")
    target = runs["baseline"].losses[-1]
    reached = steps_to(runs["all"], target)
    for row, run in runs.items():
        print(f"{row:9} {run.parameters:8,} parameters, {1000 * run.seconds_per_step:.1f} CPU ms per step")
    print(f"The modern stack reached {target:.3f} after {reached} of {STEPS} steps. Some of its tales, at temperature 0.7:")
    tokenizer, generator = ByteTokenizer(), torch.Generator().manual_seed(0)
    [newline] = tokenizer.encode("\n")  # it ends a tale, and so the next one begins behind it
    for answer in generate(models["all"], [[newline]] * 4, 150, Sampling(temperature=0.7), newline, generator=generator):
        print("  " + tokenizer.decode(answer))
    return reached is not None and reached <= 0.7 * STEPS


def speed() -> bool:
    """100 tokens after a prompt of 128, six blocks of d_model 384: with a cache, and by reading everything again."""
    from .generate import generate
    from .model import ModelConfig, Transformer

    torch.manual_seed(0)
    model = Transformer(ModelConfig(65, 256, 384, 6)).eval()
    prompt, greedy, ratios = torch.randint(65, (128,)).tolist(), Sampling(temperature=0), []
    print("with cache   without   ratio   (CPU seconds)")
    for _ in range(5):
        begin = time.process_time()
        cached = generate(model, [prompt], 100, greedy)
        middle = time.process_time()
        same = generate_uncached(model, [prompt], 100, greedy, context=228) == cached
        end = time.process_time()
        ratios.append((end - middle) / (middle - begin))
        print(f"{middle - begin:10.2f}  {end - middle:8.2f}  {ratios[-1]:6.1f}   {'the same tokens' if same else 'OTHER TOKENS'}")
        if not same:
            return False
    print(f"median {statistics.median(ratios):.1f}; target 4")
    return statistics.median(ratios) >= 4


def stream(tokens: int = 20_000) -> bool:
    """One sequence of 20 000 tokens from a model with a window of 64 and 4 sinks: bytes of its caches, and time per token."""
    from .model import Transformer

    torch.manual_seed(0)
    model = Transformer(small_config(window=64, sinks=4)).eval()
    caches, token, sizes = model.new_caches(1), torch.zeros(1, 1, dtype=torch.int64), set()
    print("tokens   bytes of all caches   CPU ms per token   what a cache that grows would hold")
    with torch.no_grad():
        begin = time.process_time()
        for position in range(tokens):
            logits = model(token, torch.tensor([[position]]), caches)
            token = logits[:, -1:].argmax(-1)
            if (position + 1) % (tokens // 10) == 0:
                sizes.add(sum(cache.n_bytes for cache in caches))
                used, begin = (time.process_time() - begin) / (tokens // 10), time.process_time()
                grown = sum(cache.n_bytes for cache in model.new_caches(1, position + 1))
                print(f"{position + 1:6d}   {max(sizes):19,}   {1000 * used:16.2f}   {grown:12,}", flush=True)
    return len(sizes) == 1


def ablation(seeds: int = 3, steps: int = STEPS) -> bool:
    """Six rows with biases, six without, and the extensions, each with every seed; CSV, table and plot in this folder."""
    from .ablation import ablation_rows, plot, run_ablation, summarise, table, write_csv
    from .extensions import extension_rows

    next_batch, validation = task()
    rows = ablation_rows(small_config(bias=True))
    configs = rows | {f"{row}, no bias": replace(config, bias=False) for row, config in rows.items()}
    others, settings = extension_rows(rows["all"]), TrainConfig(steps, evaluate_every=25)
    runs = []
    for seed in range(seeds):
        print(f"seed {seed}, {len(configs) + len(others)} rows …", file=sys.stderr, flush=True)
        runs += run_ablation(configs, [seed], next_batch, validation, settings, others)
    write_csv(runs, "ablation.csv")
    Path("ablation.md").write_text(table(summarise(runs)), encoding="utf-8")
    plot([run for run in runs if "no bias" not in run.row], "ablation.png")
    print(table(summarise(runs)), end="")
    return True


DEMOS = {"race": race, "speed": speed, "stream": stream, "ablation": ablation}  # numbers are for the last one


def main(arguments: list[str]) -> int:
    name, *numbers = arguments or [""]
    if name not in DEMOS or len(numbers) > 2 * (name == "ablation") or not all(number.isdecimal() for number in numbers):
        print(f"usage: python -m a03_modern.demo {'|'.join(DEMOS)} [seeds [steps]]", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # on small models a second thread mostly waits
    return 0 if DEMOS[name](*map(int, numbers)) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=a03` checks it) and run the demo again.")
        sys.exit(1)
