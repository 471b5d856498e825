"""These are wrong versions of parts of precision.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
from torch import nn

from tools.author.cases import misconception

from .precision import Limits, Step, limits


@misconception("precision.limits", pitfall=1, ask="What does an exponent of all ones mean?")
def all_ones_is_an_exponent(layout):
    """The exponent of all ones is used for numbers, so everything goes twice as far."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0 ** (bias + 1), smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", pitfall=1, ask="What is the largest mantissa?")
def largest_is_a_power_of_two(layout):
    """The mantissa of the largest number is taken for 1, or for 2, instead of 2 − epsilon."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits(2.0 ** (bias + 1), smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", ask="What does an exponent of all zeros mean?")
def all_zeros_is_an_exponent(layout):
    """The exponent of all zeros is used for normal numbers, so the smallest is half of what it should be."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0**-bias
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest * epsilon, epsilon)


@misconception("precision.limits", ask="What is the next number after 1?")
def epsilon_is_half_a_step(layout):
    """Epsilon is the rounding error, half of the step from 1 to the next number."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest * epsilon, epsilon / 2)


@misconception("precision.limits", pitfall=2, ask="What lies between 0 and the smallest normal number?")
def subnormals_do_not_exist(layout):
    """The smallest number above 0 is taken for the smallest normal one."""
    bias = 2 ** (layout.exponent_bits - 1) - 1
    epsilon, smallest = 2.0**-layout.mantissa_bits, 2.0 ** (1 - bias)
    return Limits((2 - epsilon) * 2.0**bias, smallest, smallest, epsilon)


def steps_of(wide, layout):
    """The step of the format at each number."""
    power = (wide.contiguous().view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    bound = limits(layout)
    return power.clamp(min=bound.smallest_normal) * bound.epsilon


def overflowed(rounded, wide, layout):
    """±inf beyond the largest number; what was not finite as it was."""
    beyond = rounded.abs() > limits(layout).largest
    rounded = torch.where(beyond, torch.copysign(torch.full_like(wide, math.inf), wide), rounded)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", pitfall=3, ask="Which neighbour is nearer?")
def digits_are_cut_off(x, layout):
    """What the format cannot hold is cut off instead of rounded."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed((wide / step).trunc() * step, wide, layout)


@misconception("precision.round_to", pitfall=3, ask="Where does round(2.5) go?")
def halves_go_away_from_zero(x, layout):
    """Halves are rounded away from zero, so that sums of many drift."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed(torch.copysign((wide.abs() / step + 0.5).floor() * step, wide), wide, layout)


@misconception("precision.round_to", pitfall=2, ask="What is half of the smallest normal number?")
def small_numbers_are_flushed(x, layout):
    """Everything below the smallest normal number becomes 0."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    rounded = (wide / step).round() * step
    return overflowed(torch.where(wide.abs() < limits(layout).smallest_normal, 0 * rounded, rounded), wide, layout)


