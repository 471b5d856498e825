"""Checks of schedule.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import all_of, matches_reference, needs, part, refusal, same, satisfies


def rates(solution, last, *settings, **named):
    """Learning rates of the updates 1 … last, in float64."""
    rate = solution.schedule.warmup_stable_decay
    return torch.tensor([rate(step, *settings, **named) for step in range(1, last + 1)], dtype=torch.float64)


def drawn_peak(draw):
    """A peak rate."""
    return draw.uniform(0.2, 2.0).item()


@part("schedule.warmup_stable_decay")
@weight(1)
@matches_reference
def test_rate_rises_stays_and_falls(solution, draw):
    """A line up, the peak, and a fall of either shape to the share that is asked for, where it stays."""
    peak = drawn_peak(draw)
    return {
        "linear": rates(solution, 35, 30, peak / 4, 5, 8),
        "root": rates(solution, 35, 30, peak / 4, 5, 8, shape="sqrt"),
        "to a tenth": rates(solution, 23, 20, 2 * peak, 4, 10, 0.1),
        "root to a half": rates(solution, 23, 20, 2 * peak, 4, 10, final_share=0.5, shape="sqrt"),
        "defaults": rates(solution, 42, 40, peak),
    }


@part("schedule.warmup_stable_decay")
@weight(1)
@satisfies(
    all_of(
        *(
            same(name, f"{name}, by hand")
            for name in ("first", "end of warm-up", "last at the peak", "first below", "last", "after")
        )
    )
)
def test_corners_of_the_schedule(solution, draw):
    """Update W has the peak and so has S − D; S − D + 1 is the first below it, and S is at the final share."""
    peak = drawn_peak(draw)
    rate = lambda step: solution.schedule.warmup_stable_decay(step, 100, peak, warmup=10, decay=20, final_share=0.1)
    found = {"first": 1, "end of warm-up": 10, "last at the peak": 80, "first below": 81, "last": 100, "after": 1000}
    wanted = dict(zip(found, (peak / 10, peak, peak, peak - 0.9 * peak / 20, peak / 10, peak / 10), strict=True))
    return {name: rate(step) for name, step in found.items()} | {f"{name}, by hand": value for name, value in wanted.items()}


@part("schedule.warmup_stable_decay")
@weight(1)
@matches_reference
def test_phases_of_no_length(solution, draw):
    """No warm-up, no decay, nothing but either of them, few updates; phases that do not fit are a ValueError."""
    rate = solution.schedule.warmup_stable_decay
    wrong = [(0, 10, 1.0), (1, 10, 1.0, 6, 5), (1, 10, 1.0, -1, 2), (1, 10, 1.0, 2, -1), (1, 10, 1.0, 2, 2, 0.0, "cosine")]
    peak = drawn_peak(draw)
    return {
        "no warm-up": rates(solution, 7, 6, peak, 0, 3),
        "no decay": rates(solution, 8, 6, peak, 3, 0),
        "all warm-up": rates(solution, 7, 5, peak, 5, 0),
        "all decay": rates(solution, 7, 5, peak, 0, 5, shape="sqrt"),
        "both": rates(solution, 7, 6, peak, 2, 4),
        "four updates": rates(solution, 5, 4, peak),
        "refused": [refusal(lambda a=a: rate(*a)) for a in wrong],
    }


def two_groups(draw):
    """An optimiser with two groups that have learning rates of their own."""
    one, two = (nn.Parameter(draw.normal(2)) for _ in range(2))
    return torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 7.0}], lr=5.0)


def rates_of(optimizer):
    """The learning rate of each group."""
    return [float(group["lr"]) for group in optimizer.param_groups]


@part("schedule.Scheduler")
@weight(1)
@matches_reference
def test_rate_of_the_next_update_is_set(solution, draw):
    """At the start the learning rate of update 1 is set, after each step that of the next one, in all groups of the optimiser."""
    optimizer, asked, peak = two_groups(draw), [], drawn_peak(draw)
    scheduler = solution.schedule.Scheduler(optimizer, lambda number: asked.append(number) or peak / number)
    seen = [rates_of(optimizer)]
    for _ in range(3):
        scheduler.step()
        seen.append(rates_of(optimizer))
    return {"rates": seen, "done": scheduler.done, "updates asked for": sorted(set(asked))}


@part("schedule.Scheduler")
@weight(2)
@matches_reference
def test_resumed_schedule_goes_on(solution, draw):
    """A new scheduler on a new optimiser goes on with the learning rate of the next update, set at once, and counts from there."""
    start = 10 * drawn_peak(draw)
    first = solution.schedule.Scheduler(two_groups(draw), lambda number: start + number)
    for _ in range(4):
        first.step()
    state = first.state_dict()
    optimizer = two_groups(draw)
    second = solution.schedule.Scheduler(optimizer, lambda number: start + number)
    second.load_state_dict(state)
    at_once = rates_of(optimizer)
    second.step()
    return {"state": state, "at once": at_once, "later": rates_of(optimizer), "done": [first.done, second.done]}


def tied() -> nn.Module:
    """An embedding whose matrix is the head as well, and layers between."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.positions = nn.Embedding(7, 4), nn.Embedding(3, 4)
            self.layer, self.norm, self.head = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 7, bias=False)
            self.scores = nn.Parameter(torch.zeros(2, 3, 4))
            self.head.weight = self.embedding.weight

    return Tied()


