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
# # A look at the temperature
#
# A picture of your own code at work. Change a number, run the cell again, and see whether you guessed right.

# %%
import matplotlib.pyplot as plt
import torch

from aNN_name.distill import distillation_loss, softmax_with_temperature

torch.set_num_threads(1)
torch.manual_seed(0)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # told apart by every kind of colour vision
plt.rcParams.update({"figure.dpi": 110, "axes.titlesize": 10, "axes.grid": True, "axes.axisbelow": True, "grid.alpha": 0.25})

# %% [markdown]
# ## distill: what a temperature shows, and what T² is for
#
# Left: one row of four logits at more and more temperatures. Where do the small probabilities become visible? Where does
# the order of the classes get lost? Right: the length of the gradient that a student gets, with T² as in your loss and
# without it. Which of the two would make you choose the learning rate anew for every temperature?

# %%
temperatures = torch.logspace(-1, 2, 61).tolist()
row = torch.tensor([4.0, 3.0, 1.0, -2.0])
probs = torch.stack([softmax_with_temperature(row, temperature) for temperature in temperatures])

student, teacher = torch.randn(64, 10, requires_grad=True), 3 * torch.randn(64, 10)
lengths = []
for temperature in temperatures:
    [gradient] = torch.autograd.grad(distillation_loss(student, teacher, temperature), student)
    lengths.append(gradient.norm().item())

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
for column, color in enumerate((BLUE, ORANGE, GREEN, GREY)):
    left.plot(temperatures, probs[:, column], color=color, label=f"logit {row[column]:g}")
left.set(title="one row of four classes", xlabel="temperature", ylabel="probability", xscale="log")
left.legend()
right.plot(temperatures, lengths, color=BLUE, label="with T²")
without = [length / temperature**2 for length, temperature in zip(lengths, temperatures, strict=True)]
right.plot(temperatures, without, "--", color=ORANGE, label="without")
right.set(title="length of the student's gradient", xlabel="temperature", xscale="log", yscale="log")
right.legend()
plt.show()
