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
# # A look at the foundations you built
#
# Pictures of your own code: where numbers overflow and where they round, how far a gradient check can see, what the
# first weights decide, and where the operations and the bytes of a transformer go. Everything runs in about ten seconds
# on one core. Guess what a change will do before you run the cell again: that is what this notebook is for.

# %%
import math

import matplotlib.pyplot as plt
import torch

from a00_foundations.device import seed_everything
from a00_foundations.layers import Linear, truncated_normal_
from a00_foundations.numerics import central_difference, cross_entropy, log_softmax, logsumexp, softmax
from a00_foundations.precision import BFLOAT16, FLOAT16, FLOAT32, FloatFormat, activation_bytes, limits, round_to, state_bytes
from a00_foundations.profiling import forward_flops, time_it

torch.set_num_threads(1)
seed_everything(0)
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # told apart by every kind of colour vision
plt.rcParams.update({"figure.dpi": 110, "axes.titlesize": 10, "figure.titlesize": 12, "axes.grid": True, "grid.alpha": 0.25})

# %% [markdown]
# ## numerics: what the shift saves
#
# Left: three logits (t, t − 1, t − 2). Their softmax does not depend on t. Written as the definition says, e^x / Σ e^x,
# it ends at e^88.7, the largest number of float32 (for float16, at e^11.1); your softmax does not notice. Right: three
# ways to a *log*-softmax, and how many digits each of them keeps. The logarithm of a probability near 0 is lost where
# softmax rounds to 0. And x − logsumexp(x) subtracts two large, nearly equal numbers.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
t = torch.linspace(-120, 120, 481)
logits = torch.stack([t, t - 1, t - 2], dim=-1)
naive = logits.exp() / logits.exp().sum(-1, keepdim=True)
left.plot(t, softmax(logits)[:, 0], color=BLUE, lw=5, alpha=0.35, label="yours")
left.plot(t, naive[:, 0], "--", color=ORANGE, label="the definition, float32")
half = logits.half().exp()
left.plot(t, half[:, 0] / half.sum(-1), ":", color=GREEN, lw=2, label="the definition, float16")
left.axvspan(88.72, 120, color=ORANGE, alpha=0.08)
left.axvspan(-120, -103, color=ORANGE, alpha=0.08)
left.text(104, 0.35, "inf / inf\n= NaN", color=ORANGE, ha="center")
left.text(-111, 0.35, "0 / 0\n= NaN", color=ORANGE, ha="center")
left.set(title="probability of the first of three logits (t, t − 1, t − 2)", xlabel="t", ylabel="softmax", ylim=(0, 1.05))
left.legend(loc="lower center")

size = 10.0 ** torch.linspace(0, 6, 61)
spread = torch.randn(61, 50) * 3 + size[:, None]
exact = log_softmax(spread.double())
ways = {
    "x − logsumexp(x)": (spread - logsumexp(spread, keepdim=True), ORANGE, "s"),
    "log(softmax(x))": (softmax(spread).log(), GREEN, "^"),
    "your log_softmax": (log_softmax(spread), BLUE, "o"),
}
for name, (values, colour, marker) in ways.items():
    error = (values - exact).abs().amax(-1).clamp(min=1e-9)
    right.loglog(size, error, marker, ms=3.5, color=colour, label=name)
right.set(title="log-softmax of 50 logits around a mean: largest error in float32", xlabel="mean of the logits", ylabel="error")
right.legend()
plt.show()

# %% [markdown]
# **Look.** On the right the *spread* of the logits is the same everywhere; only their mean grows, and softmax should not
# care. Why does log(softmax(x)) do so well here? Spread the logits by 30 in place of 3 and look again.
#
# ## numerics: how far can a gradient check see?
#
# The error of a difference has two parts. A large step sees the curve bend: for the difference of two sides that is
# step², for one side it is step. A small step sees the rounding of f, divided by the step. The best step lies where both are
# alike; for central differences in float64 near ε^(1/3) ≈ 6·10⁻⁶.

# %%
x = torch.randn(6, dtype=torch.float64)
target = torch.tensor([2])


def loss(x: torch.Tensor) -> torch.Tensor:
    return cross_entropy(x[None], target)


