"""These are wrong versions of parts of schedule.py, one mistake each. A docstring is the hint that a student reads."""

import math

from tools.author.cases import misconception


def check_schedule(step, n_steps, warmup):
    """The argument checks of learning_rate; the warm-up."""
    warmup = n_steps // 10 if warmup is None else warmup
    if step < 1 or not 0 <= warmup <= n_steps:
        raise ValueError("no such step or warm-up")
    return warmup


@misconception("schedule.learning_rate", pitfall=1, ask="What is the rate of the very first update?")
def warm_up_starts_at_the_peak(step, n_steps, peak, warmup=None, final_share=0.1):
    """There is no warm-up: the first updates are taken at the peak, when the running means know least."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=1, ask="What does an update with a rate of 0 change?")
def warm_up_starts_at_zero(step, n_steps, peak, warmup=None, final_share=0.1):
    """Steps are taken to count from 0, so the first update is lost, and all others come one late."""
    warmup = check_schedule(step, n_steps, warmup)
    step = step - 1
    if step < warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=2, ask="Where does the rate end, and where does 1 + cos π?")
def cosine_to_zero(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine falls to 0 and not to the final share of the peak."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=2, ask="What is max(f, cos) at the end, and what before?")
def cosine_cut_off_at_the_bottom(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine runs to 0 and is cut off at the final share, so the rate arrives there early."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return peak * max(final_share, (1 + math.cos(math.pi * progress)) / 2)


@misconception("schedule.learning_rate", pitfall=3, ask="How far has the cosine come at the end of the warm-up?")
def cosine_counts_the_warm_up(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine runs over all steps, warm-up included, so the rate jumps where the two meet."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * min(1.0, step / n_steps))) / 2


@misconception("schedule.learning_rate", pitfall=3, ask="Where is the cosine at 2π?")
def rate_rises_again_after_the_end(step, n_steps, peak, warmup=None, final_share=0.1):
    """Beyond the last step the cosine rises again."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = (step - warmup) / max(1, n_steps - warmup)
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2
