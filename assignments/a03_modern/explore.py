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
# # A look at the modern transformer
#
# Pictures of your own code: what a rotation does, how its bound decays, what happens beyond the trained length, what each
# part is worth, and what caches cost. About two minutes on one core. Change a number, run the cell again, and see whether you
# guessed right.

# %%
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from given.a01_transformer.positions import sinusoidal_positions
from given.a02_training.train import TrainConfig
from torch import nn

from a03_modern.ablation import ablation_rows, run_ablation, train_row
from a03_modern.demo import small_config, task
from a03_modern.model import ModelConfig, Transformer
from a03_modern.rope import RotaryEmbedding, decay_bound, frequencies, rotate
from a03_modern.scaling import Scaling, linear, ntk, yarn

torch.set_num_threads(1)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # told apart by every kind of colour vision
PURPLE, SKY = "#CC79A7", "#56B4E9"
plt.rcParams.update({"figure.dpi": 110, "axes.titlesize": 10, "figure.titlesize": 12, "axes.grid": True, "grid.alpha": 0.25})

# %% [markdown]
# ## rope: rotation as a picture
#
# One vector at positions 0 to 11, seen in two of its channel pairs: the first rotates by a whole radian a step, the second by a
# tenth of that. On the right the same for scores: a query at every position against a key at every position. Diagonals of
# one colour mean that only the distance counts.

# %%
head_dim, steps = 8, 12
vector = torch.tensor([1.0, 0.0]).repeat(head_dim // 2)
rotary = RotaryEmbedding(head_dim)
rotated = rotate(vector.expand(steps, -1), rotary(torch.arange(steps)))

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
for panel, pair in zip(axes, (0, 1), strict=False):
    x, y = rotated[:, 2 * pair], rotated[:, 2 * pair + 1]
    panel.quiver(
        [0] * steps, [0] * steps, x, y, range(steps), angles="xy", scale_units="xy", scale=1, cmap="viridis", width=0.008
    )
    for position in range(steps):
        panel.annotate(str(position), (1.12 * x[position], 1.12 * y[position]), ha="center", va="center", fontsize=8)
    rate = frequencies(head_dim)[pair]
    panel.set(title=f"pair {pair}: {rate:.3g} radians per position", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
torch.manual_seed(0)
wide, n_positions = RotaryEmbedding(64)(torch.arange(48)), 48
q, k = torch.randn(64), torch.randn(64)
scores = rotate(q.expand(n_positions, -1), wide) @ rotate(k.expand(n_positions, -1), wide).T
image = axes[2].imshow(scores.numpy(), cmap="PuOr", vmin=-20, vmax=20)
axes[2].set(
    title="score of one query and one key, wherever they stand", xlabel="position of the key", ylabel="position of the query"
)
axes[2].grid(visible=False)
figure.colorbar(image, ax=axes[2], label="q · k")
plt.show()

# %% [markdown]
# **Try.** Set `head_dim = 2` on the left: which distances can a single pair not tell apart? And rotate the values too, in your
# attention: which of the pictures in this notebook would show it?

# %% [markdown]
# ## rope: the bound decays, scores need not
#
# Left: the bound of the paper, for two bases. Right: what it bounds. Scores of random queries and keys do not decay at all on
# average (they have none to begin with); those of vectors that are alike do. A trained model may do either.

# %%
distances = torch.arange(0, 256)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
for base, colour, style in ((10_000.0, BLUE, "-"), (500_000.0, ORANGE, "--"), (100.0, GREEN, ":")):
    left.plot(distances, decay_bound(distances, frequencies(128, base)), style, color=colour, label=f"base {base:,.0f}")
left.set(title="mean of |S_j| over j, head_dim 128", xlabel="distance m − n", ylabel="bound, up to a factor", ylim=(0, None))
left.legend()
rotation = RotaryEmbedding(128)(distances)
for number in range(4):
    q, k = torch.randn(128), torch.randn(128)
    label = "random q and k" if number == 0 else None
    right.plot(distances, rotate(q.expand(256, -1), rotation) @ k / 128**0.5, color=GREY, linewidth=0.8, label=label)
same = torch.ones(128)
right.plot(distances, rotate(same.expand(256, -1), rotation) @ same / 128**0.5, color=BLUE, label="q = k = (1, 1, 1, …)")
right.set(title="scores q · k / √d at each distance", xlabel="distance m − n", ylabel="score")
right.legend()
plt.show()

# %% [markdown]
# ## scaling: beyond the trained length
#
# A small model learns from windows of 128 tokens. Then it reads windows of 512, and its loss is taken at each position. Nothing
# was trained again. Where does it break, and which way of slowing the rotations down helps? What does each cost *within* the
# trained length? And what does a window that never shows it an unknown distance do?
#
# Three more models for comparison, each trained for itself, without RoPE. One has ALiBi: each head subtracts its own constant, times the
# distance, from its scores. Two add the waves of a01 to their tokens, with the factor √d_model of 2017 and without it.

# %%
LONG = 512


class Unrotated(nn.Module):
    """The attention of a trained stack without rotations; with `slopes`, ALiBi (arXiv:2108.12409, §3). No caches."""

    def __init__(self, attention: nn.Module, slopes: torch.Tensor | None = None):
        super().__init__()
        self.qkv, self.proj, self.n_heads = attention.qkv, attention.proj, attention.n_heads
        self.slopes = torch.zeros(self.n_heads) if slopes is None else slopes

    def forward(self, x: torch.Tensor, *_) -> torch.Tensor:
        query = torch.arange(x.shape[1])[:, None]
        penalty = self.slopes[:, None, None] * (query - query.T)
        bias = (-penalty).masked_fill(query < query.T, -torch.inf)
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2))


