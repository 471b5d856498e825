"""These are other right versions of parts of schedule.py. The tolerances allow for all of these routes."""

import math

from tools.author.cases import alternate


@alternate("schedule.learning_rate")
def rate_by_square_of_the_half_angle(step, n_steps, peak, warmup=None, final_share=0.1):
    """cos²(φ/2) is (1 + cos φ)/2."""
    if warmup is None:
        warmup = n_steps // 10
    if step < 1 or warmup < 0 or warmup > n_steps:
        raise ValueError("no such step")
    if warmup and step <= warmup:
        return step / warmup * peak
    if step >= n_steps:
        return peak * final_share
    angle = math.pi / 2 * (step - warmup) / (n_steps - warmup)
    return peak * (final_share + (1 - final_share) * math.cos(angle) ** 2)
