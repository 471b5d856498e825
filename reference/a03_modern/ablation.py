"""What is each modern part worth? One model a row, equal data and equal seeds, and every figure with its spread.

A row differs from the baseline in one field (two or three in the last two rows), so that a difference has one cause. Left out:
a search for the best learning rate of each row, which a study that wants to rank them would need.
Source: none for the harness; the parts are those of LLaMA, arXiv:2302.13971, §2.2.
"""

import csv
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from given.a02_training.data import Batch
from given.a02_training.train import TrainConfig, train
from torch import nn

from .model import ModelConfig, Transformer


@dataclass(frozen=True)
class Run:
    """One model, trained once.

    row: which row of the table it belongs to.
    parameters: how many numbers are trained.
    steps: where held-out loss was measured.
    tokens: how many the model was trained on by each of these steps.
    losses: held-out loss at each of these steps, in nats per token.
    grad_norms: the norm of every training step, before clipping.
    seconds_per_step: CPU time, the median over steps without a measurement.
    """

    row: str
    seed: int
    parameters: int
    steps: tuple[int, ...]
    tokens: tuple[int, ...]
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    seconds_per_step: float


@dataclass(frozen=True)
class Summary:
    """A row over all its seeds. A field is None where there is nothing to say.

    final: mean of the last losses.
    spread: standard deviation of the last losses over the seeds.
    difference: mean of (row − baseline), seed by seed.
    difference_spread: standard deviation of these differences.
    worst: the largest of these differences.
    share_of_steps: for each seed, steps to reach the last loss of the baseline of that seed, over all steps. None for a seed that
        never reached it.
    grad_norm: median over all steps and seeds.
    largest_grad_norm: the largest of all steps and seeds.
    """

    row: str
    seeds: int
    parameters: int
    final: float
    spread: float | None
    difference: float | None
    difference_spread: float | None
    worst: float | None
    share_of_steps: tuple[float | None, ...]
    grad_norm: float
    largest_grad_norm: float
    seconds_per_step: float


def ablation_rows(config: ModelConfig) -> dict[str, ModelConfig]:
    """The six rows, from the old to the new: "baseline", "norm", "mlp", "positions", "norm + mlp", "all".

    The baseline has layernorm, gelu and learned positions. A row has the modern choice in the fields that it is named after. All
    other fields (sizes, bias, init_std) are those of `config`, whose own norm, mlp and positions do not matter.
    """
    # TODO: six configurations by name (handout: ablation, step 1).
    # Watch: one field apart; nothing that is not named changes.
    # BEGIN SOLUTION
    modern = {"norm": "rmsnorm", "mlp": "swiglu", "positions": "rope"}
    baseline = replace(config, norm="layernorm", mlp="gelu", positions="learned")
    rows = {"baseline": (), **{name: (name,) for name in modern}, "norm + mlp": ("norm", "mlp"), "all": tuple(modern)}
    return {row: replace(baseline, **{name: modern[name] for name in names}) for row, names in rows.items()}
    # END SOLUTION


def train_row(
    row: str,
    build: Callable[[], nn.Module],
    seed: int,
    next_batch: Callable[[torch.Generator], Batch],
    validation: Sequence[Batch],
    config: TrainConfig,
) -> Run:
    """Build a model and train it with `given` parts. The same seed means the same initial random state and the same batches.

    build: called once, after `torch.manual_seed(seed)`.
    next_batch: draws with a generator of its own, seeded by `seed`. So it changes no batch how many numbers a model draws for its
        initial weights.
    """
    # TODO: train and measure (handout: ablation, step 2).
    # Watch: two random generators; tokens counted up; time without the measurements of loss.
    # BEGIN SOLUTION
    torch.manual_seed(seed)
    model = build()
    ticks, counts = [], []

    def watched(generator: torch.Generator) -> Batch:
        batch = next_batch(generator)
        ticks.append(time.process_time())
        counts.append(batch[0].numel() + (counts[-1] if counts else 0))
        return batch

    history = train(model, watched, config, validation, torch.Generator().manual_seed(seed))
    measured = [record for record in history if record.validation is not None]
    seconds = [
        after - before for record, before, after in zip(history, ticks, ticks[1:], strict=False) if record.validation is None
    ]
    return Run(
        row,
        seed,
        sum(parameter.numel() for parameter in model.parameters()),
        tuple(record.step for record in measured),
        tuple(counts[record.step - 1] for record in measured),
        tuple(record.validation for record in measured),
        tuple(record.gradient_norm for record in history),
        statistics.median(seconds) if seconds else math.nan,
    )
    # END SOLUTION


def steps_to(run: Run, target: float) -> int | None:
    """The first step at which the held-out loss was measured to be at most `target`. None if it never was."""
    # TODO: one step (handout: ablation, step 3).
    # Watch: a loss may rise again.
    # BEGIN SOLUTION
    return next((step for step, loss in zip(run.steps, run.losses, strict=True) if loss <= target), None)
    # END SOLUTION


