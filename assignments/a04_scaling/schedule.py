"""Warm-up, stable, decay, a scheduler with a state, and parameter groups that say which parameters decay.

Unlike a cosine, the stable phase does not know where training ends: decay can begin at any step, and from any checkpoint.
Left out: restarts, and rates of their own for single groups.
Source: WSD: Hu et al., MiniCPM, arXiv:2404.06395, §4; 1 − √x: Hägele et al., arXiv:2405.18392, §3.
"""

import math
from collections.abc import Callable, Sequence

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
    """The learning rate of update number `step`. Updates count from 1 to n_steps.

    The first `warmup` updates rise in a line, from peak / warmup to peak. The last `decay` updates fall from the peak to
    final_share · peak. The last update has that rate, and so have all that may follow it. Between both phases the rate is the peak.

    warmup: number of updates; n_steps // 10 by default.
    decay: number of updates; n_steps // 5 by default.
    shape: how the rate falls with x, the share of the decay that is done: "linear" as 1 − x, "sqrt" as 1 − √x. The last update
        has x = 1.
    ValueError: step is less than 1, the phases do not fit into n_steps, or the shape is another one.
    """
    warmup = n_steps // 10 if warmup is None else warmup
    decay = n_steps // 5 if decay is None else decay
    if step < 1 or min(warmup, decay) < 0 or warmup + decay > n_steps:
        raise ValueError(f"needed: step ≥ 1 and 0 ≤ warmup + decay ≤ n_steps; got {step}, {warmup} + {decay}, {n_steps}")
    if shape not in ("linear", "sqrt"):
        raise ValueError(f'shape must be "linear" or "sqrt"; got {shape!r}')
    # TODO: the rate (handout: schedule, step 1).
    # Watch: the first update of the decay is already below the peak; where it ends; no decay at all.
    raise NotImplementedError("a04_scaling/schedule.py: warmup_stable_decay() is yours to write (handout: schedule, step 1)")


class Scheduler:
    """Sets the learning rate of an optimiser before each update, in all its groups, and can be saved.

    lr_at: gives the learning rate of an update from its number, which counts from 1.
    `done`: how many updates there were. It is 0 at the start, when the learning rate of the first update is already set.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, lr_at: Callable[[int], float]):
        self.optimizer, self.lr_at, self.done = optimizer, lr_at, 0
        self._set()

    def step(self) -> None:
        """Count an update that is done, and set the learning rate of the next one."""
        # TODO: count, and set (handout: schedule, step 2).
        raise NotImplementedError("a04_scaling/schedule.py: Scheduler.step() is yours to write (handout: schedule, step 2)")

    def state_dict(self) -> dict[str, int]:
        """{"done": …}. The rule itself is code, and is not saved."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after as many updates as the state says. The learning rate of the next one is set at once."""
        # TODO: the state (handout: schedule, step 2).
        # Watch: the optimiser may be a new one, with the learning rate that it was made with.
        raise NotImplementedError(
            "a04_scaling/schedule.py: Scheduler.load_state_dict() is yours to write (handout: schedule, step 2)"
        )

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_at(self.done + 1)


def groups(model: nn.Module, weight_decay: float, exempt: Sequence[str] = ("embedding", "positions")) -> list[dict]:
    """Two parameter groups for an optimiser: matrices, with this weight decay, and the rest, with weight decay 0.

    [{"params": […], "names": […], "weight_decay": weight_decay}, {…, "weight_decay": 0.0}]. A parameter decays if it has two axes or
    more and none of its names holds a text of `exempt`. A shared parameter has several names: a tied head is an embedding too.
    Each parameter that is trained stands in one group, once, in the order of `model.named_parameters()` and under its first name.
    """
    # TODO: two lists (handout: schedule, step 3).
    # Watch: named_parameters leaves out the second name of a shared parameter unless told otherwise; frozen ones.
    raise NotImplementedError("a04_scaling/schedule.py: groups() is yours to write (handout: schedule, step 3)")
