"""Warm-up, stable, decay by interpolation, a scheduler, and parameter groups."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn


def warmup_stable_decay(
    step: int,
    n_steps: int,
    peak: float,
    warmup: int | None = None,
    decay: int | None = None,
    final_share: float = 0.0,
    shape: str = "linear",
) -> float:
    """The learning rate of update number `step`. Updates count from 1.

    shape: how the rate falls in the decay, "linear" or "sqrt".
    ValueError: step is less than 1, the phases do not fit into n_steps, or the shape is another one.
    """
    up = n_steps // 10 if warmup is None else warmup
    down = n_steps // 5 if decay is None else decay
    bend = {"linear": 1.0, "sqrt": 0.5}.get(shape)
    if bend is None:
        raise ValueError(f'shape must be "linear" or "sqrt"; got {shape!r}')
    if step < 1 or up < 0 or down < 0 or n_steps < up + down:
        raise ValueError(f"needed: step ≥ 1 and 0 ≤ warmup + decay ≤ n_steps; got {step}, {up} + {down}, {n_steps}")
    rise = np.clip(step / up if up else 1, 0, 1)
    if step <= up or (step <= n_steps and not down):
        return float(peak * rise)
    fallen = np.clip((step - n_steps + down) / max(down, 1), 0, 1) ** bend
    return float(peak * (1 - fallen * (1 - final_share)))


class Scheduler:
    """Sets the learning rate of the next update in all groups of an optimiser.

    lr_at: gives the learning rate of an update from its number, which counts from 1.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, lr_at: Callable[[int], float]):
        self.optimizer, self.lr_at = optimizer, lr_at
        self.load_state_dict({"done": 0})

    def step(self) -> None:
        """Count an update that is done, and set the learning rate of the next one."""
        self.load_state_dict({"done": self.done + 1})

    def state_dict(self) -> dict[str, int]:
        """{"done": how many updates are done}."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after as many updates as the state says. KeyError: the state is not that of a scheduler."""
        self.done = state["done"]
        for group in self.optimizer.param_groups:
            group.update(lr=self.lr_at(1 + self.done))


def groups(model: nn.Module, weight_decay: float, exempt: Sequence[str] = ("embedding", "positions")) -> list[dict]:
    """Two parameter groups for an optimiser: matrices that decay, and the rest.

    exempt: a parameter does not decay if one of its names holds one of these texts.
    """
    exempted = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if any(map(name.count, exempt))}
    found = [{"params": [], "names": [], "weight_decay": amount} for amount in (weight_decay, 0.0)]
    for name, p in model.named_parameters():
        if p.requires_grad:
            group = found[p.dim() < 2 or id(p) in exempted]
            group["params"].append(p)
            group["names"].append(name)
    return found
