"""These are wrong versions of parts of amp.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
from given.a02_training.optim import clip_gradients

from tools.author.cases import misconception

from .accumulate import accumulate_gradients, count_targets
from .amp import Step, apply_gradients


@misconception("amp.Scaler.unscale", ask="The loss was multiplied by the scale; what has to be done to gradients?")
def multiplied_again(self, parameters):
    """Gradients are multiplied by the scale once more, instead of being divided by it."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(self.scale)


@misconception("amp.Scaler.unscale", ask="Who else may hold the tensor in .grad?")
def unscaled_copies(self, parameters):
    """New tensors are put into .grad, so that whoever holds the old ones (a bucket, a hook) still has scaled gradients."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad / self.scale


@misconception("amp.Scaler.unscale", ask="What is the gradient of a layer that was not used?")
def every_parameter_has_a_gradient(self, parameters):
    """It is taken for granted that every parameter has a gradient."""
    for parameter in parameters:
        parameter.grad.div_(self.scale)


@misconception("amp.Scaler.state_dict", pitfall=7, ask="When does the scale grow next?")
def good_steps_are_not_saved(self):
    """The good steps since the last change are saved as none, so that the scale of a resumed run grows later."""
    return {"scale": self.scale, "good_steps": 0}


@misconception("amp.Scaler.load_state_dict", pitfall=7, ask="What does growth depend on besides the scale?")
def good_steps_are_not_restored(self, state):
    """The scale is restored, and how many good steps there were since it last changed is not."""
    self.scale = state["scale"]


@misconception("amp.Scaler.load_state_dict", pitfall=7, ask="How many steps does it take to find the scale again?")
def scale_starts_again(self, state):
    """The scale is not restored, and starts where the new scaler was made."""
    self.good_steps = state["good_steps"]


def unscaled_and_clipped(model, scaler, max_norm):
    """The beginning of the step, as it should be: the norm."""
    scaler.unscale(model.parameters())
    return clip_gradients(model.parameters(), max_norm).item()


def updated(norm, finite, optimizer, scaler, scheduler):
    """The rest of the step, as it should be."""
    if finite:
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    scaler.update(finite)
    return norm, not finite


@misconception("amp.apply_gradients", pitfall=1, ask="To what norm are true gradients clipped, if scaled ones are clipped to 1?")
def clipped_before_unscaling(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Scaled gradients are clipped and unscaled afterwards, so that nearly every step is smaller by the scale."""
    norm = clip_gradients(model.parameters(), max_norm).item() / scaler.scale
    scaler.unscale(model.parameters())
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", ask="What divides the gradients by the scale?")
def never_unscaled(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Gradients are not unscaled at all; the norm is that of scaled ones."""
    norm = clip_gradients(model.parameters(), max_norm).item()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=2, ask="What is a weight after one step of infinite size?")
def steps_on_infinity(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The update is done although the gradient is not finite."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    scaler.update(math.isfinite(norm))
    return norm, not math.isfinite(norm)


@misconception("amp.apply_gradients", pitfall=2, ask="Is NaN infinite?")
def nan_is_not_infinite(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Infinity is looked for and NaN is not, so that the update is done with NaN."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    return updated(norm, not math.isinf(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=4, ask="How many updates were there, if one of three was skipped?")
def scheduler_counts_skipped_steps(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scheduler is stepped for skipped updates as well."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    if scheduler is not None and not math.isfinite(norm):
        scheduler.step()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", pitfall=4, ask="Whose rate does the optimiser use, if the scheduler goes first?")
def scheduler_before_the_optimiser(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scheduler is stepped before the optimiser, so that each update has the rate of the next one."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    if scheduler is not None and math.isfinite(norm):
        scheduler.step()
    return updated(norm, math.isfinite(norm), optimizer, scaler, None)


@misconception("amp.apply_gradients", pitfall=2, ask="How will the scale ever fit?")
def scaler_hears_of_good_steps_alone(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The scaler is not told of skipped updates, so that it never shrinks, and every step is skipped."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    finite = math.isfinite(norm)
    return updated(norm, finite, optimizer, scaler, scheduler) if finite else (norm, True)


@misconception("amp.apply_gradients", ask="Which norm says that something is going wrong?")
def norm_from_after_clipping(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """The norm that comes back is that of clipped gradients, which hardly ever changes."""
    norm = unscaled_and_clipped(model, scaler, max_norm)
    return updated(min(norm, max_norm), math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.apply_gradients", ask="What does clipping do to the largest gradients?")
def clipping_is_forgotten(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """Gradients are not clipped."""
    scaler.unscale(model.parameters())
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])).item()
    return updated(norm, math.isfinite(norm), optimizer, scaler, scheduler)


@misconception("amp.training_step", pitfall=3, ask="What stands in .grad after the last step?")
def gradients_are_not_cleared(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients of earlier steps are not cleared, and stay in the sum."""
    loss = accumulate_gradients(model, micro_batches, scale=scaler.scale, dtype=dtype)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", pitfall=3, ask="What is left to step with?")
def gradients_are_cleared_too_late(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients are cleared after the step, where a skipped one of before, or whatever else stands there, comes along."""
    loss = accumulate_gradients(model, micro_batches, scale=scaler.scale, dtype=dtype)
    step = Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))
    optimizer.zero_grad()
    return step


@misconception("amp.training_step", ask="How many updates does a batch in four micro-batches make?")
def an_update_for_each_micro_batch(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Each micro-batch makes an update of its own: that is training with small batches."""
    losses = []
    for micro_batch in micro_batches:
        if count_targets([micro_batch]):
            optimizer.zero_grad()
            losses.append(accumulate_gradients(model, [micro_batch], scale=scaler.scale, dtype=dtype))
            norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(sum(losses) / len(losses), norm, skipped)


@misconception("amp.training_step", ask="After how many batches is the warm-up over, if each has four micro-batches?")
def scheduler_counts_micro_batches(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The scheduler is stepped once for each micro-batch, so that its phases are over too early."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, scale=scaler.scale, dtype=dtype)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    for _ in micro_batches[1:]:
        if scheduler is not None:
            scheduler.step()
    return Step(loss, norm, skipped)


@misconception("amp.training_step", pitfall=5, ask="What is a loss of 150,733 nats?")
def loss_is_told_with_its_scale(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The loss that is told is the scaled one."""
    optimizer.zero_grad()
    scale = scaler.scale
    loss = accumulate_gradients(model, micro_batches, scale=scale, dtype=dtype)
    return Step(loss * scale, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", ask="By what does `unscale` divide?")
def loss_is_not_scaled(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The loss is not scaled, though gradients are unscaled: every step is too small by the scale."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, dtype=dtype)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("amp.training_step", ask="Where does the dtype go?")
def dtype_is_not_handed_on(model, optimizer, micro_batches, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The dtype is not handed on, and everything is computed in float32."""
    optimizer.zero_grad()
    loss = accumulate_gradients(model, micro_batches, scale=scaler.scale)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))
