"""These are other right versions of parts of optim.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate


@alternate("optim.parameter_groups")
def groups_by_name(model, weight_decay):
    """Names first, each parameter once; what has one axis does not decay."""
    seen = {id(parameter): parameter for _, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [parameter for parameter in seen.values() if parameter.dim() > 1]
    vectors = [parameter for parameter in seen.values() if parameter.dim() <= 1]
    return [dict(params=matrices, weight_decay=weight_decay), dict(params=vectors, weight_decay=0.0)]


@alternate("optim.AdamW.step")
@torch.no_grad()
def corrections_in_the_rate(self):
    """The two corrections go into the step size and into the denominator, as PyTorch's own loop has them."""
    for group in self.param_groups:
        beta1, beta2 = group["betas"]
        for parameter in (p for p in group["params"] if p.grad is not None):
            state = self.state[parameter]
            if len(state) == 0:
                state["step"], state["exp_avg"], state["exp_avg_sq"] = 0, torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
            state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
            state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * parameter.grad**2)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            root = math.sqrt(1 - beta2 ** state["step"])
            denominator = state["exp_avg_sq"].sqrt() / root + group["eps"]
            parameter.sub_(group["lr"] / (1 - beta1 ** state["step"]) * state["exp_avg"] / denominator)


@alternate("optim.clip_gradients")
def clip_by_the_norm_of_norms(parameters, max_norm):
    """The norm of the vector of norms; gradients that are too long are scaled."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if len(gradients) == 0 or not max_norm > 0:
        raise ValueError("nothing to clip")
    norms = [torch.linalg.vector_norm(g, dtype=torch.promote_types(g.dtype, torch.float32)) for g in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    if torch.isfinite(norm) and norm > max_norm:
        scale = (max_norm / norm).item()
        for gradient in gradients:
            gradient.copy_(gradient * scale)
    return norm
