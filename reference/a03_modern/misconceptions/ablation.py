"""These are wrong versions of parts of ablation.py, one mistake each. A docstring is the hint that a student reads."""

import math
import statistics
import time
from dataclasses import replace

import torch
from given.a02_training.train import train

from tools.author.cases import misconception

from .ablation import Run, Summary, _deviation, steps_to


@misconception("ablation.ablation_rows", pitfall=1, ask="What does a row with two changes show?")
def norm_row_drops_biases_too(config):
    """The row of the norm drops the biases along with the mean, so that two fields differ."""
    modern = {"norm": "rmsnorm", "mlp": "swiglu", "positions": "rope"}
    baseline = replace(config, norm="layernorm", mlp="gelu", positions="learned")
    rows = {"baseline": (), **{name: (name,) for name in modern}, "norm + mlp": ("norm", "mlp"), "all": tuple(modern)}
    return {
        row: replace(baseline, **{name: modern[name] for name in names}, bias=config.bias and "norm" not in names)
        for row, names in rows.items()
    }


@misconception("ablation.ablation_rows", pitfall=1, ask="What is the baseline's MLP, if the configuration asks for SwiGLU?")
def baseline_is_the_configuration(config):
    """The baseline is the configuration as it stands, modern parts included."""
    modern = {"norm": "rmsnorm", "mlp": "swiglu", "positions": "rope"}
    rows = {"baseline": (), **{name: (name,) for name in modern}, "norm + mlp": ("norm", "mlp"), "all": tuple(modern)}
    return {row: replace(config, **{name: modern[name] for name in names}) for row, names in rows.items()}


def trained_row(row, build, seed, next_batch, validation, config, own_generator=True, seeded=True, all_steps=False, count=True):
    """train_row of the reference, with one thing changed."""
    if seeded:
        torch.manual_seed(seed)
    model, ticks, counts = build(), [], []

    def watched(generator):
        batch = next_batch(generator if own_generator else torch.default_generator)
        ticks.append(time.process_time())
        counts.append(batch[0].numel() + (counts[-1] if counts and count else 0))
        return batch

    history = train(model, watched, config, validation, torch.Generator().manual_seed(seed))
    measured = [record for record in history if record.validation is not None]
    pairs = zip(history, ticks, ticks[1:], strict=False)
    seconds = [after - before for record, before, after in pairs if all_steps or record.validation is None]
    return Run(
        row, seed, sum(parameter.numel() for parameter in model.parameters()),
        tuple(record.step for record in measured), tuple(counts[record.step - 1] for record in measured),
        tuple(record.validation for record in measured), tuple(record.gradient_norm for record in history),
        statistics.median(seconds) if seconds else math.nan,
    )  # fmt: skip


@misconception("ablation.train_row", pitfall=2, ask="How many numbers does each model draw for its initial weights?")
def one_source_of_chance(row, build, seed, next_batch, validation, config):
    """Batches are drawn from the generator that the initial weights have used, so that a larger model gets other batches."""
    return trained_row(row, build, seed, next_batch, validation, config, own_generator=False)


@misconception("ablation.train_row", pitfall=2, ask="What does the seed decide?")
def start_is_not_seeded(row, build, seed, next_batch, validation, config):
    """The seed decides about batches alone, and not about the start."""
    return trained_row(row, build, seed, next_batch, validation, config, seeded=False)


@misconception("ablation.train_row", pitfall=6, ask="What happens between two steps, if the loss is measured?")
def time_with_the_measurements(row, build, seed, next_batch, validation, config):
    """The time of a step includes the measurement of held-out loss."""
    return trained_row(row, build, seed, next_batch, validation, config, all_steps=True)


@misconception("ablation.train_row", ask="On how many tokens was the model trained after two steps?")
def tokens_of_one_batch(row, build, seed, next_batch, validation, config):
    """Tokens are those of one batch, and not counted up."""
    return trained_row(row, build, seed, next_batch, validation, config, count=False)


