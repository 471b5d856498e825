"""The learning rate of each update: up in a line, down along half a cosine.

Left out: restarts, and warm-up–stable–decay, which a later assignment sets beside it.
Source: warm-up: Goyal et al., arXiv:1706.02677, §2.2; cosine: Loshchilov and Hutter, SGDR, arXiv:1608.03983, §3.
"""

import math


def learning_rate(step: int, n_steps: int, peak: float, warmup: int | None = None, final_share: float = 0.1) -> float:
    """The learning rate of update number `step`; they count from 1 to n_steps.

    The first `warmup` updates rise in a line, peak / warmup for the first and peak for the last of them. From there the rate falls
    along half a cosine to final_share · peak at the last update, where it stays if training goes on. warmup: default n_steps // 10;
    with 0 the fall begins at once. ValueError if step < 1, or warmup is not in 0 … n_steps.
    """
    warmup = n_steps // 10 if warmup is None else warmup
    if step < 1 or not 0 <= warmup <= n_steps:
        raise ValueError(f"needed: step ≥ 1 and warmup in 0 … n_steps; got step {step}, n_steps {n_steps}, warmup {warmup}")
    # TODO: the rate (handout: schedule).
    # Watch: the first update has a rate above 0 and below the peak; cosine runs from 1 to −1; where does it end?
    raise NotImplementedError("a02_training/schedule.py: learning_rate() is yours to write (handout: schedule)")
