"""Warm-up, stable, decay; a scheduler with a state; and groups that say which parameters decay.

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
    """The learning rate of update number `step`; they count from 1 to n_steps.

    The first `warmup` updates rise in a line, from peak / warmup to peak. The last `decay` updates fall from the peak to
    final_share · peak, which the last one has and all that may follow it. Between them the rate is the peak. shape: how it falls
    with x, the share of the decay that is done (1 at the last update): "linear" as 1 − x, "sqrt" as 1 − √x. Defaults: n_steps // 10
    for the warm-up, n_steps // 5 for the decay. ValueError for step < 1, phases that do not fit into n_steps, or another shape.
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

    rate: from the number of an update (from 1) to its learning rate. `done`: how many updates there were; 0 at the start, when
    the rate of the first one is already set.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rate: Callable[[int], float]):
        self.optimizer, self.rate, self.done = optimizer, rate, 0
        self._set()

    def step(self) -> None:
        """An update is done: set the rate of the next one."""
        # TODO: count, and set (handout: schedule, step 2).
        raise NotImplementedError("a04_scaling/schedule.py: Scheduler.step() is yours to write (handout: schedule, step 2)")

    def state_dict(self) -> dict[str, int]:
        """{"done": …}; the rule itself is code, and not saved."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after as many updates as the state says; the rate of the next one is set at once."""
        # TODO: the state (handout: schedule, step 2).
        # Watch: the optimiser may be a new one, with the rate that it was made with.
        raise NotImplementedError(
            "a04_scaling/schedule.py: Scheduler.load_state_dict() is yours to write (handout: schedule, step 2)"
        )

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.done + 1)


def groups(model: nn.Module, weight_decay: float, exempt: Sequence[str] = ("embedding", "positions")) -> list[dict]:
    """Two groups for an optimiser: matrices, with this decay, and the rest, with decay 0.

    [{"params": […], "names": […], "weight_decay": weight_decay}, {…, "weight_decay": 0.0}]. A parameter decays if it has two axes or
    more and none of its names holds a text of `exempt`; one that is shared has several names (a tied head is an embedding too).
    Each parameter that is trained stands in one group, once, in the order of `model.named_parameters()` and under its first name.
    """
    # TODO: two lists (handout: schedule, step 3).
    # Watch: named_parameters leaves out the second name of a shared parameter unless told otherwise; frozen ones.
    raise NotImplementedError("a04_scaling/schedule.py: groups() is yours to write (handout: schedule, step 3)")