@misconception("ablation.steps_to", ask="Does it count that the loss rises again?")
def last_step_that_reaches_it(run, target):
    """The last step at or below the target counts, or the step after which it stays there."""
    return next((step for step, loss in reversed(list(zip(run.steps, run.losses, strict=True))) if loss <= target), None)


@misconception("ablation.steps_to", ask="Is a loss that equals the target low enough?")
def target_must_be_undercut(run, target):
    """The loss has to be less than the target."""
    return next((step for step, loss in zip(run.steps, run.losses, strict=True) if loss < target), None)


@misconception("ablation.steps_to", pitfall=4, ask="When did a run reach the target that never did?")
def never_is_the_last_step(run, target):
    """A run that never reaches the target is said to have reached it at its last step."""
    return next((step for step, loss in zip(run.steps, run.losses, strict=True) if loss <= target), run.steps[-1])


def summed_up(runs, baseline, one_target=False, drop_never=False, of_rows=False, population=False, best=False):
    """summarise of the reference, with one thing changed."""
    if not runs:
        raise ValueError("no run")
    last = lambda run: min(run.losses) if best else run.losses[-1]
    spread = lambda values: (statistics.pstdev(values) if population else _deviation(values)) if len(values) > 1 else None
    anchors, lines = {run.seed: run for run in runs if run.row == baseline}, []
    for row in dict.fromkeys(run.row for run in runs):
        of_row = [run for run in runs if run.row == row]
        pairs = [(run, anchors[run.seed]) for run in of_row if run.seed in anchors and row != baseline]
        finals, differences = [last(run) for run in of_row], [last(run) - last(anchor) for run, anchor in pairs]
        target = statistics.mean(last(anchor) for anchor in anchors.values()) if anchors else None
        reached = [(steps_to(run, target if one_target else last(anchor)), anchor.steps[-1]) for run, anchor in pairs]
        shares = [None if step is None else step / total for step, total in reached]
        norms = [norm for run in of_row for norm in run.grad_norms]
        lines.append(
            Summary(
                row, len(of_row), of_row[0].parameters, statistics.mean(finals), spread(finals),
                statistics.mean(differences) if differences else None,
                spread([last(run) for run, _ in pairs] if of_rows else differences), max(differences, default=None),
                tuple(s for s in shares if s is not None or not drop_never), statistics.median(norms), max(norms),
                statistics.median(run.seconds_per_step for run in of_row),
            )
        )  # fmt: skip
    return lines


@misconception("ablation.summarise", pitfall=3, ask="Whose last loss should seed 1 reach?")
def one_target_for_all_seeds(runs, baseline="baseline"):
    """Every seed has to reach the mean of the baseline's last losses."""
    return summed_up(runs, baseline, one_target=True)


@misconception("ablation.summarise", pitfall=4, ask="What does the best seed say about the others?")
def seeds_that_never_got_there_are_dropped(runs, baseline="baseline"):
    """Seeds that never reach their target are left out."""
    return summed_up(runs, baseline, drop_never=True)


@misconception("ablation.summarise", pitfall=5, ask="Do row and baseline of one seed share their batches?")
def deviation_of_the_row(runs, baseline="baseline"):
    """The deviation of the row's own losses stands where that of the differences is asked for."""
    return summed_up(runs, baseline, of_rows=True)


@misconception("ablation.summarise", pitfall=5, ask="Three seeds are a sample of how many?")
def deviation_of_a_population(runs, baseline="baseline"):
    """Deviations divide by n, as if there were no other seeds."""
    return summed_up(runs, baseline, population=True)


@misconception("ablation.summarise", ask="Which loss does the model end with?")
def best_loss_for_the_last(runs, baseline="baseline"):
    """The lowest loss of a run counts, and not its last one."""
    return summed_up(runs, baseline, best=True)
