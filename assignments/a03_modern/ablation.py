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
    """One model, trained once. steps, losses: where held-out loss was measured, and the loss in nats per token.

    tokens: trained on, for each of the steps. gradient_norms: of every step, before clipping. seconds_per_step: CPU time, the
    median over steps without a measurement.
    """

    row: str
    seed: int
    parameters: int
    steps: tuple[int, ...]
    tokens: tuple[int, ...]
    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    seconds_per_step: float


@dataclass(frozen=True)
class Summary:
    """A row over all its seeds; None where there is nothing to say.

    final: mean of the last losses; spread: their standard deviation over the seeds. difference: mean of (row − baseline), seed by
    seed; difference_spread: its standard deviation; worst: the largest of them. share_of_steps: for each seed, steps to reach the
    last loss of the baseline of that seed, over all steps; None for a seed that never got there. gradient_norm: median over all
    steps and seeds; largest_gradient: the largest.
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
    gradient_norm: float
    largest_gradient: float
    seconds_per_step: float


def ablation_rows(config: ModelConfig) -> dict[str, ModelConfig]:
    """The six rows, from the old to the new: "baseline", "norm", "mlp", "positions", "norm + mlp", "all".

    The baseline has layernorm, gelu and learned positions; a row has the modern choice in the fields that it is named after. All
    other fields (sizes, bias, start) are those of `config`, whose own norm, mlp and positions do not matter.
    """
    # TODO: six configurations by name (handout: ablation, step 1).
    # Watch: one field apart; nothing that is not named changes.
    raise NotImplementedError("a03_modern/ablation.py: ablation_rows() is yours to write (handout: ablation, step 1)")


def train_row(
    row: str,
    build: Callable[[], nn.Module],
    seed: int,
    next_batch: Callable[[torch.Generator], Batch],
    validation: Sequence[Batch],
    config: TrainConfig,
) -> Run:
    """Build a model and train it with `given` parts; the same seed means the same start of chance and the same batches.

    build: called once, after `torch.manual_seed(seed)`. next_batch: draws with a generator of its own, seeded by `seed`, so that
    how many numbers a model draws for its start changes no batch.
    """
    # TODO: train and measure (handout: ablation, step 2).
    # Watch: two sources of chance; tokens counted up; time without the measurements of loss.
    raise NotImplementedError("a03_modern/ablation.py: train_row() is yours to write (handout: ablation, step 2)")


def steps_to(run: Run, target: float) -> int | None:
    """The first step at which the held-out loss was measured to be at most `target`; None if it never was."""
    # TODO: one step (handout: ablation, step 3).
    # Watch: a loss may rise again.
    raise NotImplementedError("a03_modern/ablation.py: steps_to() is yours to write (handout: ablation, step 3)")


def summarise(runs: Sequence[Run], baseline: str = "baseline") -> list[Summary]:
    """A line for each row, in the order in which rows first appear; differences are taken seed by seed.

    A standard deviation needs two seeds and is that of a sample (n − 1). For the baseline itself, and where it has no run of a
    seed, the differences are None. ValueError if there is no run.
    """
    if not runs:
        raise ValueError("there is nothing to sum up: no run came")
    # TODO: one Summary a row (handout: ablation, step 4).
    # Watch: paired differences; each seed has a target of its own; a seed that never got there counts, as None.
    raise NotImplementedError("a03_modern/ablation.py: summarise() is yours to write (handout: ablation, step 4)")


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def write_csv(runs: Sequence[Run], path: Path | str) -> None:
    """A line for each measurement: row, seed, parameters, step, tokens, loss, gradient norm of that step, seconds per step. Given."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["row", "seed", "parameters", "step", "tokens", "loss", "gradient_norm", "seconds_per_step"])
        for run in runs:
            for step, tokens, loss in zip(run.steps, run.tokens, run.losses, strict=True):
                norm = run.gradient_norms[step - 1]
                lines.writerow([run.row, run.seed, run.parameters, step, tokens, loss, norm, run.seconds_per_step])


def table(lines: Sequence[Summary]) -> str:
    """The summary as a table in Markdown; a dash where there is nothing to say. Given."""
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
                f"{line.gradient_norm:.2f}, {line.largest_gradient:.2f}",
                f"{1000 * line.seconds_per_step:.1f}",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def plot(runs: Sequence[Run], path: Path | str) -> None:
    """Loss against tokens: the mean of each row as a line, from the best to the worst seed as a band. PNG or SVG. Given."""
    from matplotlib.figure import Figure  # a second to import, and nothing else here needs it

    figure = Figure(figsize=(8, 5), layout="constrained")
    panel = figure.subplots()
    for number, row in enumerate(dict.fromkeys(run.row for run in runs)):
        mine = [run for run in runs if run.row == row]
        seeds = list(zip(*(run.losses for run in mine), strict=True))
        mean = [statistics.mean(losses) for losses in seeds]
        style = ("-", "--", ":")[number // 8 % 3]
        label = f"{row} ({mean[-1]:.3f})"
        [line] = panel.plot(mine[0].tokens, mean, style, marker="osv^Dx+*"[number % 8], markersize=3, markevery=4, label=label)
        best, worst = [min(losses) for losses in seeds], [max(losses) for losses in seeds]
        panel.fill_between(mine[0].tokens, best, worst, color=line.get_color(), alpha=0.15, linewidth=0)
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
    """Every row with every seed. others: rows that are no `Transformer`, as functions that build the model. Given."""
    builders = {row: lambda c=c: Transformer(c) for row, c in configs.items()} | (others or {})
    return [train_row(row, build, seed, next_batch, validation, config) for seed in seeds for row, build in builders.items()]
