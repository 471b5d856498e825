"""Your first parts at work: gradients checked, a classifier trained in 16 bits, its speed and its bytes: `python -m a00_foundations.demo`.

A network of your Embedding and Linear learns to name the middle one of three digits, once in each number format. Some 5 seconds on one core.
"""

import math
import sys
import time

import torch
from torch import Tensor, nn

DIGITS, STEPS, BATCH_SIZE = 10, 300, 128
FORMATS = (torch.float32, torch.bfloat16, torch.float16)


def triples(device: torch.device) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """All 1000 triples of digits and their medians, shuffled: 800 to learn from, 200 that are never seen."""
    every = torch.cartesian_prod(*[torch.arange(DIGITS)] * 3)[torch.randperm(1000)].to(device)
    middle = every.median(dim=1).values
    return (every[:800], middle[:800]), (every[800:], middle[800:])


def network(width: int) -> nn.Module:
    """Three digits, each a row of the table; two linear layers make a score for every digit."""
    from .layers import Embedding, Linear

    return nn.Sequential(
        Embedding(DIGITS, width // 4),
        nn.Flatten(),
        Linear(3 * (width // 4), width, bias=True, init="kaiming"),
        nn.ReLU(),
        Linear(width, DIGITS),
    )


def check_gradients() -> bool:
    """Every part against central differences, and one wrong gradient for comparison."""
    from . import layers, numerics

    class Forgetful(torch.autograd.Function):
        """x², whose author forgot the 2 in its gradient."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.square()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x, tokens = torch.randn(4, 6, dtype=torch.float64), torch.tensor([[3, 0], [3, 1]])
    linear, table = layers.Linear(6, 5, bias=True).double(), layers.Embedding(4, 3).double()
    names = ["weight", "bias"]
    call = lambda module, x, **parameters: torch.func.functional_call(module, parameters, (x,)).sin().sum()
    parts = {
        "softmax": (lambda x: numerics.softmax(x).square().sum(), (x,)),
        "logsumexp": (lambda x: numerics.logsumexp(x).sin().sum(), (x,)),
        "log_softmax": (lambda x: numerics.log_softmax(x).sin().sum(), (x,)),
        "cross_entropy": (lambda x: numerics.cross_entropy(x, torch.tensor([0, 5, 2, 2])), (1e3 * x,)),
        "Linear": (lambda x, w, b: call(linear, x, **dict(zip(names, (w, b), strict=True))), (x, linear.weight, linear.bias)),
        "Embedding": (lambda w: call(table, tokens, weight=w), (table.weight,)),
        "x², with a bug": (lambda x: Forgetful.apply(x).sum(), (x,)),
    }
    print("\n part                  gradients lie apart by")
    errors = {name: numerics.gradient_check(function, inputs) for name, (function, inputs) in parts.items()}
    for name, error in errors.items():
        print(f" {name:20}  {error:8.1e}   {'right' if error < 1e-6 else 'wrong'}")
    return [error < 1e-6 for error in errors.values()] == [True] * 6 + [False]


def train(dtype: torch.dtype, device: torch.device) -> tuple[float, float, list[int], float]:
    """Loss at the end, fraction of unseen triples that come out right, the steps that were skipped, and the last scale."""
    from .device import seed_everything
    from .numerics import cross_entropy
    from .precision import LossScaler, mixed_precision_step

    seed_everything(0)
    (inputs, targets), (test_inputs, test_targets) = triples(device)
    model = network(128).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    # Far too large on purpose: in float16 gradients overflow, and the scale has to come down first.
    scaler = LossScaler(scale=2.0**24) if dtype is torch.float16 else LossScaler(scale=1.0)
    skipped = []
    for number in range(STEPS):
        indices = torch.randint(len(inputs), (BATCH_SIZE,)).to(device)
        step = mixed_precision_step(
            model, lambda: cross_entropy(model(inputs[indices]), targets[indices]), optimizer, scaler, dtype
        )
        if step.skipped:
            skipped.append(number)
    with torch.no_grad():
        accuracy = (model(test_inputs).argmax(1) == test_targets).double().mean().item()
    return step.loss, accuracy, skipped, scaler.scale


def measure(device: torch.device) -> None:
    """Seconds, share of peak and bytes of a training step, for a narrow and a wide network."""
    from .numerics import cross_entropy
    from .precision import activation_bytes, state_bytes
    from .profiling import matmul_rate, peak_memory, share_of_peak, synchroniser, time_it, training_flops

    peak = matmul_rate(device=device)
    print(
        f"\nOne large float32 matrix product runs at {peak / 1e9:.0f} GFLOP/s here; the step of a network with batch size {BATCH_SIZE}:\n"
    )
    print(" width   parameters   per step    share of that    weights + gradients + AdamW   activations    peak of a step")
    for width in (128, 2048):
        model, (x, y) = network(width).to(device), triples(device)[0]
        x, y, matrices = x[:BATCH_SIZE], y[:BATCH_SIZE], [p for p in model.parameters() if p.ndim == 2][1:]  # but for the table

        def step(model=model, x=x, y=y) -> None:
            cross_entropy(model(x), y).backward()
            model.zero_grad()

        timing = time_it(step, repeats=20, synchronise=synchroniser(device))
        flops = training_flops(sum(2 * BATCH_SIZE * matrix.numel() for matrix in matrices))
        n = sum(p.numel() for p in model.parameters())
        kept = activation_bytes(lambda model=model, x=x, y=y: cross_entropy(model(x), y), [*model.parameters(), x, y])
        kilobytes = [sum(state_bytes(n).values()) / 1e3, kept / 1e3, peak_memory(step, device) / 1e3]
        print(f" {width:5}   {n:10,}   {timing.median * 1e3:5.2f} ms   {share_of_peak(flops, timing.median, peak):13.0%}    "
              "{:24,.0f} kB   {:8,.0f} kB    {:11,.0f} kB".format(*kilobytes))  # fmt: skip


def main() -> int:
    # Imported here, so that a module that is not there yet gets the friendly message below.
    from .device import autocast_dtype, pick_device, seed_everything

    torch.set_num_threads(1)
    start = time.perf_counter()
    device = pick_device()
    seed_everything(0)
    print(f"Computing on {device}, where autocast would use {autocast_dtype(device)}.")
    gradients = check_gradients()
    print(
        f"\nThe middle one of three digits, {STEPS} steps in each format (200 triples never seen; the best guess is right in 15 %)\n"
    )
    print(" format      last loss   unseen ones right   steps skipped   loss scale at the end")
    accuracies = []
    for dtype in FORMATS:
        loss, accuracy, skipped, scale = train(dtype, device)
        accuracies.append(accuracy)
        scale = f"2^{math.log2(scale):.0f}"
        print(f" {str(dtype)[6:]:10}  {loss:9.4f}   {accuracy:17.1%}   {len(skipped):13}   {scale:>21}")
    first, again = (train(torch.bfloat16, device)[0] for _ in range(2))
    print(f"\nTwo more bfloat16 runs with the same seed end at {first!r} and {again!r}.")
    measure(device)
    print(f"\n{time.perf_counter() - start:.0f} s")
    return 0 if gradients and min(accuracies) > 0.9 and first == again else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=a00` checks it) and run the demo again.")
        sys.exit(1)
