"""Checks of distill.py that never ship: other shapes, temperatures and sizes."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("distill.softmax_with_temperature")
@weight(1)
@matches_reference
def test_small_temperatures_and_wide_logits(solution, draw):
    """Far apart logits at a small temperature, one row far below the other, and bfloat16 have the reference's probabilities."""
    logits = (draw.normal(3, 7, scale=40) + draw.tensor([[0.0], [3e3], [-2e4]])).requires_grad_()
    probs = solution.distill.softmax_with_temperature(logits, 0.3)
    narrow = solution.distill.softmax_with_temperature(draw.normal(11, 2, scale=5, dtype=torch.bfloat16), 0.7)
    return {"probs": probs, "bfloat16": narrow, "grad": draw.backward(probs)}


@part("distill.distillation_loss")
@needs("distill.softmax_with_temperature")
@weight(1)
@matches_reference
def test_loss_of_texts(solution, draw):
    """A batch of texts, in float32 and in float16, has the reference's loss and gradient."""
    student, teacher = draw.normal(3, 6, 13, scale=6).requires_grad_(), draw.normal(3, 6, 13, scale=9)
    loss = solution.distill.distillation_loss(student, teacher, 1.7)
    half = solution.distill.distillation_loss(draw.normal(4, 5, dtype=torch.float16), draw.normal(4, 5, dtype=torch.float16), 5.0)
    return {"loss": loss, "float16": half, "grad": draw.backward(loss)}
