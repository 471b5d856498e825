"""Checks of amp.py."""

import copy
import math

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, on_device, part, same, satisfies

IGNORE = -100
STEP = (
    "accumulate.count_targets",
    "accumulate.summed_loss",
    "accumulate.accumulate_gradients",
    "amp.Scaler",
    "schedule.Scheduler",
)


def batch(draw, lengths, seq_len=4):
    """Sequences with these many targets that count."""
    inputs, targets = draw.integers(0, 11, len(lengths), seq_len), draw.integers(0, 11, len(lengths), seq_len)
    return inputs, targets.masked_fill(torch.arange(seq_len) >= torch.tensor(lengths)[:, None], IGNORE)


def small_model(draw):
    """Vectors, a layer, and logits of 11 tokens."""
    return draw.fill_(nn.Sequential(nn.Embedding(11, 6), nn.Tanh(), nn.Linear(6, 11)))


def with_gradients(draw, *sizes):
    """A module of vectors with drawn gradients, as a backward pass left them."""
    module = draw.fill_(nn.ParameterList([nn.Parameter(torch.zeros(size)) for size in sizes]))
    for parameter in module:
        parameter.grad = draw.normal(*parameter.shape).clone()
    return module


def gradients(module):
    """The gradient of each parameter by name."""
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def values(module):
    """The parameters by name, as they are now."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def counted(optimizer, scheduler=None):
    """How often an optimiser stepped, and the updates that a scheduler has counted."""
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    return lambda: [len(calls), *([scheduler.done] if scheduler else [])]


@part("amp.Scaler")
@weight(1)
@matches_reference
def test_gradients_are_divided_by_the_scale(solution, draw):
    """Every gradient is divided by the scale, in the tensor that it stands in; parameters without one are passed over."""
    module = with_gradients(draw, 3, 4)
    module.append(nn.Parameter(torch.zeros(2)))
    before = [parameter.grad for parameter in module]
    scaler = solution.amp.Scaler(scale=64.0)
    scaler.unscale(module.parameters())
    once = {name: None if g is None else g.clone() for name, g in gradients(module).items()}
    solution.amp.Scaler.off().unscale(iter(module.parameters()))
    return {
        "once": once,
        "with the one that is off": gradients(module),
        "in place": all(p.grad is g for p, g in zip(module, before, strict=True)),
        "scale": scaler.scale,
    }


@part("amp.Scaler")
@weight(2)
@matches_reference
def test_restored_scaler_goes_on(solution, draw):
    """A scaler with the state of another one grows and shrinks with it, at the same steps."""
    one = solution.amp.Scaler(scale=2.0**12, interval=4)
    for finite in (True, True, False, True, True, True):
        one.update(finite)
    state = one.state_dict()
    two = solution.amp.Scaler(scale=3.0, interval=4)
    two.load_state_dict(state)
    at_once = [float(two.scale), two.good_steps]
    course = []
    for finite in (True, True, True, True, False, True, *draw.bernoulli(0.8, 20).tolist()):
        one.update(finite)
        two.update(finite)
        course.append([float(one.scale), float(two.scale), one.good_steps, two.good_steps])
    off = solution.amp.Scaler.off()
    off.update(False)
    return {"state": state, "at once": at_once, "course": course, "off": off.state_dict()}


@part("amp.apply_gradients")
@needs("amp.Scaler")
@weight(1.5)
@matches_reference
def test_unscaled_first_and_clipped_then(solution, draw):
    """Gradients are divided by the scale, and then clipped together; the norm that comes back is unscaled, from before clipping."""
    seen = {}
    for name, scale, max_norm in (("large", 1024.0, 0.5), ("within", 1024.0, 1e3), ("off", 1.0, 0.1)):
        module = with_gradients(draw, 4, 3)
        for parameter in module:
            parameter.grad = parameter.grad * scale
        optimizer = torch.optim.SGD(module.parameters(), lr=0.25)
        norm, skipped = solution.amp.apply_gradients(module, optimizer, solution.amp.Scaler(scale=scale), max_norm)
        seen[name] = {"norm": norm, "skipped": skipped, "parameters": values(module), "gradients": gradients(module)}
    return seen


@part("amp.apply_gradients")
@needs("amp.Scaler", "schedule.Scheduler")
@weight(1.5)
@matches_reference
def test_step_with_infinity_is_skipped(solution, draw):
    """Where the norm is infinite or NaN, parameters, moments, Adam's count and the scheduler stay; the scale alone shrinks."""
    seen = {}
    for name, wrong in (("inf", math.inf), ("nan", math.nan)):
        module = with_gradients(draw, 4, 3)
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
        scheduler = solution.schedule.Scheduler(optimizer, lambda number: 0.5 / number)
        optimizer.step()
        before = values(module), copy.deepcopy(optimizer.state_dict()["state"])
        module[1].grad[1] = wrong
        scaler = solution.amp.Scaler(scale=256.0)
        norm, skipped = solution.amp.apply_gradients(module, optimizer, scaler, 1.0, scheduler)
        after = values(module), optimizer.state_dict()["state"]
        seen[name] = {
            "finite": math.isfinite(norm),
            "skipped": skipped,
            "parameters": after[0],
            "state": {
                f"{number} {key}": torch.as_tensor(value).clone()
                for number, one in after[1].items()
                for key, value in one.items()
            },
            "parameters stay": all(torch.equal(before[0][key], after[0][key]) for key in after[0]),
            "counts stay": [float(one["step"]) for one in after[1].values()]
            == [float(one["step"]) for one in before[1].values()],
            "done": scheduler.done,
            "lr": float(optimizer.param_groups[0]["lr"]),
            "scaler": scaler.state_dict(),
        }
    return seen


