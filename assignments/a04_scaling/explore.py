# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A look at scaling up
#
# Pictures of your own code at work: merges as they form, what a larger vocabulary buys, accumulation that keeps its promise and
# two kinds that do not, the share of the machine that is used, and how often to save. About a minute on one core. Change a
# number, run the cell again, and see whether you guessed right.

# %%
import statistics
import time
from pathlib import Path

import corpora
import matplotlib.pyplot as plt
import numpy as np
import torch
from given.a00_foundations.profiling import matmul_rate
from given.a01_transformer.model import GPT, GPTConfig, width_scaled_std
from given.a02_training.data import document_rows, random_documents
from given.a02_training.train import evaluate

import a04_scaling
from a04_scaling.accumulate import accumulate_gradients, split_batch
from a04_scaling.amp import Scaler, apply_gradients, training_step
from a04_scaling.bpe import PATTERN, Tokenizer, train
from a04_scaling.checkpoint import expected_seconds, simulated_seconds, young_interval
from a04_scaling.metrics import Throughput, flops_per_token
from a04_scaling.schedule import Scheduler, groups, warmup_stable_decay

torch.set_num_threads(1)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # told apart by every kind of colour vision
plt.rcParams.update(
    {
        "figure.dpi": 110,
        "axes.titlesize": 10,
        "figure.titlesize": 12,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.alpha": 0.25,
    }
)

# %% [markdown]
# ## bpe: merges as they form
#
# A sentence after more and more merges, learned from the handouts of the other assignments. Each bar is a token. Which words become one
# token early, and what do they have in common?

# %%
folders = sorted(Path(folder).resolve().parent for folder in a04_scaling.__path__)
handouts = sorted(folders[0].glob("a[0-9][0-9]_*/README.md"))
texts = [path.read_text(encoding="utf-8") for path in handouts if path.parent.name != "a04_scaling"]
unseen = next(path for path in handouts if path.parent.name == "a04_scaling").read_text(encoding="utf-8")
largest = train(texts, 256 + 6000)
print(f"{sum(map(len, texts)):,} characters, {len(largest.merges)} merges")

SENTENCE = "The gradient of the global batch is the same on every rank, and so is the next step."
figure, panel = plt.subplots(figsize=(11, 3.2), layout="constrained")
stages = (0, 30, 100, 300, 1000, 3000, 6000)
for row, n_merges in enumerate(stages):
    tokenizer, position = Tokenizer(largest.merges[:n_merges]), 0
    for number, token in enumerate(tokenizer.encode(SENTENCE)):
        text = tokenizer.decode([token])
        panel.barh(-row, len(text), left=position, color=(BLUE, ORANGE)[number % 2], alpha=0.25, edgecolor="white", height=0.9)
        for offset, letter in enumerate(text):
            panel.text(position + offset + 0.5, -row, letter, ha="center", va="center", fontsize=9, family="monospace")
        position += len(text)
panel.set_yticks([-row for row in range(len(stages))], [f"{n_merges} merges" for n_merges in stages])
panel.set(xlim=(0, len(SENTENCE)), xticks=[], title="One sentence, more and more merges")
panel.grid(False)
plt.show()

# %% [markdown]
# ## bpe: what a larger vocabulary buys
#
# Bytes per token on the texts that were trained on, on a handout that was not, and on Python code. And the same without the cuts
# between words: a shorter text, of tokens such as "of the ".

# %%
code = "\n".join(corpora.load("snippets").held_out)
sizes = [0, 10, 30, 100, 300, 1000, 2000, 4000, 6000]


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    return len(text.encode()) / len(tokenizer.encode(text))


uncut = train([text[:4000] for text in texts], 256 + 600, pattern=r"(?s).{1,500}")  # one pre-token is 500 characters
figure, panel = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, text, colour, style in (
    ("handouts it was trained on", texts[0], GREY, "--"),
    ("a handout it was not trained on", unseen, BLUE, "-"),
    ("Python code", code, ORANGE, "-"),
):
    rates = [bytes_per_token(Tokenizer(largest.merges[:size]), text) for size in sizes]
    panel.plot(sizes, rates, style, color=colour, marker="o", ms=3, label=name)
panel.set(xscale="symlog", xlabel="merges", ylabel="bytes per token", title="Compression", ylim=(0.9, None))
panel.legend()
plt.show()
print("without cuts:", [uncut.decode([token]) for token in range(700, 712)])
print("with cuts:   ", [largest.decode([token]) for token in range(700, 712)])

# %% [markdown]
# ## accumulate: the same curve, or nearly
#
# A batch of 16 tales, at once and in four micro-batches, of which the last holds the longest tales. Three ways to weigh the
# micro-batches: by the count of all targets (right), by the mean of their means, and not at all. The loss forgives nearly
# everything; the first gradients do not. The sum of means even ends lower here. Look at the right picture: what does clipping
# at 1 do to it, and what to the others?


# %%
def mean_of_means(model, micro_batches) -> None:
    """The second near miss: each micro-batch's own mean, divided by the number of micro-batches."""
    for micro_batch in micro_batches:
        accumulate_gradients(model, [micro_batch], scale=1 / len(micro_batches))


def sum_of_means(model, micro_batches) -> None:
    """The first near miss: the sum of the micro-batches' own means."""
    for micro_batch in micro_batches:
        accumulate_gradients(model, [micro_batch])


corpus = corpora.load("tales")
tales = train(corpus.train, 512, ["<|end|>"])
BOS_TOKEN = tales.ids["<|end|>"]
documents, held_out = ([[*tales.encode(text[:-1]), BOS_TOKEN] for text in some] for some in (corpus.train, corpus.held_out[:128]))
validation = [document_rows(held_out, BOS_TOKEN)]
per_character = sum(map(len, held_out)) / sum(map(len, corpus.held_out[:128]))
STEPS, BATCH_SIZE = 120, 16


