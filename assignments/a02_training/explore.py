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
# # A look at training
#
# Pictures of your own code at work: the learning rate, the loss on its way to the exact floor, what the model writes along
# the way, and what each knob of sampling does. A minute and a half on one core. Change a number, run the cell again, and see
# whether you guessed right.

# %%
import math
from collections import Counter

import corpora
import matplotlib.pyplot as plt
import numpy as np
import torch
from given.a01_transformer.model import GPT, GPTConfig, width_scaled_std

from a02_training.data import document_rows, random_batch, random_documents
from a02_training.rules import Rules
from a02_training.sample import Sampling, generate, next_token_probabilities
from a02_training.schedule import learning_rate
from a02_training.train import TrainConfig, evaluating, train

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
# ## schedule: how far each step goes

# %%
STEPS = 800
steps = list(range(1, STEPS + 1))
figure, panel = plt.subplots(figsize=(8, 2.8), layout="constrained")
for warmup, colour, style in ((None, BLUE, "-"), (0, ORANGE, "--"), (STEPS // 2, GREEN, ":")):
    label = f"warm-up {STEPS // 10} (default)" if warmup is None else f"warm-up {warmup}"
    panel.plot(steps, [learning_rate(step, STEPS, 6e-3, warmup) for step in steps], style, color=colour, label=label)
panel.set(
    xlabel="step", ylabel="learning rate", title="Up in a line, down along half a cosine, to 10 % of the peak", ylim=(0, None)
)
panel.legend()
plt.show()

# %% [markdown]
# ## data: windows repeat sooner than one thinks
#
# 100,000 tokens that say where they stand, so that the first of a window is its start. How many random windows of 128 tokens
# are drawn until one starts where another one did? And until one overlaps with another? The birthday paradox says: an even
# chance after 1.18 · √M for M starts, and with overlaps after 1.18 · √(M / 255), because 255 starts overlap with a given window. Guess
# both numbers before you run the cell.

# %%
SEQ_LEN, N_STARTS = 128, 100_000
tokens = np.arange(N_STARTS + SEQ_LEN, dtype=np.int32)


def first_repeat(starts: np.ndarray, distance: int) -> int:
    """How many windows there are when two of them first start fewer than `distance` tokens apart."""
    return next(n for n in range(2, len(starts)) if np.abs(starts[: n - 1] - starts[n - 1]).min() < distance)


equal, overlapping = [], []
for seed in range(200):
    starts = random_batch(tokens, 2000, SEQ_LEN, torch.Generator().manual_seed(seed))[0][:, 0].numpy()
    equal.append(first_repeat(starts, 1))
    overlapping.append(first_repeat(starts, SEQ_LEN))
figure, panel = plt.subplots(figsize=(8, 3), layout="constrained")
for counts, n_others, colour, name in ((equal, 1, BLUE, "the same start"), (overlapping, 255, ORANGE, "an overlap")):
    expected = math.sqrt(2 * math.log(2) * N_STARTS / n_others)
    label = f"{name}: median {np.median(counts):.0f} windows, formula {expected:.0f}"
    panel.hist(counts, bins=np.geomspace(2, 1500, 40), color=colour, alpha=0.6, label=label)
panel.set(
    xscale="log", xlabel="windows drawn", ylabel="of 200 seeds", title="The first two windows that share tokens", ylim=(0, 42)
)
panel.legend()
plt.show()

# %% [markdown]
# ## loss: the way to the floor
#
# Tales come from a grammar, so the best possible loss is known exactly. And counting shows what is easy: the dashed lines
# are the losses of tables that look at the last 0, 1, 2, 3 and 5 characters, counted on the training texts and
# measured on texts they have not seen. Where the curve falls below a line, the model uses more than that.


# %%
def n_gram_loss(n: int, train_texts: tuple[str, ...], held_out: tuple[str, ...]) -> float:
    """Nats per character of a table that knows the n − 1 characters before; what it never saw it asks the next shorter one."""
    tables = [Counter((text[max(0, i - k) : i], text[i]) for text in train_texts for i in range(len(text))) for k in range(n)]
    context_counts = [Counter() for _ in tables]
    for k, table in enumerate(tables):
        for (context, _), count in table.items():
            context_counts[k][context] += count

    def prob(context: str, character: str, k: int) -> float:
        below = prob(context[1:] if len(context) == k else context, character, k - 1) if k else 1 / 256
        return (tables[k][context, character] + below) / (context_counts[k][context] + 1)

    losses = [-math.log(prob(text[max(0, i - n + 1) : i], text[i], n - 1)) for text in held_out for i in range(len(text))]
    return sum(losses) / len(losses)


corpus = corpora.load("tales")
documents, held_out = ([list(text.encode()) for text in texts] for texts in (corpus.train, corpus.held_out[:128]))
BOS_TOKEN = ord("\n")
n_grams = {n: n_gram_loss(n, corpus.train, corpus.held_out[:128]) for n in (1, 2, 3, 4, 6)}
print("n-gram losses:", {n: round(loss, 3) for n, loss in n_grams.items()}, " exact floor:", round(corpus.floor, 3))

# %%
SHOWN = (25, 100, 200, 400, 800)  # steps after which we look at what the model writes
torch.manual_seed(0)
model = GPT(GPTConfig(256, 145, d_model=64, n_heads=4, n_layers=2, init_std=width_scaled_std(64)))
validation = [document_rows(held_out[i : i + 64], BOS_TOKEN) for i in range(0, len(held_out), 64)]
written: dict[int, list[str]] = {}
likeliest: dict[int, str] = {}
drawn = 0


def next_batch(generator: torch.Generator):
    """The next batch; and, on the way, samples of what the model has learned so far."""
    global drawn
    if drawn in SHOWN:
        written[drawn] = tales(3, Sampling(temperature=0.7))
        likeliest[drawn] = tales(1, Sampling(temperature=0))[0]
    drawn += 1
    return random_documents(documents, 8, BOS_TOKEN, generator)


def tales(count: int, sampling: Sampling) -> list[str]:
    generator = torch.Generator().manual_seed(1)
    answers = generate(model, [[BOS_TOKEN]] * count, 144, sampling, stop_token=BOS_TOKEN, generator=generator)
    return [bytes(answer).decode(errors="replace") + "\n" for answer in answers]


history = train(model, next_batch, TrainConfig(steps=STEPS, evaluate_every=25), validation)
written[STEPS] = tales(3, Sampling(temperature=0.7))
likeliest[STEPS] = tales(1, Sampling(temperature=0))[0]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.6), layout="constrained", width_ratios=[2, 1])
left.plot([r.step for r in history], [r.loss for r in history], color=BLUE, alpha=0.35, lw=0.8, label="each batch")
measured = [r for r in history if r.validation is not None]
left.plot([r.step for r in measured], [r.validation for r in measured], "o-", ms=3, color=BLUE, label="held-out tales")
for n, loss in n_grams.items():
    left.axhline(loss, color=GREY, lw=0.9, ls="--")
    left.text(STEPS, loss * 1.02, f"{n}-gram {loss:.2f}", color=GREY, fontsize=8, ha="right", va="bottom")