slope = torch.func.grad(loss)(x)
steps = 10.0 ** torch.arange(-13, 0.01, 0.25, dtype=torch.float64)


def one_sided(step: float) -> torch.Tensor:
    return torch.stack([(loss(x + step * e) - loss(x)) / step for e in torch.eye(6, dtype=torch.float64)])


two = [(central_difference(loss, [x], step)[0] - slope).abs().max().item() for step in steps.tolist()]
one = [(one_sided(step) - slope).abs().max().item() for step in steps.tolist()]
figure, panel = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
panel.loglog(steps, one, "s-", ms=3, color=ORANGE, label="one side: (f(x + h) − f(x)) / h")
panel.loglog(steps, two, "o-", ms=3, color=BLUE, label="both sides: (f(x + h) − f(x − h)) / 2h")
panel.loglog(steps, 1e-16 / steps, ":", color="grey")
panel.text(1e-13, 1e-7, "dotted: rounding, ε / h", color="grey")
panel.axvline(1e-5, color="grey", lw=0.8)
panel.text(1.2e-5, 3e-2, "default step", color="grey")
panel.set(title="error of the gradient of a cross-entropy, float64", xlabel="step h", ylabel="error", ylim=(1e-13, 1))
panel.legend(loc="lower left")
plt.show()

# %% [markdown]
# **Try.** A float32 function has ε = 10⁻⁷. Where does the dotted line run then, and how good is the best step?
#
# ## layers: what the first weights decide
#
# Left: what `truncated_normal_` draws. It is cut at two deviations, and a little wider than a normal distribution, so
# that what is left has the deviation that was asked for. Right: a signal on its way through 50 layers of width 256 with
# ReLUs between them. A factor per layer that is not 1 is a power of 50 at the end.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
numbers = truncated_normal_(torch.empty(200_000), std=1.0)
left.hist(numbers.numpy(), bins=120, density=True, color=BLUE, alpha=0.5, label=f"yours, deviation {numbers.std():.3f}")
grid = torch.linspace(-3.2, 3.2, 400)
left.plot(grid, (-(grid**2) / 2).exp() / math.sqrt(2 * math.pi), "--", color=ORANGE, label="normal, deviation 1")
left.set(title="truncated_normal_ with std 1, cut at 2 deviations", xlabel="weight", ylabel="density", ylim=(0, 0.55))
left.legend(loc="upper center")

width, depth = 256, 50
starts = {
    "std 0.2": (lambda layer: layer.weight.data.normal_(0, 0.2), ORANGE, "^"),
    "kaiming: √(2 / d_in)": (lambda layer: None, BLUE, "o"),
    "1 / √d_in": (lambda layer: truncated_normal_(layer.weight, 1 / math.sqrt(width)), GREEN, "s"),
    "GPT-2's 0.02": (lambda layer: layer.weight.data.normal_(0, 0.02), PINK, "v"),
}
for name, (start, colour, marker) in starts.items():
    signal, sizes = torch.randn(512, width), []
    for _ in range(depth):
        layer = Linear(width, width, init="kaiming")
        start(layer)
        with torch.no_grad():
            signal = layer(signal.relu() if sizes else signal)
        sizes.append(signal.double().square().mean().sqrt().item())
    right.semilogy(range(1, depth + 1), sizes, "-", marker=marker, ms=3, color=colour, label=name)
right.axhline(limits(FLOAT16).largest, color="grey", lw=0.8)
right.text(1, limits(FLOAT16).largest * 3, "largest float16", color="grey", fontsize=8)
right.axhline(limits(FLOAT16).smallest_subnormal, color="grey", lw=0.8)
right.text(1, limits(FLOAT16).smallest_subnormal / 60, "smallest float16", color="grey", fontsize=8)
right.set(title="size of the signal through 50 layers with ReLU", xlabel="layer", ylabel="root mean square", ylim=(1e-40, 1e20))
right.legend(loc="lower left", fontsize=8)
plt.show()

