"""These are wrong versions of parts of optim.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch

from tools.author.cases import misconception


@misconception("optim.parameter_groups", ask="What would decay do to the scale of a norm?")
def everything_decays(model, weight_decay):
    """Biases and norms decay too."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [{"params": trained, "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]


@misconception("optim.parameter_groups", ask="Should a parameter that is frozen change?")
def frozen_parameters_too(model, weight_decay):
    """Frozen parameters are handed to the optimiser."""
    every = list(model.parameters())
    return [
        {"params": [parameter for parameter in every if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in every if parameter.ndim < 2], "weight_decay": 0.0},
    ]


@misconception("optim.parameter_groups", ask="How often does a shared matrix decay in one update?")
def shared_parameters_twice(model, weight_decay):
    """A parameter with two names stands in its group twice."""
    trained = [parameter for _, parameter in model.named_parameters(remove_duplicate=False) if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def running_means(optimizer, parameter, group, gradient=None, first_step=0):
    """The two running means after this gradient, and the number of the step; as the reference has them."""
    gradient = parameter.grad if gradient is None else gradient
    state, (beta1, beta2) = optimizer.state[parameter], group["betas"]
    if not state:
        state.update(step=first_step, exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
    state["step"] += 1
    state["exp_avg"].mul_(beta1).add_(gradient, alpha=1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return state["exp_avg"], state["exp_avg_sq"], state["step"]


def each_parameter(optimizer):
    """Parameters with a gradient, with their group."""
    return [(p, group) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


@misconception("optim.AdamW.step", pitfall=1, ask="By what is the decay divided, if it is part of the gradient?")
@torch.no_grad()
def decay_coupled_into_the_gradient(self):
    """Decay is added to the gradient, so it is divided by the root of the mean square like everything else."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group, p.grad + group["weight_decay"] * p)
        beta1, beta2 = group["betas"]
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=1, ask="How much does a parameter shrink when lr is 0?")
@torch.no_grad()
def decay_without_the_rate(self):
    """Decay is not multiplied by the learning rate, so it is the same when the rate is small."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=2, ask="What is m after the first update, and what is m̂?")
@torch.no_grad()
def bias_correction_off_by_one(self):
    """The bias correction takes the first update for the second."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(
            mean / (1 - beta1 ** (step + 1)), (square / (1 - beta2 ** (step + 1))).sqrt() + group["eps"], value=-group["lr"]
        )


@misconception("optim.AdamW.step", pitfall=2, ask="How large is m after the first update, compared with the gradient?")
@torch.no_grad()
def no_bias_correction(self):
    """The running means are used as they are, though they start at 0."""
    for p, group in each_parameter(self):
        mean, square, _ = running_means(self, p, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean, square.sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=3, ask="How large is √(1e-8)?")
@torch.no_grad()
def eps_inside_the_root(self):
    """eps is added to the mean square before the root is taken, where it is far larger."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step) + group["eps"]).sqrt(), value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=3, ask="Is eps divided by √(1 − β₂ᵗ) too?")
@torch.no_grad()
def eps_before_the_correction(self):
    """eps is added to the root before the bias is corrected, so it counts for more in the first updates."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        root = (square.sqrt() + group["eps"]) / math.sqrt(1 - beta2**step)
        p.addcdiv_(mean / (1 - beta1**step), root, value=-group["lr"])


@misconception("optim.AdamW.step", ask="What is in the groups, if not these settings?")
@torch.no_grad()
def settings_of_the_first_group_for_all(self):
    """All groups go by the settings that the optimiser was built with."""
    for p, _ in each_parameter(self):
        group = self.defaults
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", ask="Should a parameter decay that took no part in the loss?")
@torch.no_grad()
def no_gradient_is_a_zero_gradient(self):
    """A parameter without a gradient is updated as if its gradient were 0: it decays, and its steps count."""
    for group in self.param_groups:
        for p in group["params"]:
            gradient = torch.zeros_like(p) if p.grad is None else p.grad
            mean, square, step = running_means(self, p, group, gradient)
            beta1, beta2 = group["betas"]
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", ask="Who still holds the old tensor?")
@torch.no_grad()
def parameters_get_new_tensors(self):
    """The parameter gets a new tensor instead of new numbers, so whoever shares its memory is left behind."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        shrunk = p * (1 - group["lr"] * group["weight_decay"])
        p.data = shrunk - group["lr"] * (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)).sqrt() + group["eps"])


def check_clip(parameters, max_norm):
    """The argument checks of clip_gradients; the gradients."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients or not max_norm > 0:
        raise ValueError("needed: gradients, and a norm above 0")
    return gradients


def global_norm(gradients):
    """The norm of all entries together, as the reference has it."""
    squares = [gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum() for gradient in gradients]
    return torch.stack(squares).sum().sqrt()


@misconception("optim.clip_gradients", pitfall=4, ask="What should become of a gradient that is short already?")
def always_rescaled(parameters, max_norm):
    """Gradients are always scaled to max_norm, so short ones are blown up."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    if norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="Does the direction of the whole gradient stay the same?")
def each_parameter_clipped_alone(parameters, max_norm):
    """The gradient of each parameter is clipped by its own norm, which changes the direction of the gradient as a whole."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    for gradient in gradients if norm < math.inf else []:
        own = global_norm([gradient])
        if own > max_norm:
            gradient.mul_(max_norm / own)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="How long is the vector (3, 4)?")
def norms_are_added_up(parameters, max_norm):
    """The norms of the parameters are added up, which is more than the norm of all together."""
    gradients = check_clip(parameters, max_norm)
    norm = torch.stack([global_norm([gradient]) for gradient in gradients]).sum()
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="What is left of a gradient whose entries are all cut to 1?")
def entries_are_clamped(parameters, max_norm):
    """Each entry is cut to ± max_norm, which changes the direction of the gradient."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    for gradient in gradients if norm < math.inf else []:
        gradient.clamp_(-max_norm, max_norm)
    return norm


@misconception("optim.clip_gradients", ask="What is 300² in float16?")
def squares_in_low_precision(parameters, max_norm):
    """The squares are taken in the dtype of the gradients, and in float16 they overflow."""
    gradients = check_clip(parameters, max_norm)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm.to(torch.promote_types(norm.dtype, torch.float32))


@misconception("optim.clip_gradients", ask="Which norm tells whether the run is about to diverge?")
def norm_from_after_clipping(parameters, max_norm):
    """The norm that is returned is the one after clipping, which never shows how long the gradient was."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return global_norm(gradients)