left.axhline(corpus.floor, color=ORANGE, lw=1.5)
left.text(STEPS, corpus.floor * 0.98, f"exact floor {corpus.floor:.3f}", color=ORANGE, fontsize=9, ha="right", va="top")
left.set(yscale="log", ylim=(0.12, 6.5), xlabel="step", ylabel="nats per character", title="loss")
left.set_yticks([0.15, 0.3, 0.6, 1.2, 2.4, 4.8], ["0.15", "0.3", "0.6", "1.2", "2.4", "4.8"])
left.minorticks_off()
left.legend(loc="upper center")
right.plot([r.step for r in history], [r.gradient_norm for r in history], color=GREEN, lw=0.8)
right.axhline(1.0, color=GREY, lw=0.9, ls="--")
right.text(STEPS, 1.04, "clipped above 1", color=GREY, fontsize=8, ha="right", va="bottom")
right.set(yscale="log", xlabel="step", ylabel="gradient norm before clipping", title="how long the gradient is")
right.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
right.minorticks_off()
figure.suptitle("The way to the floor")
plt.show()

# %% [markdown]
# And this is what it writes on the way, at temperature 0.7; below each text the rule that it breaks, if it does. Last the greedy
# tale, the likeliest letter at each place. A weak model goes round in circles there.

