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
# # A look at the transformer you built
#
# Pictures of your own code: what positions look like, where heads look, and how gradients fare in pre-LN and post-LN
# stacks of 2 to 48 blocks. Everything runs in about two minutes on one core. Change a number, run the cell again, and see
# whether you guessed right: that is what this notebook is for.

# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from a01_transformer.block import PostNormBlock
from a01_transformer.demo import LENGTH, STEPS, answer_loss, spell, words
from a01_transformer.diagnostics import attention_maps, gradient_norms
from a01_transformer.model import GPT, GPTConfig, width_scaled_std
from a01_transformer.positions import sinusoidal_positions

torch.set_num_threads(1)
BLUE, ORANGE = "#0072B2", "#D55E00"  # told apart by every kind of colour vision
plt.rcParams.update({"figure.dpi": 110, "axes.titlesize": 10, "figure.titlesize": 12, "image.interpolation": "nearest"})

# %% [markdown]
# ## positions: a pattern for every position
#
# Left: one row per position. Neighbouring channels are sine and cosine of one angle; far left it rotates once in six
# positions, far right it hardly moves in a hundred. Right: how alike two rows are. The picture is made of diagonals: it
# depends on the *distance* of two positions and not on where they stand.

# %%
n_positions, channels = 100, 64
table = sinusoidal_positions(n_positions, channels)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
image = left.imshow(table.numpy(), cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
left.set(title="sinusoidal positions", xlabel="channel", ylabel="position")
figure.colorbar(image, ax=left, label="value")
alike = table @ table.T / (channels / 2)
image = right.imshow(alike.numpy(), cmap="cividis", vmin=0, vmax=1)
right.set(title="how alike are two positions? (dot product, 1 = the same)", xlabel="position", ylabel="position")
figure.colorbar(image, ax=right, label="dot product / (d_model / 2)")
plt.show()


def three_on(table: torch.Tensor) -> float:
    """How far the best matrix for "three positions on" is off, at worst; one matrix for all positions."""
    table = table.double()
    matrix = torch.linalg.lstsq(table[:-3], table[3:]).solution
    return (table[:-3] @ matrix - table[3:]).abs().max().item()


print(f"three positions on, by one matrix: off by {three_on(table):.0e} at most; ", end="")
print(f"in a random table, as a learned one begins: {three_on(torch.randn(n_positions, channels)):.1f}")

# %% [markdown]
# **Try.** Set `base=100` and look at the right half. Why do the paper's authors want wavelengths far beyond the length
# of any sentence? What would two *halves* (first all sines, then all cosines) change in the right picture?

# %% [markdown]
# ## attention: what two layers with two heads each learn
#
# The task of the demo: a word of ten letters, a separator, then the word backwards. Upper row: a fresh model. Its heads know
# nothing yet and spread their attention evenly over what the mask leaves them. Lower row: the same heads after
# training. Rows ask, columns answer, and every row sums to 1.


# %%
def small_gpt(n_layers: int, d_model: int) -> GPT:
    """A model of the right size for the task of the demo."""
    torch.manual_seed(0)
    return GPT(GPTConfig(27, 2 * LENGTH + 1, d_model, 2, n_layers, init_std=width_scaled_std(d_model)))


def train(model: GPT, steps: int, batch_size: int, lr: float) -> list[float]:
    """Loss of each step, in nats per letter."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    losses = []
    for _ in range(steps):
        loss = answer_loss(model, words(batch_size, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


model = small_gpt(n_layers=2, d_model=48)
sequence = words(1, torch.Generator().manual_seed(2))[:, :-1]  # the last letter is only ever written, never read
fresh = attention_maps(model, sequence)[:, 0].flatten(0, 1)
train(model, STEPS, batch_size=64, lr=3e-3)
trained = attention_maps(model, sequence)[:, 0].flatten(0, 1)

# %%
letters = list(spell(sequence[0]))
figure, axes = plt.subplots(2, 4, figsize=(13, 6.9), layout="constrained", sharex=True, sharey=True)
for row, (maps, when) in enumerate([(fresh, "fresh"), (trained, "trained")]):
    for head, panel in enumerate(axes[row]):
        image = panel.imshow(maps[head].numpy(), cmap="viridis", vmin=0, vmax=1)
        panel.set_title(f"layer {head // 2}, head {head % 2}, {when}")
        panel.set_xticks(range(len(letters)), letters, fontsize=7)
        panel.set_yticks(range(len(letters)), letters, fontsize=7)
        panel.axhline(LENGTH - 0.5, color="white", linewidth=0.6)  # below: the rows that write
        panel.axvline(LENGTH - 0.5, color="white", linewidth=0.6)
for panel in axes[-1]:
    panel.set_xlabel("looks at")
for panel in axes[:, 0]:
    panel.set_ylabel("token that looks")
figure.colorbar(image, ax=axes, label="attention weight", shrink=0.7)
figure.suptitle("Attention of every head: below the white line the word is written backwards")
plt.show()

# %% [markdown]
# **Look.** In one layer the task is plain to see: below the white line attention walks back through the word, one
# letter a row. Do the two heads share the work, or do both do all of it? The upper triangle is empty in all eight
# panels; which line of yours does that? What do the heads do in the rows *above* the line, where nothing was asked?

# %% [markdown]
# ## positions: how loud are the tokens?
#
# The model of 2017 has waves for positions, shares the table of tokens with the head, and multiplies tokens by √d_model on the way in.
# Here a token's row begins with a length near 1, and a row of waves has √(d_model / 2) = 4.9. The same task with the factor and
# without. Which do you expect to learn sooner? What is this task about?


# %%
class Waves(nn.Module):
    """Tokens times a factor, plus the sinusoidal table."""

    def __init__(self, factor: float, d_model: int):
        super().__init__()
        self.factor, self.table = factor, sinusoidal_positions(2 * LENGTH + 1, d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x + self.table[: x.shape[-2]]


figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for factor, colour, style in ((1.0, BLUE, "-"), (math.sqrt(48), ORANGE, "--")):
    model = small_gpt(n_layers=2, d_model=48)
    model.positions = Waves(factor, 48)
    nn.init.normal_(model.token_embedding.weight, std=1 / math.sqrt(48))
    losses = train(model, STEPS, batch_size=64, lr=3e-3)
    panel.plot(losses, style, color=colour, label=f"tokens × {factor:.1f}: after 150 steps {losses[149]:.2f}")
panel.set(title="Words backwards, with waves for positions", xlabel="step", ylabel="loss, nats per letter", ylim=(0, None))
panel.legend()
panel.grid(alpha=0.25)
plt.show()

# %% [markdown]
# ## block: gradients in pre-LN and post-LN stacks
#
# The same sizes, the same distribution of the first weights (a plain one, without GPT-2's residual scale), the same
# data; only the place of the norms differs. For stacks of 2 to 48 blocks: the gradient norm of every block, at the
# start and after 20 steps of training.

# %%
DEPTHS, LR = (2, 4, 8, 16, 32, 48), 2e-3
batch = words(64, torch.Generator().manual_seed(5))


def stack(n_layers: int, kind: type[nn.Module] | None = None) -> GPT:
    """Blocks of a kind, `Block` for None; the numbers that they start with are the same for every kind."""
    model = small_gpt(n_layers, d_model=32)
    torch.manual_seed(n_layers)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=width_scaled_std(32))
    if kind is not None:
        weights = model.blocks.state_dict()
        model.blocks = nn.ModuleList(kind(32, 2) for _ in range(n_layers))
        model.blocks.load_state_dict(weights)
    return model


def block_norms(model: GPT) -> list[float]:
    """Gradient norm of every block, first to last."""
    model.zero_grad()
    answer_loss(model, batch).backward()
    return [norm for layer, norm in gradient_norms(model).items() if layer.startswith("blocks")]


norms = {}
for depth in DEPTHS:
    for post in (False, True):
        model = stack(depth, PostNormBlock if post else None)
        norms[depth, post, "start"] = block_norms(model)
        train(model, 20, batch_size=32, lr=LR)
        norms[depth, post, "after"] = block_norms(model)

# %%
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.4), layout="constrained", sharey=True)
for panel, post, title in zip(axes, (False, True), ("pre-LN: x + f(LN(x))", "post-LN: LN(x + f(x))"), strict=False):
    for number, depth in enumerate(DEPTHS):
        relative_depth = [(block + 0.5) / depth for block in range(depth)]
        colour = plt.cm.viridis(0.92 * (1 - number / (len(DEPTHS) - 1)))
        panel.plot(relative_depth, norms[depth, post, "after"], "o-", ms=2.5, lw=1.2, color=colour, label=f"{depth} blocks")
    panel.set(title=f"{title}, after 20 steps", xlabel="relative depth of the block (0 = input, 1 = output)", yscale="log")
axes[0].set_ylabel("gradient norm of the block")
axes[0].legend(fontsize=8)
for post, colour, name in ((False, BLUE, "pre-LN"), (True, ORANGE, "post-LN")):
    for when, style in (("start", "--"), ("after", "-")):
        label = f"{name}, {'at the start' if when == 'start' else 'after 20 steps'}"
        marker = "s" if post else "o"
        first = [norms[depth, post, when][0] for depth in DEPTHS]
        axes[2].plot(DEPTHS, first, style, marker=marker, ms=4, color=colour, label=label)
axes[2].set(title="the first block of each stack", xlabel="blocks in the stack", xscale="log")
axes[2].set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
axes[2].minorticks_off()
axes[2].legend(fontsize=8)
for panel in axes:
    panel.grid(alpha=0.25)
figure.suptitle("What reaches the lower blocks of a deep stack?")
plt.show()

print("first block, gradient norm   start: pre      post   | after 20 steps: pre      post")
for depth in DEPTHS:
    row = [norms[depth, post, when][0] for when in ("start", "after") for post in (False, True)]
    print("{:>13} blocks            {:8.1e}  {:8.1e}  |           {:8.1e}  {:8.1e}".format(depth, *row))

# %% [markdown]
# At the start both orders look sound. Twenty steps later the lower half of a deep post-LN stack is cut off. The handout
# (section "block") says why: in a post-LN stack *every* branch is followed by a division by √(1 + variance of the
# branch), and as soon as the branches grow, what passes on the way down shrinks by that factor each time. Does it keep
# a stack from learning?

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained", sharey=True)
for panel, depth in zip(axes, (2, 16, 32), strict=True):
    for post, colour, name in ((False, BLUE, "pre-LN"), (True, ORANGE, "post-LN")):
        losses = train(stack(depth, PostNormBlock if post else None), 160, batch_size=32, lr=LR)
        panel.plot(losses, "--" if post else "-", color=colour, label=f"{name}, ends at {losses[-1]:.2f}")
    panel.axhline(math.log(26), color="grey", linewidth=0.8)
    panel.text(159, math.log(26) + 0.06, "chance", color="grey", fontsize=8, ha="right")
    panel.set(title=f"{depth} blocks", xlabel="step", ylim=(0, 4.2))
    panel.legend(loc="lower left", fontsize=8)
    panel.grid(alpha=0.25)
axes[0].set_ylabel("loss, nats per letter")
figure.suptitle(f"Learning to write words backwards, learning rate {LR:g} from the first step")
plt.show()

# %% [markdown]
# And without any stream? Here nothing is added: x ← LN(f(x)), twice in a block. Attention is an average, so tokens become alike.


# %%
class NothingAdded(PostNormBlock):
    """The post-LN block without its two additions."""

    def forward(self, x, mask=None):
        x = self.norm_attention(self.dropout(self.attention(x, mask)))
        return self.norm_mlp(self.mlp(x))


def likeness(model: GPT) -> float:
    """Mean cosine between two tokens of a sequence behind the last block."""
    seen = []
    handle = model.blocks[-1].register_forward_hook(lambda _, __, x: seen.append(F.normalize(x.detach(), dim=-1)))
    model(batch[:, :-1])
    handle.remove()
    cosines = seen[0] @ seen[0].mT
    n = cosines.shape[-1]
    return ((cosines.sum((1, 2)) - n) / (n * n - n)).mean().item()


print("blocks   loss after 160 steps: pre-LN   nothing added   likeness of two tokens at the start: pre-LN   nothing added")
for depth in (1, 2, 4, 8):
    kinds = (None, NothingAdded)
    losses = [train(stack(depth, kind), 160, batch_size=32, lr=LR)[-1] for kind in kinds]
    alike = [likeness(stack(depth, kind)) for kind in kinds]
    print("{:6} {:30.2f} {:15.2f} {:44.2f} {:15.2f}".format(depth, *losses, *alike))

# %% [markdown]
# **Try.** Post-LN is no mistake: the first transformer was trained that way. Let the learning rate grow from 0 over the
# first 100 steps to a peak of 1e-3, and the stack of 32 blocks learns as well, only later (some 300 steps). What does such a warm-up
# protect? Give both orders GPT-2's start (`model.init_weights()` at the end of `stack`): which of them gains more, and
# why?

# %% [markdown]
# ## model: what a second layer can do
#
# A random word of 6 to 11 different letters is written over and over, and the model is asked for the next letter from the second
# round on. The length of the word is another one each time, so no distance will do as an answer. What does: find the place where
# the present letter stood before, and take what came *after* it. One attention layer cannot, because the key of a token does not know its
# predecessor. With two layers, the first can write each token's predecessor into it, and the second can look for it.

# %%
SEQ_LEN = 24


def rounds(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Words over and over, (n, SEQ_LEN + 1); and where the answer is known, (n, SEQ_LEN)."""
    letters = torch.rand(n, 26, generator=generator).argsort(dim=1)
    length = torch.randint(6, 12, (n, 1), generator=generator)
    return letters.gather(1, torch.arange(SEQ_LEN + 1) % length), torch.arange(1, SEQ_LEN + 1) > length


def learn_rounds(n_layers: int, steps: int = 400) -> tuple[GPT, list[float]]:
    """A trained model, and its share of right letters on words it has not seen, every 25 steps."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(26, SEQ_LEN, 48, 2, n_layers, init_std=width_scaled_std(48)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    generator, right = torch.Generator().manual_seed(1), []
    unseen, known = rounds(256, torch.Generator().manual_seed(99))
    for step in range(steps + 1):
        if step % 25 == 0:
            with torch.no_grad():
                right.append((model(unseen[:, :-1]).argmax(-1) == unseen[:, 1:])[known].double().mean().item())
        sequences, asked = rounds(64, generator)
        loss = F.cross_entropy(model(sequences[:, :-1])[asked], sequences[:, 1:][asked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, right


curves, deep = {}, None
for n_layers in (1, 2):
    deep, curves[n_layers] = learn_rounds(n_layers)
    print(f"{n_layers} layer(s): {curves[n_layers][-1]:.1%} right after 400 steps")

unseen, _ = rounds(256, torch.Generator().manual_seed(99))
maps = attention_maps(deep, unseen[:, :-1])  # (2, 256, 2, SEQ_LEN, SEQ_LEN)
before = maps.diagonal(offset=-1, dim1=-2, dim2=-1)[..., 11:].mean((1, 3))  # (layer, head)
print("weight on the token just before, layer by layer:", [[f"{w:.0%}" for w in heads] for heads in before.tolist()])

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
for (n_layers, right), colour, style in zip(curves.items(), (ORANGE, BLUE), ("s--", "o-"), strict=True):
    axes[0].plot(range(0, 401, 25), right, style, ms=3, color=colour, label=f"{n_layers} layer{'s' if n_layers > 1 else ''}")
axes[0].set(title="letters that come out right", xlabel="step", ylabel="share", ylim=(0, 1.03))
axes[0].legend()
axes[0].grid(alpha=0.25)
letters = list(spell(unseen[0, :-1]))
for layer, panel in enumerate(axes[1:]):
    image = panel.imshow(maps[layer, 0].amax(0).numpy(), cmap="viridis", vmin=0, vmax=1)
    panel.set(title=f"layer {layer}, the larger weight of both heads", xlabel="looks at")
    panel.set_xticks(range(SEQ_LEN), letters, fontsize=6)
    panel.set_yticks(range(SEQ_LEN), letters, fontsize=6)
figure.colorbar(image, ax=axes[2], label="attention weight", shrink=0.8)
figure.suptitle("Two layers did what one did not: after a letter comes what came after it before")
plt.show()

# %% [markdown]
# **Look.** The pair of layers that the text above describes is called an *induction head*, and large models were found to have them
# (arXiv:2209.11895). Does this model have one? Its first layer would put its weight on the token just before; see the percentages.
# What do the lines in the middle picture look at instead, and what could a model make of it that knows all positions by heart? A
# mechanism that would do is not necessarily the one that training finds. And how does the one layer get more than chance, which
# is one letter in eight or nine?
