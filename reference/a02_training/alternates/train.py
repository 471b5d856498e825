"""These are other right versions of parts of train.py. The tolerances allow for all of these routes."""

import json
import math
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from tools.author.cases import alternate

from .data import IGNORE
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .schedule import learning_rate
from .train import Record, evaluate, load_checkpoint, overfits, save_checkpoint, show_progress, training_step


@alternate("train.evaluating")
@contextmanager
def modes_by_name(model):
    """The names of the modules that train, before and after."""
    training = {name for name, module in model.named_modules() if module.training}
    model.train(mode=False)
    try:
        yield model
    finally:
        for name, module in model.named_modules():
            module.training = name in training


@alternate("train.evaluate")
def evaluate_target_by_target(model, batches):
    """Sums over targets, by hand, of what each batch costs in all."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    device, costs, counts = next(model.parameters()).device, [], []
    try:
        with torch.inference_mode():
            for inputs, targets in batches:
                counts.append(int(targets.ne(IGNORE).sum()))
                costs.append(float(next_token_loss(model(inputs.to(device)), targets.to(device))) * counts[-1])
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not counts:
        raise ValueError("no batch")
    return math.fsum(costs) / sum(counts)


@alternate("train.training_step")
def step_that_clears_at_its_end(model, optimizer, batch, lr, clip):
    """Old gradients are dropped before the loss; the rate is set first; gradients are cleared again in the end."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    model.zero_grad(set_to_none=True)
    inputs, targets = batch
    device = next(model.parameters()).device
    loss = next_token_loss(model(inputs.to(device)), targets.to(device))
    loss.backward()
    norm = float(clip_gradients(list(model.parameters()), clip))
    if math.isfinite(loss.item()) and math.isfinite(norm):
        optimizer.step()
    model.zero_grad(set_to_none=True)
    return loss.item(), norm


@alternate("train.overfits")
def overfits_by_the_place_of_the_best(validation, patience):
    """How many validations ago was the first best one?"""
    if patience < 1:
        raise ValueError("patience of nothing")
    values = list(validation)
    return bool(values) and len(values) - 1 - values.index(min(values)) >= patience


@alternate("train.train")
def train_with_a_for_loop(model, next_batch, config, validation=None, generator=None, resume=False):
    """A for loop over the steps that are left; metrics are written anew as a whole after each step."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    optimizer = AdamW(parameter_groups(model, config.weight_decay), config.peak_lr, config.betas)
    history = []
    if resume and config.checkpoint and Path(config.checkpoint).exists():
        history = load_checkpoint(config.checkpoint, model, optimizer, generator)
    model.train()

    def over() -> bool:
        losses = [record.validation for record in history if record.validation is not None]
        broken = history and not math.isfinite(history[-1].loss + history[-1].gradient_norm)
        return bool(broken) or (config.patience is not None and overfits(losses, config.patience))

    def write() -> None:
        if config.metrics is not None:
            Path(config.metrics).write_text("".join(json.dumps(asdict(record)) + "\n" for record in history))

    write()
    for step in range(len(history) + 1, config.steps + 1):
        if over():
            break
        rate = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), rate, config.clip)
        measured = None
        if validation is not None and (step % config.evaluate_every == 0 or step == config.steps):
            measured = evaluate(model, validation)
        history.append(Record(step, loss, rate, norm, measured))
        write()
        if config.progress:
            show_progress(history[-1], config.steps)
        if config.checkpoint and (step % config.checkpoint_every == 0 or step == config.steps or over()):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history