def described(found):
    """Names, decay and sizes of groups."""
    return [
        {
            "names": " ".join(group["names"]),
            "decay": float(group["weight_decay"]),
            "sizes": " ".join(str(tuple(p.shape)) for p in group["params"]),
        }
        for group in found
    ]


@part("schedule.groups")
@weight(1)
@matches_reference
def test_matrices_decay_and_the_rest_does_not(solution, draw):
    """Two axes or more decay; vectors and what is named an embedding do not; each parameter once, in its order."""
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(5, 4), "norm": nn.LayerNorm(4), "conv": nn.Conv1d(4, 4, 2), "out": nn.Linear(4, 5)}
    )
    found = solution.schedule.groups(model, 0.1)
    params = [p for group in found for p in group["params"]]
    kinds = (lambda: nn.LayerNorm(4), lambda: nn.Linear(4, 2), lambda: nn.Conv1d(4, 4, 2))
    drawn = nn.ModuleDict({f"layer {i}": kinds[kind]() for i, kind in enumerate(draw.integers(0, 3, 8).tolist())})
    return {
        "drawn": described(solution.schedule.groups(drawn, 0.1)),
        "groups": described(found),
        "same objects": sorted(map(id, params)) == sorted(map(id, model.parameters())),
        "an optimiser takes them": [len(g["params"]) for g in torch.optim.AdamW(found).param_groups],
    }


@part("schedule.groups")
@weight(1)
@matches_reference
def test_tied_head_is_an_embedding(solution, draw):
    """A shared matrix has several names, and one that is exempt is enough; it stands there once, under its first name."""
    model = tied()
    swapped = nn.ModuleDict({"head": nn.Linear(4, 7, bias=False), "token_embedding": nn.Embedding(7, 4)})
    swapped["head"].weight = swapped["token_embedding"].weight
    drawn = nn.ModuleDict()
    for i, is_tied in enumerate(draw.bernoulli(0.5, 10).tolist()):
        drawn[f"head {i}"], drawn[f"embedding {i}"] = nn.Linear(4, 7, bias=False), nn.Embedding(7, 4)
        if is_tied:
            drawn[f"head {i}"].weight = drawn[f"embedding {i}"].weight
    return {
        "drawn": described(solution.schedule.groups(drawn, 0.2)),
        "embedding first": described(solution.schedule.groups(model, 0.1)),
        "head first": described(solution.schedule.groups(swapped, 0.2)),
    }


@part("schedule.groups")
@weight(1)
@matches_reference
def test_frozen_and_exempt_parameters(solution, draw):
    """Frozen parameters stand in no group; which names are exempt is up to the caller; a group may be empty."""
    model = tied()
    model.layer.weight.requires_grad_(False)
    model.norm.bias.requires_grad_(False)
    drawn = nn.Sequential(*(nn.Linear(2, 2) for _ in range(6)))
    for parameter, trains in zip(drawn.parameters(), draw.bernoulli(0.5, 12).tolist(), strict=True):
        parameter.requires_grad_(trains)
    return {
        "drawn": described(solution.schedule.groups(drawn, 0.3)),
        "frozen": described(solution.schedule.groups(model, 0.3)),
        "none exempt": described(solution.schedule.groups(model, 0.3, exempt=())),
        "others exempt": described(solution.schedule.groups(model, 0.3, exempt=("layer", "scores"))),
        "nothing decays": described(solution.schedule.groups(nn.LayerNorm(3), 0.1)),
    }
