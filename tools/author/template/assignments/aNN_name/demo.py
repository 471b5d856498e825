"""A student that learns from a teacher, to watch: `python -m aNN_name.demo`. Two seconds on one core.

Points of a plane belong to three classes, and the teacher is a linear model that knows where the borders are. Two students of
the same kind see twelve points each. One is told the teacher's answers, and the other its probabilities.
"""

import sys

import torch
from torch import Tensor

N_POINTS, N_CLASSES, STEPS, RATE = 12, 3, 2000, 0.5
TEMPERATURE = 2.0


def train(points: Tensor, target: Tensor) -> Tensor:
    """Weights (2, classes) of a student that was trained by gradient descent on the teacher's logits `target`."""
    from .distill import distillation_loss

    weights = torch.zeros(2, N_CLASSES, requires_grad=True)
    for _ in range(STEPS):
        loss = distillation_loss(points @ weights, target, TEMPERATURE)
        [gradient] = torch.autograd.grad(loss, weights)
        weights = (weights - RATE * gradient).detach().requires_grad_()
    return weights.detach()


def main() -> int:
    from .distill import softmax_with_temperature

    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher = torch.tensor([[2.0, -1.0, -1.0], [0.0, 1.7, -1.7]])
    seen, unseen = torch.randn(N_POINTS, 2), torch.randn(2000, 2)
    logits, answers = seen @ teacher, (unseen @ teacher).argmax(-1)
    for temperature in (0.5, TEMPERATURE, 8.0):
        row = "  ".join(f"{p:.3f}" for p in softmax_with_temperature(logits[0], temperature).tolist())
        print(f"what the teacher says of the first point at temperature {temperature:3g}:  {row}")
    certain = 40.0 * torch.nn.functional.one_hot(logits.argmax(-1), N_CLASSES).float()  # the answer, and nothing else
    shares = {}
    for name, target in {"its answers": certain, "its probabilities": logits}.items():
        shares[name] = ((unseen @ train(seen, target)).argmax(-1) == answers).double().mean().item()
        print(f"a student of {name:17} agrees with it on {shares[name]:.1%} of {len(unseen):,} points that it has not seen")
    return 0 if shares["its probabilities"] > max(shares["its answers"], 0.99) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=aNN` checks it) and run the demo again.")
        sys.exit(1)
