"""The learning rate of each update: linear warm-up, then half a cosine."""

import numpy as np


def learning_rate(step: int, n_steps: int, peak: float, warmup: int | None = None, final_share: float = 0.1) -> float:
    """The learning rate of update number `step`. Updates count from 1.

    ValueError: step is below 1, or warmup is not in 0 … n_steps.
    """
    rise = n_steps // 10 if warmup is None else warmup
    if step < 1 or rise < 0 or rise > n_steps:
        raise ValueError(f"needed: step ≥ 1 and warmup in 0 … n_steps; got {step}, {rise}, {n_steps}")
    angle = np.interp(step, [rise, max(n_steps, rise + 1)], [0, np.pi / 2])
    fall = final_share + (1 - final_share) * np.cos(angle) ** 2
    return float(peak * (fall if step > rise else step / rise))
