"""Checks of schedule.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import all_of, matches_reference, part, refusal, same, satisfies


def rates(solution, first, last, *settings, **named):
    """Rates of the updates first … last, in float64."""
    return torch.tensor(
        [solution.schedule.learning_rate(step, *settings, **named) for step in range(first, last + 1)], dtype=torch.float64
    )


def drawn_peak(draw):
    """A peak rate."""
    return draw.uniform(0.2, 2.0).item()


@part("schedule.learning_rate")
@weight(2)
@matches_reference
def test_rate_rises_in_a_line_and_falls_along_a_cosine(solution, draw):
    """A tenth of the updates warms up; from the peak the rate falls along half a cosine to a tenth of it."""
    return {"rates": rates(solution, 1, 40, 40, drawn_peak(draw))}


@part("schedule.learning_rate")
@weight(1)
@satisfies(
    all_of(same("first", "share of the peak"), same("last of warm-up", "peak"), same("end", "tenth"), same("after", "tenth"))
)
def test_corners_of_the_schedule(solution, draw):
    """First update peak / warmup, last one of the warm-up the peak, last of all a tenth of it; there it stays."""
    peak = drawn_peak(draw)
    rate = lambda step: solution.schedule.learning_rate(step, 100, peak, warmup=8)
    return {
        "first": rate(1),
        "share of the peak": peak / 8,
        "last of warm-up": rate(8),
        "peak": peak,
        "end": rate(100),
        "tenth": peak / 10,
        "after": rate(250),
    }


@part("schedule.learning_rate")
@weight(2)
@matches_reference
def test_other_warm_ups_and_ends(solution, draw):
    """No warm-up, a warm-up until the end, fewer updates than ten, and another final share."""
    peak = drawn_peak(draw)
    return {
        "no warm-up": rates(solution, 1, 6, 5, peak, warmup=0),
        "all warm-up": rates(solution, 1, 6, 5, peak, warmup=5),
        "short": rates(solution, 1, 4, 4, peak / 2),
        "fraction of ten": rates(solution, 1, 19, 19, peak / 2),
        "to zero": rates(solution, 1, 12, 10, peak, 3, 0.0),
        "to a half": rates(solution, 1, 12, 10, peak, warmup=2, final_share=0.5),
    }


@part("schedule.learning_rate")
@weight(1)
@matches_reference
def test_steps_that_are_none_are_refused(solution, draw):
    """Updates count from 1, and a warm-up that is negative or longer than the training is a ValueError."""
    rate, peak = solution.schedule.learning_rate, drawn_peak(draw)
    return {
        "step 0": refusal(lambda: rate(0, 10, 1.0)),
        "long warm-up": refusal(lambda: rate(1, 10, 1.0, warmup=11)),
        "negative warm-up": refusal(lambda: rate(1, 10, 1.0, warmup=-1)),
        "one update": [rate(step, 1, peak) for step in (1, 2)],
    }
