"""These are wrong versions of parts of train.py, one mistake each. A docstring is the hint that a student reads."""

from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch

from tools.author.cases import misconception

from .data import IGNORE
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .schedule import learning_rate
from .train import Record, evaluate, evaluating, load_checkpoint, overfits, save_checkpoint, show_progress, training_step


@misconception("train.evaluating", ask="What if a part was in evaluation mode on purpose?")
@contextmanager
def everything_trains_afterwards(model):
    """Afterwards the whole model is in training mode, whatever it was in before."""
    model.eval()
    try:
        yield
    finally:
        model.train()


@misconception("train.evaluating", ask="What runs after an exception?")
@contextmanager
def mode_is_lost_after_an_error(model):
    """After an error the model stays in evaluation mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    yield
    for module, mode in modes:
        module.training = mode


@misconception("train.evaluate", pitfall=2, ask="What does dropout do to a loss that is only measured?")
def evaluated_in_training_mode(model, batches):
    """The model stays in training mode, so dropout makes the measured loss worse, and random."""
    total, count = 0.0, 0
    with torch.no_grad():
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.evaluate", pitfall=3, ask="Does a batch with one target count as much as one with a hundred?")
def mean_of_batch_means(model, batches):
    """The means of the batches are averaged, so a target in a small batch counts for more."""
    with evaluating(model), torch.no_grad():
        losses = [next_token_loss(model(inputs), targets).item() for inputs, targets in batches]
    if not losses:
        raise ValueError("no batch came")
    return sum(losses) / len(losses)


@misconception("train.evaluate", ask="What are gradients needed for here?")
def gradients_are_recorded(model, batches):
    """Gradients are prepared for though nobody asks for them, which takes memory and time."""
    total, count = 0.0, 0
    with evaluating(model):
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.evaluate", ask="In which mode does training go on?")
def model_stays_in_evaluation(model, batches):
    """The model is left in evaluation mode, so training goes on without dropout."""
    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.training_step", pitfall=1, ask="What does backward do with a gradient that is there already?")
def gradients_add_up(model, optimizer, batch, lr, clip):
    """Gradients are never cleared, so each step adds to those of all steps before it."""
    loss = next_token_loss(model(batch[0]), batch[1])
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    return loss.item(), norm.item()


@misconception("train.training_step", ask="When does the optimiser read the rate?")
def rate_comes_one_step_late(model, optimizer, batch, lr, clip):
    """The rate is set after the update, so each step is taken with the rate of the one before."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    for group in optimizer.param_groups:
        group["lr"] = lr
    return loss.item(), norm.item()


@misconception("train.training_step", ask="How many groups are there?")
def rate_for_the_first_group_alone(model, optimizer, batch, lr, clip):
    """Only the first group gets the rate; the vectors go on with the one they had."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    optimizer.param_groups[0]["lr"] = lr
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    return loss.item(), norm.item()


@misconception("train.training_step", ask="Which gradients does the optimiser see?")
def clipped_after_the_update(model, optimizer, batch, lr, clip):
    """The gradients are clipped when the update has been made already."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = lr
    finite = all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    if torch.isfinite(loss) and finite:
        optimizer.step()
    return loss.item(), clip_gradients(model.parameters(), clip).item()


@misconception("train.training_step", ask="What are the parameters after an update by NaN?")
def broken_steps_are_taken(model, optimizer, batch, lr, clip):
    """A step whose loss or gradient is not finite is taken all the same, and the model is lost."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return float(loss), float(norm)


@misconception("train.overfits", pitfall=4, ask="Is one bad validation a trend?")
def one_bad_validation_is_enough(validation, patience):
    """The last validation alone is compared with the best one, however long the patience."""
    if patience < 1:
        raise ValueError("patience must be at least 1")
    return len(validation) > patience and validation[-1] >= min(validation[:-1])


@misconception("train.overfits", pitfall=4, ask="What does a course of 1, 5, 4, 3, 2 tell?")
def compared_with_the_one_before(validation, patience):
    """Each validation is compared with the one before it, so losses that slowly fall again count as good."""
    if patience < 1:
        raise ValueError("patience must be at least 1")
    recent = list(validation[-patience - 1 :])
    return len(validation) > patience and all(b >= a for a, b in pairwise(recent))


@misconception("train.save_checkpoint", pitfall=5, ask="From where does AdamW know how large its last steps were?")
def optimizer_is_not_saved(path, model, optimizer, generator, history):
    """The state of the optimiser is not saved, so its running means begin anew."""
    states = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict() | {"state": {}},
        "generator": generator.get_state(),
    }
    states |= {"torch_rng": torch.get_rng_state(), "cuda_rng": [], "history": [vars(record) for record in history]}
    torch.save(states, path)


@misconception("train.save_checkpoint", pitfall=5, ask="Which batch comes next?")
def generator_is_not_saved(path, model, optimizer, generator, history):
    """The generator is not saved, so a resumed run sees the first batches once more."""
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    states |= {"generator": torch.Generator().manual_seed(0).get_state(), "torch_rng": torch.get_rng_state(), "cuda_rng": []}
    torch.save(states | {"history": [vars(record) for record in history]}, path)


@misconception("train.load_checkpoint", pitfall=5, ask="Where does dropout take its random numbers from?")
def own_chance_is_not_put_back(path, model, optimizer, generator):
    """PyTorch's own random state is not put back, so dropout goes another way."""
    states = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(states["model"])
    optimizer.load_state_dict(states["optimizer"])
    generator.set_state(states["generator"])
    return [Record(**record) for record in states["history"]]