def small_gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(tales.vocab_size, 48, d_model=48, n_heads=4, n_layers=2, init_std=width_scaled_std(48)))


def run(n_micro_batches: int, gradients=accumulate_gradients) -> tuple[list[float], list[float], torch.Tensor]:
    """Held-out losses per character, gradient norms, and the first gradient."""
    model, generator = small_gpt(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(groups(model, 0.1), betas=(0.9, 0.99))
    scheduler = Scheduler(optimizer, lambda number: warmup_stable_decay(number, STEPS, 6e-3))
    losses, grad_norms, first = [], [], None
    for step in range(STEPS):
        inputs, targets = random_documents(documents, BATCH_SIZE, BOS_TOKEN, generator)
        order = (targets != -100).sum(1).argsort()  # short tales first, so that micro-batches differ
        optimizer.zero_grad()
        gradients(model, split_batch((inputs[order], targets[order]), n_micro_batches))
        first = torch.cat([p.grad.flatten() for p in model.parameters()]) if first is None else first
        grad_norms.append(apply_gradients(model, optimizer, Scaler.off(), scheduler=scheduler)[0])
        if step % 10 == 9:
            losses.append(evaluate(model, validation) * per_character)
    return losses, grad_norms, first


runs = {
    "at once": run(1),
    "4 micro-batches": run(4),
    "4 micro-batches, mean of means": run(4, mean_of_means),
    "4 micro-batches, sum of means": run(4, sum_of_means),
}
whole = runs["at once"][2]
for name, (losses, _, first) in runs.items():
    print(f"{name:32} first gradient differs by {(first - whole).norm() / whole.norm():.1e}; last loss {losses[-1]:.4f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for (name, (losses, grad_norms, _)), colour, style in zip(
    runs.items(), (GREY, BLUE, GREEN, ORANGE), ("-", "--", ":", "-."), strict=True
):
    left.plot(range(10, STEPS + 1, 10), losses, style, color=colour, label=name, lw=1.8)
    right.plot(grad_norms, style, color=colour, label=name, lw=1.2)
left.axhline(corpus.floor, color=ORANGE, lw=1)
left.text(STEPS, corpus.floor, "exact floor", color=ORANGE, fontsize=8, ha="right", va="bottom")
left.set(yscale="log", xlabel="update", ylabel="nats per character", title="loss on unseen tales")
right.set(yscale="log", xlabel="update", title="gradient norm before clipping")
left.legend()
plt.show()

# %% [markdown]
# ## metrics: the share of the machine
#
# Tokens per second and share of peak (measured with one large matrix product) as the model grows. Small matrices leave most of the machine idle,
# here as on a GPU.

# %%
peak = matmul_rate(512)
widths, shares = (32, 64, 128, 256), []
for width in widths:
    model = GPT(GPTConfig(tales.vocab_size, 48, d_model=width, n_heads=4, n_layers=2))
    optimizer = torch.optim.AdamW(model.parameters())
    batch = random_documents(documents, 16, BOS_TOKEN, torch.Generator().manual_seed(0))
    n_weights = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "positions" not in name)
    throughput = Throughput(flops_per_token(n_weights, 2, width, batch[0].shape[1]), peak, clock=time.process_time)
    readings = []
    for _ in range(6):
        throughput.count(batch[0].numel())
        training_step(model, optimizer, [batch], Scaler.off())
        readings.append(throughput.compute())
    shares.append(statistics.median(reading["mfu"] for reading in readings[1:]))
    tokens_per_second = statistics.median(reading["tokens_per_second"] for reading in readings[1:])
    print(f"width {width:3}: {tokens_per_second:8,.0f} tokens/s, MFU {shares[-1]:.0%}")
figure, panel = plt.subplots(figsize=(6, 3), layout="constrained")
panel.bar([str(width) for width in widths], shares, color=BLUE, alpha=0.7)
panel.set(xlabel="width of the model", ylabel="share of peak", title="MFU of a training step", ylim=(0, 1))
plt.show()

# %% [markdown]
# ## checkpoint: how often?
#
# What a run of ten hours takes when a checkpoint costs 30 s and failures come every two hours on average: the formula, twenty
# simulated runs at each interval, and Young's choice. How wrong may the interval be before it hurts?

# %%
WORK, SAVE, RESTART, MEAN = 36_000.0, 30.0, 60.0, 7_200.0
generator = torch.Generator().manual_seed(0)
counts = np.array([2, 4, 8, 16, 30, 60, 120, 240, 600])
intervals = WORK / counts
figure, panel = plt.subplots(figsize=(8, 3.6), layout="constrained")
fine = np.geomspace(intervals[-1], intervals[0], 200)
panel.plot(
    fine / 60, [expected_seconds(WORK, interval, SAVE, RESTART, MEAN) / 3600 for interval in fine], color=BLUE, label="expected"
)
for interval in intervals:
    hours = [simulated_seconds(WORK, interval, SAVE, RESTART, MEAN, generator) / 3600 for _ in range(20)]
    panel.plot([interval / 60] * 20, hours, ".", color=GREY, ms=4, alpha=0.6)
young = young_interval(SAVE, MEAN)
panel.axvline(young / 60, color=ORANGE, lw=1.5)
panel.text(young / 60, 22, f" Young: {young / 60:.0f} min", color=ORANGE, fontsize=9)
panel.axhline(10, color=GREEN, lw=1, ls="--")
panel.set(xscale="log", xlabel="minutes of work between checkpoints", ylabel="hours", title="Ten hours of work", ylim=(9.5, 25))
panel.legend()
plt.show()