@part("amp.apply_gradients")
@needs("amp.Scaler", "schedule.Scheduler")
@weight(1.5)
@matches_reference
def test_scheduler_counts_updates(solution, draw):
    """The update uses the learning rate that was set for it. Then the scheduler moves on, once for each update that is done."""
    module = with_gradients(draw, 5)
    optimizer = torch.optim.SGD(module.parameters(), lr=9.0)
    scheduler = solution.schedule.Scheduler(optimizer, lambda number: (0.5, 0.03, 0.25, 0.01)[number - 1])
    scaler, course = solution.amp.Scaler.off(), []
    for finite in (True, False, True):
        module[0].grad = draw.normal(5) / (1.0 if finite else 0.0)
        norm, skipped = solution.amp.apply_gradients(module, optimizer, scaler, 100.0, scheduler)
        course.append(
            {
                "parameters": values(module),
                "skipped": skipped,
                "done": scheduler.done,
                "lr": float(optimizer.param_groups[0]["lr"]),
            }
        )
    return {"course": course, "norm": norm}


@part("amp.apply_gradients")
@needs("amp.Scaler")
@weight(1.5)
@matches_reference
def test_scaler_hears_of_every_step(solution, draw):
    """The scaler is told of good steps and of skipped ones: its scale grows after some, and shrinks after a bad one."""
    module = with_gradients(draw, 3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    scaler, course = solution.amp.Scaler(scale=8.0, interval=2), []
    for finite in (True, True, True, False, True, True, False):
        module[0].grad = draw.normal(3) * scaler.scale / (1.0 if finite else 0.0)
        solution.amp.apply_gradients(module, optimizer, scaler)
        course.append([float(scaler.scale), scaler.good_steps])
    return {"course": course, "parameters": values(module)}


@part("amp.training_step")
@needs(*STEP, "accumulate.split_batch", "amp.apply_gradients")
@weight(1)
@satisfies(same("micro-batches", "whole"))
def test_parts_are_one_update(solution, draw):
    """Three steps in four uneven micro-batches each leave the weights of three steps with whole batches; one update each."""
    found, losses, updates = [], [], []
    batches = [batch(draw, [4, 1, 0, 3, 2, 4, 1]) for _ in range(3)]
    for n_micro_batches in (1, 4):
        model = small_model(draw)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        scheduler = solution.schedule.Scheduler(optimizer, lambda number: 0.5 / number)
        done = counted(optimizer, scheduler)
        for one in batches:
            micro_batches = solution.accumulate.split_batch(one, n_micro_batches)
            losses.append(
                solution.amp.training_step(
                    model, optimizer, micro_batches, solution.amp.Scaler.off(), scheduler=scheduler, max_norm=0.2
                ).loss
            )
        found.append(torch.cat([value.flatten() for value in values(model).values()]))
        updates.append(done())
    return {"micro-batches": found[1], "whole": found[0], "losses": losses, "updates": updates}


@part("amp.training_step")
@needs(*STEP, "amp.apply_gradients")
@weight(1)
@matches_reference
def test_earlier_gradients_do_not_count(solution, draw):
    """Whatever stands in .grad before a step is cleared: leftovers of the last step, and infinities of a skipped one."""
    model = small_model(draw)
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.5), solution.amp.Scaler(scale=4.0)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, math.inf)
    steps = []
    for lengths in ([4, 2], [1, 1, 4], [3]):
        step = solution.amp.training_step(model, optimizer, [batch(draw, lengths), batch(draw, [2])], scaler, max_norm=0.3)
        steps.append([step.loss, step.grad_norm, step.skipped])
    return {"steps": steps, "parameters": values(model)}