@misconception("precision.round_to", pitfall=2, ask="How large is the step below the smallest normal number?")
def grid_goes_on_shrinking(x, layout):
    """The steps shrink with each power of two for ever, so subnormal numbers keep digits that they do not have."""
    wide = x.detach().to(torch.float64)
    power = (wide.contiguous().view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    step = power.clamp(min=1e-290) * limits(layout).epsilon
    return overflowed((wide / step).round() * step, wide, layout)


@misconception("precision.round_to", pitfall=4, ask="What is log2 of the number just below 8, in float32?")
def logarithm_finds_the_power(x, layout):
    """The power of two is found by a logarithm in the dtype of x, which is one too high just below a power."""
    wide, bound = x.detach().to(torch.float64), limits(layout)
    power = 2.0 ** x.detach().abs().log2().floor().double().clamp(-1000, 1000)
    step = power.clamp(min=bound.smallest_normal) * bound.epsilon
    return overflowed((wide / step).round() * step, wide, layout)


@misconception("precision.round_to", pitfall=5, ask="To which number is 65,519 nearest?")
def overflow_before_rounding(x, layout):
    """Everything beyond the largest number becomes infinite, also what would have been rounded to it."""
    wide = x.detach().to(torch.float64)
    step, beyond = steps_of(wide, layout), wide.abs() > limits(layout).largest
    rounded = torch.where(beyond, torch.copysign(torch.full_like(wide, math.inf), wide), (wide / step).round() * step)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", ask="What is 10⁹ in float16?")
def largest_number_is_a_wall(x, layout):
    """What is too large becomes the largest number instead of infinity."""
    wide, bound = x.detach().to(torch.float64), limits(layout)
    step = steps_of(wide, layout)
    rounded = ((wide / step).round() * step).clamp(-bound.largest, bound.largest)
    return torch.where(wide.isfinite(), rounded, wide)


@misconception("precision.round_to", ask="Which dtype does the signature promise?")
def result_has_the_dtype_of_the_input(x, layout):
    """The result comes back in the dtype of x instead of float64."""
    wide = x.detach().to(torch.float64)
    step = steps_of(wide, layout)
    return overflowed((wide / step).round() * step, wide, layout).to(x.dtype)


@misconception("precision.LossScaler.update", pitfall=10, ask="What ever makes the scale larger?")
def scale_never_grows(self, finite):
    """The scale only ever becomes smaller."""
    if not finite:
        self.scale *= self.backoff


@misconception("precision.LossScaler.update", pitfall=10, ask="What does 'in a row' mean?")
def good_steps_outlive_a_bad_one(self, finite):
    """A bad step does not start the count of good steps again."""
    if not finite:
        self.scale *= self.backoff
        return
    self.good_steps += 1
    if self.good_steps == self.interval:
        self.scale *= self.growth
        self.good_steps = 0


@misconception("precision.LossScaler.update", pitfall=10, ask="How many good steps does the second growth take?")
def count_goes_on_after_growth(self, finite):
    """The count is not started again when the scale has grown, so it grows with every further step."""
    if not finite:
        self.scale *= self.backoff
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps >= self.interval:
        self.scale *= self.growth


@misconception("precision.LossScaler.update", ask="After how many good steps does it grow?")
def scale_grows_one_step_late(self, finite):
    """The scale grows with the step after the interval instead of its last one."""
    if not finite:
        self.scale *= self.backoff
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps > self.interval:
        self.scale *= self.growth
        self.good_steps = 0


@misconception("precision.LossScaler.update", ask="Are backoff and growth always one over the other?")
def scale_shrinks_by_growth(self, finite):
    """A bad step divides the scale by `growth`, and `backoff` is not looked at."""
    if not finite:
        self.scale /= self.growth
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps == self.interval:
        self.scale *= self.growth
        self.good_steps = 0


def unscale(model, scaler):
    """Gradients divided by the scale."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= scaler.scale


def scaled_backward(model, loss_of, optimizer, scaler, dtype):
    """Forward under autocast, and backward from the scaled loss."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    (loss * scaler.scale).backward()
    return loss


def finish(optimizer, scaler, loss, norm):
    """Update or skip, and tell the scaler."""
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=6, ask="How large are the gradients before they are unscaled?")
def clipped_before_unscaling(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The gradients are clipped while the scale is still in them, so nearly every step becomes tiny."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm) / scaler.scale
    unscale(model, scaler)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="Who takes the scale out of the gradients?")
