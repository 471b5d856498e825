"""Checks of schedule.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import all_of, matches_reference, part, refusal, same, satisfies


def rates(solution, first, last, *settings, **named):
    """Rates of the updates first … last, in float64."""
    return torch.tensor(
        [solution.schedule.learning_rate(step, *settings, **named) for step in range(first, last + 1)], dtype=torch.float64
    )


@part("schedule.learning_rate")
@weight(2)
@matches_reference
def test_rate_rises_in_a_line_and_falls_along_a_cosine(solution, draw):
    """A tenth of the updates warms up; from the peak the rate falls along half a cosine to a tenth of it."""
    return {"rates": rates(solution, 1, 40, 40, 0.3)}


@part("schedule.learning_rate")
@weight(1)
@satisfies(
    all_of(same("first", "share of the peak"), same("last of warm-up", "peak"), same("end", "tenth"), same("after", "tenth"))
)
def test_corners_of_the_schedule(solution, draw):
    """First update peak / warmup, last one of the warm-up the peak, last of all a tenth of it; there it stays."""
    rate = lambda step: solution.schedule.learning_rate(step, 100, 2.0, warmup=8)
    return {
        "first": rate(1),
        "share of the peak": 0.25,
        "last of warm-up": rate(8),
        "peak": 2.0,
        "end": rate(100),
        "tenth": 0.2,
        "after": rate(250),
    }


@part("schedule.learning_rate")
@weight(2)
@matches_reference
def test_other_warm_ups_and_ends(solution, draw):
    """No warm-up, a warm-up until the end, fewer updates than ten, and another final share."""
    return {
        "no warm-up": rates(solution, 1, 6, 5, 1.0, warmup=0),
        "all warm-up": rates(solution, 1, 6, 5, 1.0, warmup=5),
        "short": rates(solution, 1, 4, 4, 0.5),
        "fraction of ten": rates(solution, 1, 19, 19, 0.5),
        "to zero": rates(solution, 1, 12, 10, 1.0, 3, 0.0),
        "to a half": rates(solution, 1, 12, 10, 1.0, warmup=2, final_share=0.5),
    }


@part("schedule.learning_rate")
@weight(1)
@matches_reference
def test_steps_that_are_none_are_refused(solution, draw):
    """Updates count from 1, and a warm-up that is negative or longer than the training is a ValueError."""
    rate = solution.schedule.learning_rate
    return {
        "step 0": refusal(lambda: rate(0, 10, 1.0)),
        "long warm-up": refusal(lambda: rate(1, 10, 1.0, warmup=11)),
        "negative warm-up": refusal(lambda: rate(1, 10, 1.0, warmup=-1)),
        "one update": [rate(step, 1, 0.7) for step in (1, 2)],
    }