# %% [markdown]
# **Look.** GPT-2 starts from 0.02 in every layer and has no such trouble. What stands between its layers that is missing
# here?
#
# ## layers: what a bend between two layers can do, and what training finds
#
# Two of your layers with a ReLU between them are to become sin 3x. Each hidden unit contributes one kink. Blue: the kinks stand
# at equal distances, and the outer weights are the best ones there are (least squares). That is the promise of the theorem:
# with enough units as near as you like. Orange: training from random weights, 600 steps of Adam, two seeds. The dashed line is
# 64 units *without* the ReLU.

# %%
grid = torch.linspace(-math.pi, math.pi, 256)[:, None]
wave, widths = torch.sin(3 * grid), (4, 8, 16, 32, 64, 128)


def best_error(n_hidden: int) -> float:
    """Root mean square error of the best outer weights for kinks at equal distances."""
    inner = Linear(1, n_hidden, bias=True)
    inner.weight.data.fill_(1.0)
    inner.bias.data.copy_(-torch.linspace(-math.pi, math.pi, n_hidden + 1)[:-1])
    with torch.no_grad():
        hidden = torch.cat([inner(grid).relu(), torch.ones(256, 1)], dim=1).double()
    best = torch.linalg.lstsq(hidden, wave.double()).solution
    return (hidden @ best - wave).square().mean().sqrt().item()


def trained_error(n_hidden: int, seed: int, bend=torch.relu) -> float:
    """Root mean square error after 600 steps of Adam; the kinks start at random places of the interval."""
    torch.manual_seed(seed)
    inner, outer = Linear(1, n_hidden, bias=True), Linear(n_hidden, 1, bias=True)
    inner.weight.data.copy_(torch.randn(n_hidden, 1).sign())
    inner.bias.data.uniform_(-math.pi, math.pi)
    optimizer = torch.optim.Adam([*inner.parameters(), *outer.parameters()], lr=1e-2)
    for _ in range(600):
        error = (outer(bend(inner(grid))) - wave).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return error.sqrt().item()


exists = [best_error(width) for width in widths]
found = [[trained_error(width, seed) for width in widths] for seed in (0, 1)]
no_bend = trained_error(64, 0, bend=lambda x: x)
figure, panel = plt.subplots(figsize=(7.5, 4), layout="constrained")
panel.loglog(widths, exists, "o-", color=BLUE, label="the best outer weights")
for seed, errors in enumerate(found):
    panel.loglog(widths, errors, "s--", color=ORANGE, ms=4, label=None if seed else "what training found")
panel.axhline(no_bend, color="grey", lw=0.8, ls="--")
panel.text(widths[0], no_bend * 1.08, "64 units without a ReLU", color="grey", fontsize=8)
panel.set_xticks(widths, [str(width) for width in widths])
panel.minorticks_off()
panel.set(title="sin 3x by two layers", xlabel="hidden units", ylabel="root mean square error", ylim=(None, 1.2))
panel.legend()
plt.show()
print(f"without a ReLU {no_bend:.2f}; units, best, trained:")
for width, best, *trained in zip(widths, exists, *found, strict=True):
    print(f"{width:4}  {best:.4f}  " + "  ".join(f"{error:.3f}" for error in trained))

# %% [markdown]
# **Look.** By what factor does the blue error fall when the units double? Where would the orange curve have to start to follow it?
#
# ## precision: the grid that numbers live on
#
# Left: all positive numbers of a tiny format with 3 exponent and 2 mantissa bits. Between two powers of two there are
# always four; below the smallest normal number (dashed) the steps stop shrinking. Middle: the step between neighbours,
# relative to the number. Three more bits of exponent reach further, three more bits of mantissa sit closer. Right: a
# thousandth added 6000 times, every sum rounded. At 0.5 the step of bfloat16 is 0.004, so 0.001 rounds away. float16
# does worse than stop: from 2 to 4 its step is 0.002, and every thousandth is rounded *up* to two of them.

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14.5, 4.2), layout="constrained")
tiny = FloatFormat(exponent_bits=3, mantissa_bits=2)
fine = torch.linspace(0, limits(tiny).largest, 20_000, dtype=torch.float64)
left.plot(fine, round_to(fine, tiny), color=BLUE, lw=1.2)
left.plot(fine, fine, ":", color="grey", lw=1)
held = round_to(fine, tiny).unique()
left.plot(held, torch.zeros_like(held) - 0.5, "|", ms=10, color=ORANGE, clip_on=False)
left.axvline(limits(tiny).smallest_normal, color="grey", lw=0.8, ls="--")
left.set(title=f"round_to a format of 6 bits: {len(held)} numbers ≥ 0", xlabel="x", ylabel="rounded", ylim=(-1, 15))