# %%
rules = Rules(corpus.train)
losses = {record.step: record.validation for record in measured}
for step in SHOWN:
    print(f"after {step} steps, held-out loss {losses[step]:.2f}")
    for tale in written[step]:
        print("   ", "".join(sign if sign.isprintable() else "·" for sign in tale[:-1]))
        print("       ", rules.fault(tale) or "keeps all rules")
    print("    greedy:", "".join(sign if sign.isprintable() else "·" for sign in likeliest[step][:-1]))

# %% [markdown]
# **Look.** What does the model learn first: words, sentences, or who is who? At which loss do names agree? Which n-gram
# would be needed to know in the last sentence what the thing was?
#
# **Try.** Train on `corpora.load("tales", 20_000)` with `patience=3` and see where training and held-out loss part.

# %% [markdown]
# ## sample: one distribution under each knob
#
# After "Tom had a " the next letter is the first one of a quality. Grey: the model as it is. Colour: what a knob makes of it.

# %%
names = Counter(text.split()[0] for text in corpus.train)
prompt = f"{names.most_common(1)[0][0]} had a "
with evaluating(model), torch.no_grad():
    logits = model(torch.tensor([[BOS_TOKEN, *prompt.encode()]]))[0, -1]
plain = next_token_probabilities(logits, Sampling())
letters = plain.argsort(descending=True)[:12]
knobs = {
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 2": Sampling(temperature=2.0),
    "top-k 3": Sampling(top_k=3),
    "top-p 0.8": Sampling(top_p=0.8),
}
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained", sharey=True)
for panel, (title, sampling), colour in zip(axes, knobs.items(), (BLUE, ORANGE, GREEN, "#CC79A7"), strict=True):
    positions = range(len(letters))
    panel.bar(positions, plain[letters].tolist(), width=0.85, color="#cccccc", label="temperature 1")
    panel.bar(positions, next_token_probabilities(logits, sampling)[letters].tolist(), width=0.45, color=colour, label=title)
    panel.set_xticks(positions, [repr(chr(letter))[1:-1] if letter != 32 else "␣" for letter in letters.tolist()])
    panel.set(title=title, xlabel="next character")
    panel.legend(fontsize=8)
axes[0].set_ylabel("probability")
figure.suptitle(f"What may follow “{prompt}”")
plt.show()

# %% [markdown]
# ## sample: many texts under each knob
#
# How many of 100 tales keep all rules, and how varied are they? Variety is the perplexity of the first name: 1 if all tales are
# about the same person, 12 if each of twelve is as frequent as the others. Grammar and variety pull in opposite directions.


# %%
def variety(texts) -> float:
    """Perplexity of the first word."""
    counts = Counter(text.split(" ")[0] for text in texts)
    return math.exp(-sum(n / len(texts) * math.log(n / len(texts)) for n in counts.values()))


rows = []
for title, sampling in {
    "greedy": Sampling(temperature=0),
    "temperature 0.3": Sampling(temperature=0.3),
    "temperature 0.7": Sampling(temperature=0.7),
    "temperature 1": Sampling(),
    "temperature 1.3": Sampling(temperature=1.3),
    "top-k 3": Sampling(top_k=3),
    "top-p 0.9": Sampling(top_p=0.9),
    "repetition 1.2, temperature 0.7": Sampling(temperature=0.7, repetition_penalty=1.2),
}.items():
    texts = tales(100, sampling)
    rows.append((title, sum(not rules.fault(text) for text in texts), variety(texts)))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
titles, kept, varied = zip(*rows, strict=True)
left.bar_label(left.barh(titles, kept, color=BLUE), padding=3, fontsize=8)
left.set(xlim=(0, 108), xlabel="of 100 tales", title="keep all rules")
right.bar_label(right.barh(titles, varied, color=ORANGE), fmt="%.1f", padding=3, fontsize=8)
right.axvline(variety(corpus.train), color=GREY, lw=0.9, ls="--", label="training texts")
right.set(xlim=(0, 14), xlabel="perplexity of the first name", title="how varied they are")
right.legend(loc="upper right", fontsize=8)
left.invert_yaxis()
figure.suptitle("Grammar against variety")
plt.show()

# %% [markdown]
# **Look.** Why does a temperature of 0.3 keep fewer rules than 0.7, and the likeliest letters at each place none? (Read the greedy tale again.)
# A tale *must* repeat itself: the hat of the first sentence is the hat of the last. What does a penalty on repetition do to it, and for
# which texts was it made?
#
# **Try.** Which setting gives the most tales that are right *and* varied? With the model of the demo (3000 steps), is the answer the same?