def summarise(runs: Sequence[Run], baseline: str = "baseline") -> list[Summary]:
    """A line for each row, in the order in which rows first appear. Differences are taken seed by seed.

    A standard deviation needs two seeds and is that of a sample (n − 1). The differences are None for the baseline itself, and for
    a row that shares no seed with it.
    ValueError: there is no run.
    """
    if not runs:
        raise ValueError("there is nothing to sum up: no run came")
    # TODO: one Summary a row (handout: ablation, step 4).
    # Watch: paired differences; each seed has a target of its own; a seed that never reached it counts, as None.
    # BEGIN SOLUTION
    anchors = {run.seed: run for run in runs if run.row == baseline}
    lines = []
    for row in dict.fromkeys(run.row for run in runs):
        of_row = [run for run in runs if run.row == row]
        pairs = [(run, anchors[run.seed]) for run in of_row if run.seed in anchors and row != baseline]
        finals = [run.losses[-1] for run in of_row]
        differences = [run.losses[-1] - anchor.losses[-1] for run, anchor in pairs]
        reached = [(steps_to(run, anchor.losses[-1]), anchor.steps[-1]) for run, anchor in pairs]
        norms = [norm for run in of_row for norm in run.grad_norms]
        lines.append(
            Summary(
                row,
                len(of_row),
                of_row[0].parameters,
                statistics.mean(finals),
                _deviation(finals),
                statistics.mean(differences) if differences else None,
                _deviation(differences),
                max(differences, default=None),
                tuple(None if step is None else step / total for step, total in reached),
                statistics.median(norms),
                max(norms),
                statistics.median(run.seconds_per_step for run in of_row),
            )
        )
    return lines
    # END SOLUTION


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def write_csv(runs: Sequence[Run], path: Path | str) -> None:
    """Write a line for each measurement: row, seed, parameters, step, tokens, loss, grad_norm, seconds_per_step. Given."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["row", "seed", "parameters", "step", "tokens", "loss", "grad_norm", "seconds_per_step"])
        for run in runs:
            for step, tokens, loss in zip(run.steps, run.tokens, run.losses, strict=True):
                norm = run.grad_norms[step - 1]
                lines.writerow([run.row, run.seed, run.parameters, step, tokens, loss, norm, run.seconds_per_step])


def table(lines: Sequence[Summary]) -> str:
    """The summary as a table in Markdown, with a dash where there is nothing to say. Given."""
    head = ["row", "seeds", "parameters", "final loss (sd)", "against baseline (sd), worst", "steps to its loss"]
    head += ["gradient norm: median, largest", "CPU ms per step"]
    rows = [head, ["---"] * len(head)]
    for line in lines:
        shares = line.share_of_steps
        reached = [share for share in shares if share is not None]
        steps = f"{min(reached):.2f} – {max(reached):.2f}" if reached else "never" if shares else "–"
        if reached and len(reached) < len(shares):
            steps += f", {len(shares) - len(reached)} of {len(shares)} never"
        against = f"{_signed(line.difference)} ({_number(line.difference_spread)}), {_signed(line.worst)}" if shares else "–"
        rows.append(
            [
                line.row,
                str(line.seeds),
                f"{line.parameters:,}",
                f"{line.final:.3f} ({_number(line.spread)})",
                against,
                steps,
                f"{line.grad_norm:.2f}, {line.largest_grad_norm:.2f}",
                f"{1000 * line.seconds_per_step:.1f}",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def plot(runs: Sequence[Run], path: Path | str) -> None:
    """Plot loss against tokens into a PNG or SVG file: the mean of each row as a line, its seeds as a band. Given."""
    from matplotlib.figure import Figure  # a second to import, and nothing else here needs it

    figure = Figure(figsize=(8, 5), layout="constrained")
    panel = figure.subplots()
    for number, row in enumerate(dict.fromkeys(run.row for run in runs)):
        of_row = [run for run in runs if run.row == row]
        seeds = list(zip(*(run.losses for run in of_row), strict=True))
        mean = [statistics.mean(losses) for losses in seeds]
        style = ("-", "--", ":")[number // 8 % 3]
        label = f"{row} ({mean[-1]:.3f})"
        [line] = panel.plot(of_row[0].tokens, mean, style, marker="osv^Dx+*"[number % 8], markersize=3, markevery=4, label=label)
        best, worst = [min(losses) for losses in seeds], [max(losses) for losses in seeds]
        panel.fill_between(of_row[0].tokens, best, worst, color=line.get_color(), alpha=0.15, linewidth=0)
    panel.set(xlabel="tokens trained on", ylabel="held-out loss, nats per token", yscale="log")
    panel.set_title("Mean over the seeds; bands from the best seed to the worst", fontsize=10)
    panel.grid(alpha=0.25, which="both")
    panel.legend(title="row (final loss)", fontsize=8)
    figure.savefig(path)


def run_ablation(
    configs: dict[str, ModelConfig],
    seeds: Sequence[int],
    next_batch: Callable[[torch.Generator], Batch],
    validation: Sequence[Batch],
    config: TrainConfig,
    others: dict[str, Callable[[], nn.Module]] | None = None,
) -> list[Run]:
    """Train every row with every seed. Given.

    others: rows that are no `Transformer`, as functions that build the model.
    """
    builders = {row: lambda c=c: Transformer(c) for row, c in configs.items()} | (others or {})
    return [train_row(row, build, seed, next_batch, validation, config) for seed in seeds for row, build in builders.items()]
