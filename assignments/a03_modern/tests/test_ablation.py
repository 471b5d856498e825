"""Checks of ablation.py."""

import dataclasses
import math
import time

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part, refusal, satisfies

TRAINED = ("ablation.steps_to",)


def made_up(solution, row, seed, losses, norms=(1.0,), seconds=0.1, parameters=10, every=25):
    """A run with these losses, measured every so many steps."""
    steps = tuple(every * (i + 1) for i in range(len(losses)))
    tokens = tuple(1024 * step for step in steps)
    return solution.ablation.Run(row, seed, parameters, steps, tokens, tuple(losses), tuple(norms), seconds)


def fields(line):
    """A summary as a tree of plain values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(line).items()}


@part("ablation.ablation_rows")
@weight(1)
@matches_reference
def test_rows_differ_in_what_they_are_named_after(solution, draw):
    """Six rows from the old parts to the new; sizes, biases and start are those that were given, whatever else it says."""
    found, drawn = {}, {"init_std": float(draw.uniform(0.1, 1)), "window": int(draw.integers(1, 100))}
    for name, given in (("plain", {}), ("other", {"bias": True, "mlp": "gelu", "n_kv_heads": 1, **drawn})):
        rows = solution.ablation.ablation_rows(solution.model.ModelConfig(13, 8, 8, 2, 1, **given))
        switched = ("norm", "mlp", "positions", "bias", "n_kv_heads", "window", "d_model", "init_std")
        found[name] = {"order": " | ".join(rows)} | {row: {key: getattr(c, key) for key in switched} for row, c in rows.items()}
    return found


def training(solution, draw, build, seed=3, **changed):
    """One row, trained for a few steps on batches that are drawn with the generator that they get."""
    from given.a02_training.train import TrainConfig

    def next_batch(generator):
        tokens = torch.randint(7, (2, 6), generator=generator)
        return tokens[:, :-1], tokens[:, 1:]

    held_out = draw.integers(0, 7, 4, 6)
    config = TrainConfig(**{"steps": 7, "evaluate_every": 3, "warmup": 1, "peak_lr": 0.01} | changed)
    return solution.ablation.train_row("row", build, seed, next_batch, [(held_out[:, :-1], held_out[:, 1:])], config)


def table_model(draws) -> torch.nn.Module:
    """The smallest language model: the next token depends on the last one alone."""

    class Table(torch.nn.Module):
        def __init__(self, draws):
            super().__init__()
            torch.rand(draws)  # models draw as many numbers as they like for their start
            self.weight = torch.nn.Parameter(torch.zeros(7, 7))

        def forward(self, tokens):
            return self.weight[tokens]

    return Table(draws)


@part("ablation.train_row")
@weight(1)
@matches_reference
def test_a_row_is_trained_and_measured(solution, draw):
    """Losses come with their steps and with the tokens trained on by then, gradient norms of every step, and how many numbers learn."""
    run = training(solution, draw, lambda: draw.fill_(torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7))))
    return {
        "row, seed": [run.row, run.seed, run.parameters],
        "steps": run.steps,
        "tokens": run.tokens,
        "losses": torch.tensor(run.losses),
        "gradient norms": torch.tensor(run.grad_norms),
    }


@part("ablation.train_row")
@weight(0.5)
@matches_reference
def test_batches_do_not_depend_on_the_model(solution, draw):
    """The seed alone decides about initial weights and batches, from two generators: more draws for weights change no batch."""
    starts = []
    few, many = (training(solution, draw, lambda n=n: table_model(n)) for n in (1, 1000))
    other = training(solution, draw, lambda: table_model(1), seed=4)
    for seed in (5, 5, 6):
        training(solution, draw, lambda: (starts.append(torch.rand(3)), table_model(1))[1], seed, steps=1)
    quick = training(solution, draw, lambda: table_model(1), steps=2, evaluate_every=1)  # no step without a measurement
    return {
        "few": list(few.losses),
        "same data": few.losses == many.losses and few.grad_norms == many.grad_norms,
        "other data": few.grad_norms == other.grad_norms,
        "starts": [torch.equal(starts[0], starts[1]), torch.equal(starts[0], starts[2])],
        "nothing to time": math.isnan(quick.seconds_per_step),
    }


def busy() -> torch.nn.Module:
    """Hands on what comes in, after 60 ms of CPU time in training."""

    class Busy(torch.nn.Module):
        def forward(self, x):
            begin = time.process_time()
            while self.training and time.process_time() < begin + 0.06:
                pass
            return x

    return Busy()


def between(leaf, low, high):
    """A number within these bounds."""
    return lambda seen: None if low <= seen[leaf] <= high else f"{leaf}: {seen[leaf]:.3g}; it should be {low} to {high}"


@part("ablation.train_row")
@weight(0.5)
@satisfies(between("seconds per step", 0.06, 0.11), random=("seconds per step",))
def test_time_of_a_step_is_measured(solution, draw):
    """The time of a step is the CPU time from one batch to the next, the median over steps without a measurement."""
    layers = torch.nn.Embedding(7, 7), busy()  # a step takes 60 ms, and the rest of it 3 more; two steps take 120
    run = training(solution, draw, lambda: draw.fill_(torch.nn.Sequential(*layers)))
    return {"seconds per step": run.seconds_per_step, "losses": torch.tensor(run.losses)}


@part("ablation.steps_to")
@weight(1)
@matches_reference
def test_the_first_step_that_reaches_a_loss_counts(solution, draw):
    """The first measured step at or below the target, also if the loss rises again; None if it never gets there."""
    run = made_up(solution, "all", 0, [3.0, 1.5, 2.0, 1.0, 1.25], every=int(draw.integers(5, 5000)))
    return {str(target): solution.ablation.steps_to(run, target) for target in (5.0, 1.5, 1.75, 1.0, 0.99)}


def rows(solution, draw):
    """Three rows with three seeds, not all of which reach their target. All losses are higher by the same drawn number."""
    more = float(draw.uniform(0, 1))
    losses = {
        "all": [[2.0, 0.9, 0.4], [2.0, 1.25, 0.75], [1.5, 1.25, 1.375]],
        "baseline": [[2.5, 1.5, 0.875], [2.25, 1.5, 1.0], [3.0, 2.0, 1.25]],
        "norm": [[2.5, 1.4, 0.9], [2.5, 1.6, 1.25], [2.75, 2.0, 1.5]],
    }
    runs = []
    for seed in range(3):
        for number, (row, of_row) in enumerate(losses.items()):
            norms = [1.0 + seed, 0.5 * number, 4.0 - seed, 0.25]
            name = "".join(list(row))  # another object than the name that it is compared with
            lifted = [loss + more for loss in of_row[seed]]
            runs.append(made_up(solution, name, seed, lifted, norms, 0.125 * (seed + 1) * (number + 1), 10 + number))
    return runs


@part("ablation.summarise")
@needs(*TRAINED)
@weight(1)
@matches_reference
def test_differences_are_taken_seed_by_seed(solution, draw):
    """Mean and deviation of the last losses; differences to the baseline of the same seed; shares of steps, each with its own target."""
    return {line.row: fields(line) for line in solution.ablation.summarise(rows(solution, draw))}


@part("ablation.summarise")
@needs(*TRAINED)
@weight(1)
@matches_reference
def test_where_there_is_nothing_to_say_it_says_none(solution, draw):
    """One seed has no deviation, the baseline no difference to itself, a seed without baseline none either; no run is a ValueError."""
    summarise, runs = solution.ablation.summarise, rows(solution, draw)
    single = [run for run in runs if run.seed == 0]
    orphan = [run for run in runs if run.row != "baseline" or run.seed == 1]
    alone = [run for run in runs if run.row == "norm"]
    what = ("seeds", "final", "spread", "difference", "difference_spread", "worst", "share_of_steps")
    shown = lambda lines: {line.row: {key: value for key, value in fields(line).items() if key in what} for line in lines}
    return {
        "single": shown(summarise(single)),
        "orphan": shown(summarise(orphan)),
        "no baseline": shown(summarise(alone)),
        "another baseline": shown(summarise(runs, baseline="norm")),
        "order": [line.row for line in summarise(runs)],
        "nothing": refusal(lambda: summarise([])),
    }