formats = {
    "float32": (FLOAT32, PINK, "-."),
    "float16": (FLOAT16, GREEN, "--"),
    "bfloat16": (BFLOAT16, BLUE, "-"),
}
for name, (layout, colour, style) in formats.items():
    bound = limits(layout)
    exponents = torch.arange(math.log2(bound.smallest_subnormal), math.log2(bound.largest), 2, dtype=torch.float64)
    numbers = 2.0**exponents
    step = numbers.clamp(min=bound.smallest_normal) * bound.epsilon
    middle.loglog(numbers, step / numbers, style, lw=2, color=colour, label=f"{name}: to {bound.largest:.3g}")
middle.set(title="step between neighbours / number", xlabel="number", ylabel="relative step")
middle.legend()

added = 6000
for name, (layout, colour, style) in formats.items():
    total, sums = torch.zeros(1, dtype=torch.float64), []
    for _ in range(added):
        total = round_to(total + 0.001, layout)
        sums.append(total.item())
    right.plot(range(1, added + 1), sums, style, color=colour, label=f"{name}: ends at {sums[-1]:.3f}", lw=2)
right.set(title="0.001 added again and again", xlabel="additions", ylabel="sum")
right.legend()
plt.show()

# %% [markdown]
# **Look.** The right picture is why weights are kept in float32: the update of a weight of size 1 by a learning rate of
# 0.001 is just such a sum. At which number does the blue line stop, and why exactly there?
#
# ## precision: what loss scaling saves
#
# The gradients of a stack of six layers, by size. In float16 everything left of the grey line becomes 0, and in the hatched
# region only some bits are left. Multiplying the *loss* by 2¹⁶ moves the whole hill by 16 places to the right before
# anything is rounded.

# %%
seed_everything(0)
stack = torch.nn.Sequential(*[torch.nn.Sequential(Linear(64, 64), torch.nn.Tanh()) for _ in range(6)])
out = stack(torch.randn(256, 64))
(1e-4 * out.square().mean()).backward()
gradients = torch.cat([p.grad.flatten() for p in stack.parameters()]).double()
figure, panel = plt.subplots(figsize=(10, 4), layout="constrained")
bound = limits(FLOAT16)
for scale, colour, name in ((1.0, ORANGE, "as they are"), (2.0**16, BLUE, "loss × 2¹⁶")):
    lost = (round_to(gradients * scale, FLOAT16) == 0).double().mean()
    exponents = (gradients * scale).abs().clamp(min=2.0**-48).log2()
    panel.hist(exponents.numpy(), bins=120, range=(-45, 17), color=colour, alpha=0.6, label=f"{name}: {lost:.1%} become 0")
panel.axvline(math.log2(bound.smallest_subnormal) - 1, color="grey")
panel.axvspan(-25, math.log2(bound.smallest_normal), facecolor="none", edgecolor="grey", hatch="//", alpha=0.3)
panel.axvline(math.log2(bound.largest), color="grey")
for position, text in ((-25.3, "0"), (-14.3, "subnormal"), (15.7, "largest")):
    panel.text(position, panel.get_ylim()[1] * 0.93, text, ha="right", color="grey")
panel.set(title="gradients of six layers in float16", xlabel="log₂ of their size", ylabel="how many")
panel.legend(loc="center left")
plt.show()