def gradients_keep_their_scale(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The scale is never taken out of the gradients."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What becomes of 2⁻³⁰ in float16?")
def loss_is_not_scaled(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The backward pass starts from the loss as it is, so small gradients round to 0."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What does Adam remember of an infinite gradient?")
def step_is_taken_on_infinity(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The optimiser steps whatever the gradients are."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    finite = bool(torch.isfinite(norm))
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What does AdamW do with a gradient of 0?")
def infinite_gradients_become_zero(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """Bad gradients are replaced by 0 and the step is taken, so decay and moments move the weights all the same."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = bool(torch.isfinite(norm))
    if not finite:
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
    optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=7, ask="What is NaN == math.inf?")
def only_infinity_is_bad(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """Only inf is looked for, and a step with NaN is taken."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = not bool(torch.isinf(norm))
    if finite:
        optimizer.step()
    scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.mixed_precision_step", pitfall=8, ask="What is in .grad before the first backward pass?")
def earlier_gradients_are_added(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The gradients of the step before are not cleared, and add up."""
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
    (loss * scaler.scale).backward()
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", pitfall=9, ask="Whose loss is 65,536 times too large?")
def loss_is_reported_with_its_scale(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The loss that is reported still has the scale in it."""
    scale = scaler.scale
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss * scale, norm)


@misconception("precision.mixed_precision_step", pitfall=9, ask="Where does the `with` end?")
def backward_under_autocast(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The backward pass is under autocast too, where each operation already has its type."""
    optimizer.zero_grad()
    with torch.autocast(next(model.parameters()).device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = loss_of()
        (loss * scaler.scale).backward()
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What is `dtype` for?")
def autocast_is_left_out(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The forward pass is computed in float32, whatever was asked for."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, torch.float32)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="What is the norm of a gradient of 0.01 after the step?")
def gradients_always_get_the_largest_norm(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """All gradients are brought to the norm max_norm, small ones too."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad *= max_norm / norm
    return finish(optimizer, scaler, loss, norm)


@misconception("precision.mixed_precision_step", ask="When is the norm taken: before clipping, or after?")
def norm_is_that_after_clipping(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The norm that is reported is the one after clipping, which never says how large the gradients were."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return finish(optimizer, scaler, loss, norm.clamp_max(max_norm) if norm.isfinite() else norm)


@misconception("precision.mixed_precision_step", ask="Who tells the scaler of a good step?")
def scaler_hears_of_bad_steps_alone(model, loss_of, optimizer, scaler, dtype=torch.bfloat16, max_norm=1.0):
    """The scaler hears of bad steps alone, so it never counts the good ones."""
    loss = scaled_backward(model, loss_of, optimizer, scaler, dtype)
    unscale(model, scaler)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    else:
        scaler.update(finite)
    return Step(loss.item(), norm.item(), skipped=not finite)


@misconception("precision.state_bytes", pitfall=11, ask="Where do small updates go, when weights have 8 bits of mantissa?")
def master_copy_is_forgotten(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The float32 copy of 16-bit weights is not counted."""
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * moments * 4,
    }


@misconception("precision.state_bytes", pitfall=11, ask="What would a float32 copy of float32 weights be for?")
def master_copy_of_everything(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """A copy is counted for weights that are float32 already."""
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * (moments + 1) * 4,
    }


@misconception("precision.state_bytes", ask="In which dtype does the optimiser keep its moments?")
def moments_in_the_dtype_of_the_weights(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The moments are counted in the dtype of the weights instead of float32."""
    copy = 4 if weights.itemsize < 4 else 0
    return {
        "weights": n_parameters * weights.itemsize,
        "gradients": n_parameters * gradients.itemsize,
        "optimiser": n_parameters * (moments * weights.itemsize + copy),
    }


@misconception("precision.state_bytes", pitfall=11, ask="How many bits has a byte?")
def bits_for_bytes(n_parameters, weights=torch.float32, gradients=torch.float32, moments=2):
    """The counts are in bits."""
    copies = moments + (weights.itemsize < 4)
    return {
        "weights": n_parameters * weights.itemsize * 8,
        "gradients": n_parameters * gradients.itemsize * 8,
        "optimiser": n_parameters * copies * 32,
    }


@misconception("precision.activation_bytes", pitfall=12, ask="How much memory do two views of one tensor take?")
def views_are_counted_each(function, known):
    """Every tensor that is saved is counted, though several share their memory."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        function()
    there = {t.untyped_storage().data_ptr() for t in known}
    return sum(t.nbytes for t in saved if t.untyped_storage().data_ptr() not in there)


@misconception("precision.activation_bytes", pitfall=12, ask="Is weight.T the same tensor as weight, and the same memory?")
def transposed_weights_are_not_known(function, known):
    """Known tensors are recognised by their shape and place, so a transposed weight counts as something new."""
    storages = {}

    def note(tensor):
        if not any(tensor.data_ptr() == k.data_ptr() and tensor.shape == k.shape for k in known):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    known = list(known)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    return sum(storage.nbytes() for storage in storages.values())


@misconception("precision.activation_bytes", ask="What was there before the function ran?")
def everything_saved_is_counted(function, known):
    """Inputs and parameters are counted too, though they are there anyway."""
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    return sum(storage.nbytes() for storage in storages.values())


@misconception("precision.activation_bytes", pitfall=12, ask="What does a slice of one number keep alive?")
def slice_is_counted_by_its_own_size(function, known):
    """A view is counted by its own size, though it keeps the whole memory behind it alive."""
    sizes, kept = {}, []

    def note(tensor):
        kept.append(tensor)
        address = tensor.untyped_storage().data_ptr()
        sizes[address] = max(sizes.get(address, 0), tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    return sum(size for address, size in sizes.items() if address not in there)


@misconception("precision.activation_bytes", pitfall=11, ask="How many bytes has a bfloat16 number?")
def four_bytes_for_every_number(function, known):
    """Every number is counted as four bytes, whatever its dtype."""
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage(), tensor.dtype.itemsize)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function()
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    return sum(s.nbytes() // size * 4 for address, (s, size) in storages.items() if address not in there)