@misconception("train.load_checkpoint", ask="What can a file do that is unpickled?")
def checkpoint_may_run_code(path, model, optimizer, generator):
    """The file is unpickled without restraint, so one from elsewhere may run any code."""
    states = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(states["model"])
    optimizer.load_state_dict(states["optimizer"])
    generator.set_state(states["generator"])
    torch.set_rng_state(states["torch_rng"])
    return [Record(**record) for record in states["history"]]


def build_optimizer(model, config):
    """The optimiser of a run, as the reference has it."""
    return AdamW(parameter_groups(model, config.weight_decay), lr=config.peak_lr, betas=config.betas)


def is_due(config, validation, step):
    """Whether a validation is due."""
    return validation is not None and (step % config.evaluate_every == 0 or step == config.steps)


def run_on(model, optimizer, next_batch, config, validation, generator, history, first=1, step_back=0):
    """The loop from a history on; first, step_back: ways to be wrong about numbers."""
    model.train()
    while len(history) < config.steps and not _ends_early(history, config.patience):
        step = len(history) + 1
        lr = learning_rate(max(1, step - step_back), config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        measured = evaluate(model, validation) if is_due(config, validation, step) else None
        history.append(Record(step, loss, lr, norm, measured))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        last = step == config.steps or _ends_early(history, config.patience)
        if config.checkpoint is not None and (last or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


def begin(model, config, generator, resume):
    """What a run begins with."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    optimizer = build_optimizer(model, config)
    go_on = resume and config.checkpoint is not None and Path(config.checkpoint).exists()
    return optimizer, generator, load_checkpoint(config.checkpoint, model, optimizer, generator) if go_on else []


@misconception("train.train", pitfall=6, ask="Which rate has the first update of a resumed run?")
def resumed_run_begins_anew(model, next_batch, config, validation=None, generator=None, resume=False):
    """A resumed run counts its steps and its schedule from the beginning again."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return history + run_on(model, optimizer, next_batch, config, validation, generator, [])


@misconception("train.train", pitfall=6, ask="Which lines are in the file already when a run is resumed?")
def metrics_are_only_added_to(model, next_batch, config, validation=None, generator=None, resume=False):
    """Metrics are added to the file that is there, so after a pause some steps stand there twice."""
    optimizer, generator, history = begin(model, config, generator, resume)
    return run_on(model, optimizer, next_batch, config, validation, generator, history)


@misconception("train.train", ask="What is the rate of the first update?")
def schedule_is_one_step_behind(model, next_batch, config, validation=None, generator=None, resume=False):
    """The schedule is asked for the step before, so the peak comes one update late."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return run_on(model, optimizer, next_batch, config, validation, generator, history, step_back=1)


@misconception("train.train", ask="Which batches does the last validation belong to?")
def no_validation_at_the_end(model, next_batch, config, validation=None, generator=None, resume=False):
    """After the last step nothing is measured, unless it is a multiple of evaluate_every."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train()
    while len(history) < config.steps and not _ends_early(history, config.patience):
        step = len(history) + 1
        lr = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        due = validation is not None and step % config.evaluate_every == 0
        history.append(Record(step, loss, lr, norm, evaluate(model, validation) if due else None))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        last = step == config.steps or _ends_early(history, config.patience)
        if config.checkpoint is not None and (last or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


@misconception("train.train", ask="How much work is lost when the power fails after 99 of 100 steps?")
def one_checkpoint_at_the_end(model, next_batch, config, validation=None, generator=None, resume=False):
    """The checkpoint is written after the last step alone, so a run that breaks off begins anew."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    late = replace(config, checkpoint_every=config.steps)
    return run_on(model, optimizer, next_batch, late, validation, generator, history)


@misconception("train.train", ask="How far is a run that says nothing?")
def nothing_is_shown(model, next_batch, config, validation=None, generator=None, resume=False):
    """`progress` changes nothing: whoever waits does not see how far the run is."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return run_on(model, optimizer, next_batch, replace(config, progress=False), validation, generator, history)


@misconception("train.train", ask="In which mode may a model be when it is handed over?")
def mode_is_left_as_it_came(model, next_batch, config, validation=None, generator=None, resume=False):
    """The model is not put into training mode, so one that was evaluated before trains without dropout."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train = lambda mode=True: model
    try:
        return run_on(model, optimizer, next_batch, config, validation, generator, history)
    finally:
        del model.train


@misconception("train.train", ask="How many updates does a broken model deserve?")
def goes_on_after_a_broken_step(model, next_batch, config, validation=None, generator=None, resume=False):
    """The run goes on after a step whose loss was not finite."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train()
    done = lambda: (
        config.patience is not None and overfits([r.validation for r in history if r.validation is not None], config.patience)
    )
    while len(history) < config.steps and not done():
        step = len(history) + 1
        lr = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        history.append(Record(step, loss, lr, norm, evaluate(model, validation) if is_due(config, validation, step) else None))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        if config.checkpoint is not None and (step == config.steps or done() or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history