def build(kind: str) -> Transformer:
    """A fresh model; kind: a key of `trained`."""
    model = Transformer(small_config())
    n_heads = model.config.n_heads
    for block in model.blocks if kind != "RoPE" else ():
        block.attention = Unrotated(
            block.attention, 2.0 ** (-8 * torch.arange(1, n_heads + 1) / n_heads) if kind == "ALiBi" else None
        )
    if kind.startswith("waves"):
        d_model = model.config.d_model
        table, factor = sinusoidal_positions(LONG, d_model), d_model**0.5 if kind == "waves" else 1.0
        model.token_embedding.register_forward_hook(lambda _, __, x: factor * x + table[: x.shape[1]])
    return model


next_batch, validation = task()
trained = {}
for kind in ("RoPE", "ALiBi", "waves", "waves, no factor"):
    make = lambda kind=kind: trained.setdefault(kind, build(kind))
    train_row(kind, make, 0, next_batch, validation, TrainConfig(400, evaluate_every=400))


def under(**fields: object) -> Transformer:
    """The weights that were trained with RoPE, in a model of another configuration."""
    other = Transformer(small_config(**fields))
    other.load_state_dict(trained["RoPE"].state_dict())
    return other


def loss_by_position(model: Transformer) -> torch.Tensor:
    """Held-out loss at each of 512 positions; (512,)."""
    text = torch.cat([inputs.flatten() for inputs, _ in validation])  # the held-out windows follow each other
    windows = text[: (len(text) - 1) // LONG * LONG]
    tokens, targets = windows.view(-1, LONG), text[1 : len(windows) + 1].view(-1, LONG)
    with torch.no_grad():
        return F.cross_entropy(model.eval()(tokens).mT, targets, reduction="none").mean(0)


ways = {
    "as trained": {},
    "linear, 4×": {"scaling": Scaling("linear", 4)},
    "NTK, 4×": {"scaling": Scaling("ntk", 4)},
    "YaRN, 4×": {"scaling": Scaling("yarn", 4, 128)},
    "window 64": {"window": 64},
    "window 64 + 4 sinks": {"window": 64, "sinks": 4},
}
losses = {name: loss_by_position(under(**fields)) for name, fields in ways.items()}
losses |= {kind: loss_by_position(trained[kind]) for kind in ("ALiBi", "waves", "waves, no factor")}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
theta = frequencies(16)
pairs = range(len(theta))
for name, scaled, colour, marker in (
    ("as trained", theta, GREY, "o"),
    ("linear, 4×", linear(theta, 4), BLUE, "s"),
    ("NTK, 4×", ntk(theta, 4), ORANGE, "^"),
    ("YaRN, 4×, trained on 128", yarn(theta, 4, 128), GREEN, "v"),
):
    left.plot(pairs, scaled, marker=marker, color=colour, label=name, linewidth=1)
left.axhline(2 * torch.pi / 128, color="black", linewidth=0.8, linestyle=":")
left.text(7, 2 * torch.pi / 128 * 1.15, "one rotation in 128 positions", fontsize=8, ha="right")
left.set(title="frequencies of a head of 16", xlabel="pair", ylabel="radians per position", yscale="log")
left.legend(fontsize=8)
smooth = torch.ones(1, 1, 33) / 33
colours = (GREY, BLUE, ORANGE, GREEN, SKY, PURPLE, "black", GREY, SKY)
for (name, values), colour, style in zip(losses.items(), colours, ("-",) * 6 + ("--", ":", ":"), strict=True):
    mean = F.conv1d(values[None, None], smooth)[0, 0]
    right.plot(torch.arange(16, LONG - 16), mean, style, color=colour, label=name)
right.axvline(128, color="black", linewidth=0.8, linestyle=":")
right.text(132, 5.1, "trained until here", fontsize=8, va="top")
right.set(title="held-out loss (mean over 33 positions)", xlabel="position", ylabel="nats per character", ylim=(0, 7.8))
right.legend(fontsize=8, loc="upper right", ncols=2)
plt.show()

print("held-out loss             positions 64–127   384–511")
for name, values in losses.items():
    print(f"{name:22}  {values[64:128].mean():18.3f}  {values[384:].mean():8.3f}")

# %% [markdown]
# **Look.** The frequencies on the left explain most of the right: without further training, a scaling helps as far as it leaves
# the fast pairs alone. And why do sinks *hurt* here, at some positions? How far away is a sink from a query at 370, and which
# distances has this model ever seen?
#
# **Try.** A factor of 2, of 8. Which pairs does YaRN leave alone here, and why so few? What would a few steps of training with
# the scaling on do? (`train_row` with `scaling` in the configuration, starting from these weights.)

# %% [markdown]
# ## ablation: what is each part worth?
#
# One seed and half the steps, so that it is quick; the handout has three seeds and all rows. Before you look: which single part
# makes the difference?

# %%
runs = run_ablation(ablation_rows(small_config(bias=True)), [0], next_batch, validation, TrainConfig(200, evaluate_every=10))
figure, panel = plt.subplots(figsize=(8, 4.2), layout="constrained")
for run, colour, marker in zip(runs, (GREY, PURPLE, GREEN, ORANGE, SKY, BLUE), "ovs^Dx", strict=True):
    label = f"{run.row} ({run.losses[-1]:.2f})"
    panel.plot(run.tokens, run.losses, color=colour, marker=marker, markersize=3, linewidth=1.2, label=label)
panel.set(title="held-out loss, one seed, 200 steps", xlabel="tokens trained on", ylabel="nats per character", yscale="log")
panel.legend(title="row (final loss)", fontsize=8)
plt.show()

# %% [markdown]
# **Look.** Two bundles: with and without RoPE. Are the differences *within* a bundle larger than another seed would make?
# Run it with seed 1 before you answer.

# %% [markdown]
# ## cache: memory and speed against length
#
# Time of one more token, and bytes that its caches take, after so many tokens: read everything again, keep everything, keep a
# window and sinks.

# %%
lengths = [64, 128, 256, 512, 1024]
torch.manual_seed(0)
config = {"vocab_size": 65, "n_positions": 1024, "d_model": 128, "n_heads": 4, "n_layers": 4}
plain, windowed = Transformer(ModelConfig(**config)).eval(), Transformer(ModelConfig(**config, window=124, sinks=4)).eval()


def milliseconds(action, repeats: int = 7) -> float:
    """CPU time, the median of some repeats after a first one that does not count."""
    times = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return 1000 * sorted(times[1:])[repeats // 2]


again, kept, rolled, kept_bytes, rolled_bytes = [], [], [], [], []
with torch.no_grad():
    for length in lengths:
        tokens, positions = torch.randint(65, (1, length)), torch.arange(length)[None]
        again.append(milliseconds(lambda tokens=tokens: plain(tokens)))
        for model, capacity, times, sizes in ((plain, length + 8, kept, kept_bytes), (windowed, None, rolled, rolled_bytes)):
            caches = model.new_caches(1, capacity)
            model(tokens, positions, caches)
            next_position = iter(range(length, length + 8))
            times.append(
                milliseconds(lambda m=model, c=caches, p=next_position, t=tokens: m(t[:, :1], torch.tensor([[next(p)]]), c))
            )
            sizes.append(sum(cache.n_bytes for cache in caches) / 2**20)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
named = (("all again", again, GREY, "o"), ("cache", kept, BLUE, "s"), ("window and sinks", rolled, ORANGE, "^"))
for name, times, colour, marker in named:
    left.plot(lengths, times, marker=marker, color=colour, label=name)
left.set(title="time of one more token", xlabel="tokens so far", ylabel="CPU milliseconds", xscale="log", yscale="log")
for name, sizes, colour, marker in (("cache", kept_bytes, BLUE, "s"), ("window and sinks", rolled_bytes, ORANGE, "^")):
    right.plot(lengths, sizes, marker=marker, color=colour, label=name)
right.set(title="memory of the caches", xlabel="tokens so far", ylabel="MiB", xscale="log", yscale="log")
for panel in (left, right):
    panel.set_xticks(lengths, [str(length) for length in lengths])
    panel.minorticks_off()
    panel.legend()
right.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
plt.show()

# %% [markdown]
# **Try.** Two heads of keys for four of queries (`n_kv_heads=2`). Which of the curves move, and by how much? Which would move
# on a machine whose memory is slow?
