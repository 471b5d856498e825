"""These are other right versions of parts of distill.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate

from .distill import refuse_bad_input, softmax_with_temperature


@alternate("distill.softmax_with_temperature")
def exponential_of_a_difference(logits, temperature):
    """The logarithm of each probability comes first, and its exponential last."""
    refuse_bad_input(logits, temperature)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    lowered = (wide - wide.detach().max(dim=-1, keepdim=True).values) / temperature
    return torch.exp(lowered - torch.log(torch.exp(lowered).sum(-1, keepdim=True))).to(logits.dtype)


@alternate("distill.softmax_with_temperature")
def sum_by_a_product_with_ones(logits, temperature):
    """The logits are multiplied by the inverse temperature, and the sum is a matrix product."""
    refuse_bad_input(logits, temperature)
    wide = (1 / temperature) * logits.to(torch.promote_types(logits.dtype, torch.float32))
    powers = torch.exp(wide - wide.amax(-1, keepdim=True))
    return (powers * (powers @ powers.new_ones(powers.shape[-1], 1)).reciprocal()).to(logits.dtype)


@alternate("distill.distillation_loss")
def cross_entropy_less_entropy(student, teacher, temperature):
    """The divergence is the cross-entropy of both less the entropy of the teacher."""
    if student.shape != teacher.shape or student.numel() == 0:
        raise ValueError("no such rows")
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    logs = []
    for logits in (student, teacher.detach()):
        refuse_bad_input(logits, temperature)
        lowered = (logits.to(dtype) - logits.detach().to(dtype).amax(-1, keepdim=True)) / temperature
        logs.append(lowered - lowered.exp().sum(-1, keepdim=True).log())
    log_q, log_p = logs
    probs = log_p.exp()
    return ((probs * log_p).sum(-1) - (probs * log_q).sum(-1)).mean() * temperature**2


@alternate("distill.distillation_loss")
def difference_of_normalisers(student, teacher, temperature):
    """The mean difference of the logits under the teacher, and the difference of the logarithms of both sums."""
    if student.shape != teacher.shape or student.numel() == 0:
        raise ValueError("no such rows")
    refuse_bad_input(student, temperature)
    refuse_bad_input(teacher, temperature)
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    s, t = student.to(dtype) / temperature, teacher.detach().to(dtype) / temperature
    s, t = s - s.amax(-1, keepdim=True), t - t.amax(-1, keepdim=True)
    probs = softmax_with_temperature(t, 1.0)
    rows = torch.einsum("...c,...c->...", probs, t - s) + s.exp().sum(-1).log() - t.exp().sum(-1).log()
    return temperature * temperature * rows.sum() / rows.numel()