# %% [markdown]
# **Try.** By how much could this loss be scaled before the first gradient overflows? And in bfloat16, is there anything
# to save?
#
# ## profiling: where operations and bytes go
#
# Left: operations of one forward pass per token, GPT-2 small (12 layers, width 768) at growing context. Everything but
# attention costs the same per token, whatever the context. Middle: bytes that autograd keeps for one attention head of
# width 64, measured by `activation_bytes`: the (seq_len × seq_len) matrices take over. Right: what one billion parameters
# need from step to step.

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14.5, 4.2), layout="constrained")
contexts = [2**k for k in range(7, 18)]
counts = [forward_flops(1, seq_len, 768, 12, 50257) for seq_len in contexts]
for part, colour, marker in (("attention", ORANGE, "^"), ("mlp", BLUE, "o"), ("projections", GREEN, "s"), ("head", PINK, "v")):
    perf = [count[part] / seq_len for count, seq_len in zip(counts, contexts, strict=True)]
    left.loglog(contexts, perf, "-", marker=marker, ms=3.5, color=colour, label=part)
cross = 8 * 768 * 768 * 2 / (4 * 768)  # where 4 · seq_len · d = 16 · d²
left.axvline(cross, color="grey", lw=0.8)
left.text(cross * 1.15, 7e6, f"attention = MLP\nat {cross:.0f} = 4 · d", color="grey", fontsize=8)
left.set(title="operations per token and forward pass, GPT-2 small", xlabel="context length", ylabel="operations")
left.legend(fontsize=8, loc="upper left")

lengths = [2**k for k in range(5, 11)]
kept = {}
for seq_len in lengths:
    q, k, v = (torch.randn(seq_len, 64, requires_grad=True) for _ in range(3))
    kept[seq_len] = activation_bytes(lambda q=q, k=k, v=v: softmax(q @ k.mT / 8) @ v, [q, k, v])
middle.loglog(lengths, list(kept.values()), "o-", color=BLUE, label="kept for the backward pass")
middle.loglog(lengths, [3 * 64 * 4 * seq_len for seq_len in lengths], "s--", color=GREEN, label="queries, keys and values")
middle.loglog(lengths, [4 * seq_len**2 for seq_len in lengths], ":", color="grey", label="one (seq_len × seq_len) matrix")
middle.set(title="bytes of one attention head, float32", xlabel="context length", ylabel="bytes")
middle.legend(fontsize=8)

recipes = {
    "float32,\nAdamW": state_bytes(10**9),
    "bfloat16 +\nmaster, AdamW": state_bytes(10**9, torch.bfloat16, torch.bfloat16),
    "bfloat16 +\nmaster, momentum": state_bytes(10**9, torch.bfloat16, torch.bfloat16, moments=1),
    "float32,\nplain SGD": state_bytes(10**9, moments=0),
}
bottom = [0.0] * len(recipes)
for part, colour, hatch in (("weights", BLUE, ""), ("gradients", GREEN, "//"), ("optimiser", ORANGE, "..")):
    heights = [recipe[part] / 1e9 for recipe in recipes.values()]
    right.bar(list(recipes), heights, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", label=part)
    bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
for position, height in enumerate(bottom):
    right.text(position, height + 0.2, f"{height:.0f} GB", ha="center")
right.set(title="one billion parameters, from step to step", ylabel="GB", ylim=(0, 19))
right.tick_params(axis="x", labelsize=7)
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# **Look.** How many (seq_len × seq_len) matrices does autograd keep for *your* softmax? Which of them could be computed again in
# place of being kept?
#
# ## profiling: why there is a warm-up
#
# One function in bfloat16, called forty times from the very first, when kernels for these shapes are still to be made.
# Where does the mean lie, and where the median?

# %%
layers = torch.nn.Sequential(Linear(300, 1200), torch.nn.ReLU(), Linear(1200, 300))
batch = torch.randn(64, 300)


def forward_backward() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        out = layers(batch)
    out.float().sum().backward()


timing = time_it(forward_backward, repeats=40, warm_up=0)
milliseconds = [1e3 * s for s in timing.seconds]
figure, panel = plt.subplots(figsize=(8, 3.6), layout="constrained")
panel.semilogy(range(1, 41), milliseconds, "o", ms=4, color=BLUE)
panel.axhline(1e3 * timing.median, color=BLUE, lw=1, label=f"median {1e3 * timing.median:.2f} ms")
panel.axhline(sum(milliseconds) / 40, color=ORANGE, lw=1, ls="--", label=f"mean {sum(milliseconds) / 40:.2f} ms")
panel.set(title="forward and backward of two layers, call by call", xlabel="call", ylabel="milliseconds")
panel.legend()
plt.show()
