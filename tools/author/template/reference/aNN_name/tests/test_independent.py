"""The reference and `given` against code that others wrote: torch.softmax, F.kl_div, and autograd's own check of gradients."""

import pytest
import torch
import torch.nn.functional as F

pytestmark = pytest.mark.usefixtures("float64")
PLACES = {
    "reference": ("reference", "aNN_name"),
    "given": ("assignments", "given.aNN_name"),
}
TEMPERATURES = (0.3, 1.0, 7.5)


@pytest.fixture(scope="module", params=PLACES)
def distill(request, load):
    return load(*PLACES[request.param], ("distill",)).distill


def logits(*shape: int, scale: float = 3.0) -> torch.Tensor:
    return (scale * torch.randn(*shape)).requires_grad_()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(1,), (4, 1), (2, 3, 5), (0, 3)])
def test_probabilities_are_those_of_torch(distill, shape, temperature):
    x = logits(*shape)
    torch.testing.assert_close(distill.softmax_with_temperature(x, temperature), torch.softmax(x / temperature, -1))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(5,), (4, 1), (2, 3, 5)])
def test_loss_and_gradient_are_those_of_torch(distill, shape, temperature):
    student, teacher = logits(*shape), logits(*shape)
    actual = distill.distillation_loss(student, teacher, temperature)
    log_q, p = F.log_softmax(student / temperature, -1), F.softmax(teacher.detach() / temperature, -1)
    rows = F.kl_div(log_q, p, reduction="none").sum(-1)
    expected = temperature**2 * rows.mean()
    torch.testing.assert_close(actual, expected)
    gradients = [torch.autograd.grad(loss, student, retain_graph=True)[0] for loss in (actual, expected)]
    torch.testing.assert_close(*gradients)
    assert torch.autograd.grad(actual, teacher, allow_unused=True) == (None,)


def test_gradients_are_those_of_differences(distill):
    teacher = logits(3, 4).detach()
    assert torch.autograd.gradcheck(lambda x: distill.softmax_with_temperature(x, 1.5), logits(3, 4))
    assert torch.autograd.gradcheck(lambda x: distill.distillation_loss(x, teacher, 1.5), logits(3, 4))


def test_a_hot_loss_compares_the_logits_themselves(distill):
    student, teacher = logits(4, 6), logits(4, 6).detach()
    [gradient] = torch.autograd.grad(distill.distillation_loss(student, teacher, 1e6), student)
    centred = (student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))
    torch.testing.assert_close(gradient, centred / student.numel(), rtol=1e-4, atol=1e-5)