@part("amp.training_step")
@needs(*STEP, "amp.apply_gradients")
@weight(1)
@matches_reference
def test_loss_and_norm_are_told_without_the_scale(solution, draw):
    """Whatever the scale, a step tells the loss and the norm without it, and leaves the same weights; a skip is told as well."""
    seen = {}
    for scale in (1.0, 4096.0):
        model = small_model(draw)
        step = solution.amp.training_step(
            model,
            torch.optim.SGD(model.parameters(), lr=0.5),
            [batch(draw, [4, 2]), batch(draw, [1])],
            solution.amp.Scaler(scale=scale),
            max_norm=0.4,
        )
        seen[f"scale {scale:g}"] = {
            "loss": step.loss,
            "norm": step.grad_norm,
            "skipped": step.skipped,
            "parameters": values(model),
        }
    model = small_model(draw)
    model[2].bias.register_hook(lambda gradient: gradient / 0.0)
    scaler = solution.amp.Scaler(scale=16.0)
    step = solution.amp.training_step(model, torch.optim.AdamW(model.parameters()), [batch(draw, [3, 4])], scaler)
    skipped = {
        "skipped": step.skipped,
        "loss": step.loss,
        "finite norm": math.isfinite(step.grad_norm),
        "parameters": values(model),
    }
    return seen | {"with infinity": skipped, "scaler": scaler.state_dict()}


@part("amp.training_step")
@needs(*STEP, "amp.apply_gradients")
@weight(0.5)
@matches_reference
def test_step_in_sixteen_bits(solution, draw):
    """The model runs under autocast of the dtype that was asked for, once for each micro-batch; the weights stay what they were."""
    model, seen = small_model(draw), []
    model.register_forward_hook(lambda *_: seen.append(f"{torch.is_autocast_enabled('cpu')} {torch.get_autocast_dtype('cpu')}"))
    scaler = solution.amp.Scaler(scale=256.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    step = solution.amp.training_step(model, optimizer, [batch(draw, [4, 2]), batch(draw, [1])], scaler, torch.float16, 0.5)
    for lower in draw.bernoulli(0.5, 10).tolist():
        dtype = torch.float16 if lower else torch.bfloat16
        solution.amp.training_step(model, optimizer, [batch(draw, [2])], scaler, dtype, 0.5)
    return {
        "autocast": seen,
        "skipped": step.skipped,
        "kinds": all(p.dtype == torch.get_default_dtype() for p in model.parameters()),
    }


def faint() -> nn.Module:
    """Makes what comes back through it a million times smaller."""

    class Faint(nn.Module):
        def forward(self, x):
            return x * 1e-6

    return Faint()


def nearly(first, second, share):
    """Two leaves differ by no more than this share of the largest value."""

    def holds(seen):
        a, b = seen[first].values, seen[second].values
        gap = abs(a - b).max() / abs(b).max()
        return None if gap <= share else f"{first} and {second} should be nearly the same; they differ by {100 * gap:.3g} %"

    return holds


@part("amp.training_step")
@needs(*STEP, "amp.apply_gradients")
@weight(0.5)
@satisfies(nearly("gradient in 16 bits", "gradient in 32 bits", 0.02), random=("gradient in 16 bits",))
def test_scale_saves_faint_gradients(solution, draw):
    """Gradients of 10⁻⁷ come through float16 if the loss is scaled, as they do in float32 without; 0.1 % is lost on the way."""
    model, one = (
        draw.fill_(nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 6), faint(), nn.Linear(6, 11))),
        batch(draw, [4, 2, 3]),
    )
    found = {}
    for name, dtype, scaler in (
        ("gradient in 16 bits", torch.float16, solution.amp.Scaler(scale=2.0**14)),
        ("gradient in 32 bits", torch.float32, solution.amp.Scaler.off()),
    ):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        solution.amp.training_step(model, optimizer, [one], scaler, dtype, max_norm=1e9)
        found[name] = model[0].weight.grad.clone()
    return found


@part("amp.training_step")
@needs(*STEP, "amp.apply_gradients")
@on_device("cuda")
@weight(1)
@satisfies(nearly("gradient in 16 bits", "gradient in 32 bits", 0.02), random=("gradient in 16 bits",))
def test_scale_saves_faint_gradients_on_cuda(solution, draw):
    """On a CUDA device, too, gradients of 10⁻⁷ come through float16 if the loss is scaled."""
    return test_scale_saves_faint_gradients(solution, draw)
