"""These are wrong versions of parts of distill.py, one mistake each. A docstring is the hint that a student reads."""

import torch

from tools.author.cases import misconception

from .distill import refuse_bad_input, softmax_with_temperature


def widened(logits):
    """The logits in at least float32."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def shares(scores, dim=-1):
    """What a right softmax does with scores that are divided already."""
    powers = (scores - scores.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def log_shares(scores):
    """The logarithms of the same."""
    lowered = scores - scores.amax(-1, keepdim=True)
    return lowered - lowered.exp().sum(-1, keepdim=True).log()


def common(student, teacher, temperature):
    """Both logits in one dtype, after the argument checks of the loss. The teacher keeps its gradient."""
    if student.shape != teacher.shape or student.numel() == 0:
        raise ValueError("no such rows")
    refuse_bad_input(student, temperature)
    refuse_bad_input(teacher, temperature)
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    return student.to(dtype), teacher.to(dtype)


def divergence(p_logs, q_logs):
    """KL(p ‖ q) of each row, from logarithms."""
    return (p_logs.exp() * (p_logs - q_logs)).sum(-1)


@misconception("distill.softmax_with_temperature", pitfall=1, ask="What should a very large temperature make of the rows?")
def temperature_multiplies(logits, temperature):
    """The logits are multiplied by the temperature, so a higher one makes the probabilities less equal."""
    refuse_bad_input(logits, temperature)
    return shares(widened(logits) * temperature).to(logits.dtype)


@misconception("distill.softmax_with_temperature", pitfall=1, ask="Does dividing all probabilities of a row change them?")
def temperature_after_the_exponential(logits, temperature):
    """The powers are divided by the temperature, which cancels when they are divided by their sum."""
    refuse_bad_input(logits, temperature)
    return shares(widened(logits)).to(logits.dtype)


@misconception("distill.softmax_with_temperature", pitfall=2, ask="What is exp(100) in float32?")
def exponential_of_the_logits_as_they_are(logits, temperature):
    """Nothing is subtracted before the exponential, and large logits overflow."""
    refuse_bad_input(logits, temperature)
    powers = (widened(logits) / temperature).exp()
    return (powers / powers.sum(-1, keepdim=True)).to(logits.dtype)


@misconception("distill.softmax_with_temperature", pitfall=3, ask="One row at 1000 and one at 0: what is exp(−1000)?")
def one_maximum_for_all_rows(logits, temperature):
    """All rows are lowered by the one maximum of everything, and rows far below it become 0 / 0."""
    refuse_bad_input(logits, temperature)
    wide = widened(logits) / temperature
    powers = (wide - wide.max()).exp() if wide.numel() else wide
    return (powers / powers.sum(-1, keepdim=True)).to(logits.dtype)


@misconception("distill.softmax_with_temperature", pitfall=4, ask="How large is 40,000 / 0.25 in float16?")
def divided_in_low_precision(logits, temperature):
    """The logits are divided in their own dtype and widened afterwards, when digits are gone."""
    refuse_bad_input(logits, temperature)
    return shares(widened(logits / temperature)).to(logits.dtype)


@misconception("distill.softmax_with_temperature", pitfall=5, ask="Which numbers should sum to 1?")
def rows_compete_with_each_other(logits, temperature):
    """The sum runs over the first axis, so the probabilities of one row do not sum to 1."""
    refuse_bad_input(logits, temperature)
    return (shares(widened(logits) / temperature, 0) if len(logits) else logits).to(logits.dtype)


@misconception("distill.distillation_loss", pitfall=6, ask="How large is the gradient at temperature 50?")
def square_of_the_temperature_is_missing(student, teacher, temperature):
    """The divergence is not multiplied by temperature², so its gradients vanish when it gets hot."""
    student, teacher = common(student, teacher.detach(), temperature)
    return divergence(log_shares(teacher / temperature), log_shares(student / temperature)).mean()


@misconception("distill.distillation_loss", pitfall=7, ask="What is the loss of a row when its classes are doubled?")
def averaged_over_classes(student, teacher, temperature):
    """The terms of a row are averaged and not summed, as F.kl_div does unless it is told otherwise."""
    student, teacher = common(student, teacher.detach(), temperature)
    return divergence(log_shares(teacher / temperature), log_shares(student / temperature)).mean() * (
        temperature**2 / student.shape[-1]
    )


@misconception("distill.distillation_loss", pitfall=7, ask="What happens to the gradient when the batch is twice as large?")
def summed_over_rows(student, teacher, temperature):
    """The rows are summed and not averaged, so the loss grows with the batch."""
    student, teacher = common(student, teacher.detach(), temperature)
    return temperature**2 * divergence(log_shares(teacher / temperature), log_shares(student / temperature)).sum()


@misconception("distill.distillation_loss", pitfall=8, ask="What is the loss of a student with its teacher's logits?")
def student_without_temperature(student, teacher, temperature):
    """Only the teacher's logits are divided by the temperature."""
    student, teacher = common(student, teacher.detach(), temperature)
    return temperature**2 * divergence(log_shares(teacher / temperature), log_shares(student)).mean()


@misconception("distill.distillation_loss", pitfall=9, ask="Which of the two models is to change?")
def teacher_learns_as_well(student, teacher, temperature):
    """The gradient reaches the teacher too, which can then come down to its student."""
    student, teacher = common(student, teacher, temperature)
    return temperature**2 * divergence(log_shares(teacher / temperature), log_shares(student / temperature)).mean()


@misconception("distill.distillation_loss", pitfall=10, ask="Under which probabilities is the mean taken?")
def divergence_the_other_way_round(student, teacher, temperature):
    """KL(q ‖ p) is taken, the mean under the student, which may leave out what the teacher finds possible."""
    student, teacher = common(student, teacher.detach(), temperature)
    return temperature**2 * divergence(log_shares(student / temperature), log_shares(teacher / temperature)).mean()


@misconception("distill.distillation_loss", pitfall=11, ask="What is 0 · log 0 in floating point?")
def logarithm_of_probabilities(student, teacher, temperature):
    """The logarithm is taken of probabilities, and one that has become 0 makes the loss infinite or NaN."""
    student, teacher = common(student, teacher.detach(), temperature)
    p, q = softmax_with_temperature(teacher, temperature), softmax_with_temperature(student, temperature)
    return temperature**2 * (p * (p.log() - q.log())).sum(-1).mean()
