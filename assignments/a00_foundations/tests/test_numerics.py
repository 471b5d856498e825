"""Checks of numerics.py."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import exactly_zero, keeps_pace, matches_reference, needs, on_device, part, refusal, satisfies

INF = math.inf
LARGE = [[1e4, 9_999.0, 9_996.5, -1e4], [-1e4, -9_999.0, -9_999.5, -10_003.0], [2.0, 1e4, -3.0, 9_998.0]]
EMPTY = [[-INF, 0.5, -1.0, 2.0], [-INF, -INF, -INF, -INF], [1.5, -INF, -INF, -INF], [0.25, 1.0, 3.0, -0.5]]


@part("numerics.row_shift")
@weight(1)
@matches_reference
def test_shift_is_the_maximum_of_each_row(solution, draw):
    """Every row along the axis is shifted by its own maximum, which keeps that axis with size 1 and passes no gradient on."""
    shift, x, half = solution.numerics.row_shift, draw.normal(3, 4, 5).requires_grad_(), draw.normal(2, 3, dtype=torch.float16)
    shifts = {"last": shift(x), "first": shift(x, 0), "second": shift(x, dim=-2), "float16": shift(half)}
    return shifts | {"with gradient": any(s.requires_grad for s in shifts.values())}


@part("numerics.row_shift")
@weight(1)
@matches_reference
def test_row_of_minus_infinity_is_not_shifted(solution, draw):
    """Where a row is −inf throughout the shift is 0; one number in it, and that is the shift."""
    moved = torch.tensor(EMPTY) + draw.integers(0, 8, 4, 4) / 8  # −∞ stays where it is
    shift, x = solution.numerics.row_shift, draw.tensor(moved.tolist())
    return {"rows": shift(x), "columns": shift(x, 0), "nothing else": shift(x[1:2]), "vector": shift(x[2])}


@part("numerics.row_shift")
@weight(1)
@matches_reference
def test_rows_that_hold_no_score_are_refused(solution, draw):
    """Whole numbers, an axis that is not there, or one of size 0 is a ValueError; rows of a single score are as good as any."""
    shift, x = solution.numerics.row_shift, draw.normal(2, 3)
    return {
        "whole numbers": refusal(lambda: shift(draw.integers(0, 9, 3))),
        "no axis": refusal(lambda: shift(draw.normal())),
        "third axis": refusal(lambda: shift(x, 2)),
        "no score": refusal(lambda: shift(x[:, :0])),
        "single": shift(x[:, :1]),
        "no row": shift(x[:0]),
    }


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_softmax_shares_out_one(solution, draw):
    """Every score gets e to its power over the sum of its row, and the gradient is that of this formula."""
    x = draw.normal(2, 3, 5, scale=2).requires_grad_()
    out = solution.numerics.softmax(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_softmax_along_any_axis(solution, draw):
    """Any axis of any shape, strided or of size 1, in float32 or float64; what holds no score is a ValueError."""
    softmax, x = solution.numerics.softmax, draw.normal(2, 3, 4)
    return {
        "first axis": softmax(x, 0),
        "second axis": softmax(x, dim=-2),
        "vector": softmax(draw.normal(6)),
        "single": softmax(x[..., :1]),
        "strided": softmax(x.mT[:, ::2]),
        "float64": softmax(draw.normal(3, 2, dtype=torch.float64)),
        "no axis": refusal(lambda: softmax(x, 3)),
        "whole numbers": refusal(lambda: softmax(draw.integers(0, 5, 4))),
    }


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_softmax_survives_large_scores(solution, draw):
    """Scores of ±10,000 give what scores around 0 do, whatever stands in the other rows; so do their gradients."""
    x = draw.tensor(LARGE).requires_grad_()
    out = solution.numerics.softmax(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@satisfies(exactly_zero("empty row", "its gradient", "forbidden"))
def test_softmax_gives_minus_infinity_nothing(solution, draw):
    """A score of −inf gets exactly 0, and a row of nothing else is 0 throughout, its gradient too: no NaN anywhere."""
    x = draw.tensor(EMPTY).requires_grad_()
    out = solution.numerics.softmax(x)
    gradient = draw.backward(out)
    return {
        "empty row": out[1],
        "its gradient": gradient["input 0"][1],
        "forbidden": out[torch.isneginf(x)],
        "out": out,
        "grad": gradient,
    }


@part("numerics.softmax")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_softmax_of_a_long_float16_row(solution, draw):
    """The sum over 80,000 scores is more than float16 can hold: it is taken in float32, and the probabilities are float16 again."""
    out = solution.numerics.softmax(draw.normal(2, 80_000, scale=0.01, dtype=torch.float16))
    return {"probs": out[:, :6]}


@part("numerics.logsumexp")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_logsumexp_is_a_smooth_maximum(solution, draw):
    """The logarithm of the sum of powers of each row, and as its gradient the softmax."""
    x = draw.normal(2, 3, 5, scale=2).requires_grad_()
    out = solution.numerics.logsumexp(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.logsumexp")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_logsumexp_along_any_axis(solution, draw):
    """Any axis of any shape, which goes or, with keepdim, stays with size 1; what holds no score is a ValueError."""
    logsumexp, x = solution.numerics.logsumexp, draw.normal(2, 3, 4)
    return {
        "first axis": logsumexp(x, 0),
        "second axis": logsumexp(x, dim=-2),
        "kept": logsumexp(x, 1, keepdim=True),
        "vector": logsumexp(draw.normal(6)),
        "single": logsumexp(x[..., :1]),
        "strided": logsumexp(x.mT[:, ::2]),
        "float64": logsumexp(draw.normal(3, 2, dtype=torch.float64)),
        "no axis": refusal(lambda: logsumexp(x, 3)),
        "no score": refusal(lambda: logsumexp(x[..., :0])),
    }


@part("numerics.logsumexp")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_logsumexp_survives_large_scores(solution, draw):
    """Scores of ±10,000 give numbers of that size, and what was taken from each row has come back to it."""
    x = draw.tensor(LARGE).requires_grad_()
    out = solution.numerics.logsumexp(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.logsumexp")
@needs("numerics.row_shift")
@weight(1)
@satisfies(exactly_zero("gradient of the empty row"))
def test_logsumexp_of_nothing_is_minus_infinity(solution, draw):
    """A row of nothing but −inf gives −inf and a gradient of 0; a single −inf adds nothing to its row."""
    x = draw.tensor(EMPTY).requires_grad_()
    out = solution.numerics.logsumexp(x)
    gradient = draw.backward(out)
    return {"out": out, "gradient of the empty row": gradient["input 0"][1], "grad": gradient}


@part("numerics.logsumexp")
@needs("numerics.row_shift")
@weight(1)
@matches_reference
def test_logsumexp_of_a_long_float16_row(solution, draw):
    """A sum of 80,000 is more than float16 can hold, and its logarithm of 11.3 is not."""
    x, level = draw.normal(2, 80_000, scale=0.01, dtype=torch.float16), draw.integers(-60, 61, 2, 1) / 4
    return {"out": solution.numerics.logsumexp(x + level.to(x))}


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_is_the_logarithm_of_shares(solution, draw):
    """Every score less the logsumexp of its row; the gradient takes the softmax times the sum of what comes back."""
    x = draw.normal(2, 3, 5, scale=2).requires_grad_()
    out = solution.numerics.log_softmax(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_along_any_axis(solution, draw):
    """Any axis of any shape, strided or of size 1, in float32 or float64; what holds no score is a ValueError."""
    log_softmax, x = solution.numerics.log_softmax, draw.normal(2, 3, 4)
    return {
        "first axis": log_softmax(x, 0),
        "second axis": log_softmax(x, dim=-2),
        "vector": log_softmax(draw.normal(6)),
        "single": log_softmax(x[..., :1]),
        "strided": log_softmax(x.mT[:, ::2]),
        "float64": log_softmax(draw.normal(3, 2, dtype=torch.float64)),
        "no axis": refusal(lambda: log_softmax(x, 3)),
        "whole numbers": refusal(lambda: log_softmax(draw.integers(0, 5, 4))),
    }


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_reaches_where_softmax_is_zero(solution, draw):
    """A score far below the others keeps its logarithm, −200 or −20,000, though its probability is 0 in any format."""
    far, x = draw.tensor([[0.0, -200.0, -50.0, -120.5], [-30.0, 2.0, 180.0, -4.0]]), draw.tensor(LARGE).requires_grad_()
    out = solution.numerics.log_softmax(x)
    return {"far": solution.numerics.log_softmax(far), "out": out, "grad": draw.backward(out)}


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_keeps_the_digits_of_large_scores(solution, draw):
    """Scores near 10,000 differ from their logsumexp, also near 10,000, by little: no digit of that is lost."""
    return {"out": solution.numerics.log_softmax(draw.uniform(9_999, 10_001, 3, 5))}


@part("numerics.log_softmax")
@needs("numerics.row_shift", "numerics.logsumexp")
@weight(1)
@matches_reference
def test_log_softmax_leaves_an_empty_row_as_it_is(solution, draw):
    """−inf stays −inf, also in a row of nothing else, and no gradient becomes NaN."""
    x = draw.tensor(EMPTY).requires_grad_()
    out = solution.numerics.log_softmax(x)
    return {"out": out, "grad": draw.backward(out)}


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@matches_reference
def test_loss_is_the_mean_over_targets(solution, draw):
    """The loss is minus the log-probability of the right class, averaged over targets; its gradient likewise."""
    logits = draw.normal(6, 5, scale=2).requires_grad_()
    loss = solution.numerics.cross_entropy(logits, draw.integers(0, 5, 6))
    return {"loss": loss, "grad": draw.backward(loss)}


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@matches_reference
def test_loss_of_any_shape(solution, draw):
    """One target or three axes of them, int32 or strided, one class or many; what does not fit is a ValueError."""
    loss, logits, targets = solution.numerics.cross_entropy, draw.normal(2, 1, 3, 4), draw.integers(0, 4, 2, 1, 3)
    return {
        "three axes": loss(logits, targets),
        "one target": loss(draw.normal(7), draw.integers(0, 7)),
        "strided": loss(logits.transpose(0, 2), targets.transpose(0, 2).int()),
        "one class": loss(draw.normal(3, 1), draw.integers(0, 1, 3)),
        "float64": loss(draw.normal(2, 3, dtype=torch.float64), draw.integers(0, 3, 2)),
        "shapes": refusal(lambda: loss(logits, targets[0])),
        "no such class": refusal(lambda: loss(logits, targets + 4)),
        "negative": refusal(lambda: loss(logits, targets - 4)),
        "no target": refusal(lambda: loss(logits[:0], targets[:0])),
        "fractions": refusal(lambda: loss(logits, targets / 2)),
    }


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@matches_reference
def test_loss_of_what_was_called_impossible(solution, draw):
    """A loss of 20,000 is 20,000; a target at −inf costs +inf, and the gradients stay softmax less one-hot."""
    large, impossible = draw.tensor(LARGE).requires_grad_(), draw.tensor(EMPTY).requires_grad_()
    outs = {
        "large": solution.numerics.cross_entropy(large, draw.tensor([3, 0, 0], dtype=torch.int64)),
        "impossible": solution.numerics.cross_entropy(impossible, draw.tensor([0, 2, 0, 1], dtype=torch.int64)),
    }
    return outs | {"grad": draw.backward(*outs.values())}


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@matches_reference
def test_loss_of_float16_is_computed_in_float32(solution, draw):
    """From float16 logits comes a float32 loss that has all its digits: they are widened before the logarithm."""
    logits, targets, loss = (
        draw.normal(9, 12, scale=3, dtype=torch.float16),
        draw.integers(0, 12, 9),
        solution.numerics.cross_entropy,
    )
    alone = torch.stack([loss(logits[row : row + 1], targets[row : row + 1]) for row in range(9)])  # where no mean hides rounding
    return {"loss": loss(logits, targets), "alone": alone}


# Full points to 2.5 times the CPU time of torch's own log-softmax and nll_loss, none from 5. Measured, 25 runs each: the
# reference 0.83, the slowest right version tried 1.01, the logarithm of either scattering by less than 0.08. So 2.5 lies 11
# deviations above a right version; 3.7 would do for a false-fail rate of 1e-4. A loop over classes takes 5.4, one over targets 12.
@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@weight(1)
@keeps_pace(full=2.5, none=5.0, repeats=15)
def test_loss_keeps_pace(solution, draw):
    """Forward and backward over 1,024 targets of 500 classes take a few times as long as torch's own: no loop over targets."""
    yield
    while True:
        logits = draw.normal(1024, 500).requires_grad_()
        loss = solution.numerics.cross_entropy(logits, draw.integers(0, 500, 1024))
        yield {"loss": loss, "grad": torch.autograd.grad(loss, logits)[0]}


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@on_device("cuda")
@weight(1)
@keeps_pace(full=4.0, none=10.0, repeats=9)
def test_loss_keeps_pace_on_cuda(solution, draw):
    """Forward and backward over 1,024 targets take a few times as long as torch's own on a CUDA device too."""
    yield from test_loss_keeps_pace(solution, draw)


@part("numerics.cross_entropy")
@needs("numerics.row_shift", "numerics.logsumexp", "numerics.log_softmax")
@on_device("mps")
@weight(1)
@keeps_pace(full=4.0, none=10.0, repeats=9)
def test_loss_keeps_pace_on_mps(solution, draw):
    """Forward and backward over 1,024 targets take a few times as long as torch's own on Apple's GPU too."""
    yield from test_loss_keeps_pace(solution, draw)


# Inputs are small whole numbers and steps powers of two below, so that differences are exact and can be compared as such.


@part("numerics.central_difference")
@weight(1)
@matches_reference
def test_differences_look_to_both_sides(solution, draw):
    """With a wide step, x³ has the difference 3x² + step², which looking to one side does not give; the usual step is 1e-5."""
    x = draw.integers(-4, 5, 2, 3).double()
    return {
        "wide": solution.numerics.central_difference(lambda x: x.pow(3).sum(), [x], step=0.5),
        "wider": solution.numerics.central_difference(lambda x: x.pow(3).sum(), [x], 2.0),
        "usual": [g.float() for g in solution.numerics.central_difference(lambda x: x.sin().sum(), [x / 3])],
    }


@part("numerics.central_difference")
@weight(1)
@matches_reference
def test_every_entry_of_every_input_is_moved_alone(solution, draw):
    """There is a gradient for each input, of its shape, also for a number, a strided or an empty one; each entry is put back."""
    a, b = draw.integers(1, 5, 3, 2).double().mT, draw.integers(1, 5, 3).double()
    number, nothing = draw.tensor(3.0, dtype=torch.float64), draw.tensor([], dtype=torch.float64)
    product = lambda a, b, number, nothing: (a @ b).prod() * number + nothing.sum()
    return {"gradients": solution.numerics.central_difference(product, [a, b, number, nothing], step=0.5)}


def whole(draw, *shape):
    """Drawn whole numbers from 1 to 99 in float64, of which a central difference makes no rounding error."""
    return draw.tensor(draw.integers(1, 100, *shape).tolist(), dtype=torch.float64)


@part("numerics.central_difference")
@weight(1)
@matches_reference
def test_differences_need_no_autograd(solution, draw):
    """They find the gradient where autograd sees none, and the caller's tensors, also those that ask for gradients, stay as they are."""
    x, y = whole(draw, 3), whole(draw, 2).requires_grad_()
    hidden = lambda x, y: x.detach().pow(2).sum() * y.detach().prod()
    gradients = solution.numerics.central_difference(hidden, (x, y), step=0.25)
    return {"gradients": gradients, "grad": y.grad, "still asks": y.requires_grad, "x asks": x.requires_grad}


@part("numerics.central_difference")
@weight(1)
@matches_reference
def test_differences_of_float32_are_refused(solution, draw):
    """Inputs that are not float64 and functions of several numbers are a ValueError; a number in a vector is one number."""
    differences = solution.numerics.central_difference
    narrow, x = torch.ones(2, dtype=torch.float32), whole(draw, 2)
    return {
        "float32": refusal(lambda: differences(lambda x: x.sum(), [narrow])),
        "second float32": refusal(lambda: differences(lambda x, y: x.sum() + y.sum(), [x, narrow])),
        "vector": refusal(lambda: differences(lambda x: x * 2, [x])),
        "one in a vector": differences(lambda x: x.square().sum(-1, keepdim=True), [x], 0.5),
    }


def pretend(x, value, slope):
    """`value` of x, with a gradient of `slope` for autograd whatever the true one is."""
    return value(x.detach()) + slope * (x - x.detach())


@part("numerics.gradient_check")
@needs("numerics.central_difference")
@weight(1)
@matches_reference
def test_right_gradients_have_no_gap(solution, draw):
    """Where autograd and differences agree the answer is 0; where the step is too wide for x³ it is step² of the largest."""
    check, x, y = solution.numerics.gradient_check, whole(draw, 2, 3), whole(draw, 3)
    return {
        "product": check(lambda x, y: (x @ y).square().sum(), [x, y], step=0.5),
        "cube": check(lambda x: x.pow(3).sum(), [x], step=0.5),
        "vector of one": check(lambda x: x.square().sum().reshape(1), [x], step=0.5),
        "usual step is fine": check(lambda x: x.pow(3).sum(), [x]) < check(lambda x: x.pow(3).sum(), [x], 0.125),
    }


@part("numerics.gradient_check")
@needs("numerics.central_difference")
@weight(1)
@matches_reference
def test_wrong_gradients_show(solution, draw):
    """A gradient of the wrong sign, doubled, halved or missing gives the gap over the larger of both sizes."""
    check, x = solution.numerics.gradient_check, draw.tensor([2.0, 3.0], dtype=torch.float64)
    true = 2 * int(draw.integers(2, 2000))
    slopes = {"right": true, "sign": -true, "doubled": 2 * true, "halved": true / 2, "none": 0, "a little": true + 0.5}
    return {
        name: check(lambda x, slope=slope: pretend(x, lambda x: true * x, slope).sum(), [x], step=0.5)
        for name, slope in slopes.items()
    } | {
        f"falling, {name}": check(lambda x, slope=slope: pretend(x, lambda x: -true * x, slope).sum(), [x], step=0.5)
        for name, slope in {"doubled": -2 * true, "halved": -true / 2}.items()
    }


@part("numerics.gradient_check")
@needs("numerics.central_difference")
@weight(1)
@matches_reference
def test_gap_is_relative_to_the_largest_of_all(solution, draw):
    """A gap in a small gradient beside a large one counts by the large one, over all inputs; the tensors get no .grad."""
    check, x, y = (
        solution.numerics.gradient_check,
        draw.tensor([2.0], dtype=torch.float64),
        draw.tensor([1.0, 4.0], dtype=torch.float64),
    )
    slope = int(draw.integers(64, 4000))
    small, large = (lambda x: pretend(x, lambda x: x, 2.0).sum()), (lambda y: (slope * y).sum())
    y.requires_grad_()
    return {
        "one entry": check(
            lambda x: pretend(x, lambda x: x * torch.tensor([2.0, 32.0]).double(), torch.tensor([3.0, 32.0])).sum(), [y], 0.5
        ),
        "beside": check(lambda x, y: small(x) + large(y), [x, y], 0.5),
        "swapped": check(lambda y, x: small(x) + large(y), [y, x], 0.5),
        "grad": y.grad,
        "asks": [x.requires_grad, y.requires_grad],
    }


@part("numerics.gradient_check")
@needs("numerics.central_difference")
@weight(1)
@matches_reference
def test_nan_is_never_right(solution, draw):
    """A NaN on either side gives inf; an input without influence has the gradient 0, and 0 on both sides is no gap."""
    check, x, y = (
        solution.numerics.gradient_check,
        draw.tensor([0.0, 2.0], dtype=torch.float64),
        draw.tensor([3.0], dtype=torch.float64),
    )
    trap = lambda x: torch.where(x == 0, 1, x.sin() / x).sum()  # its value at 0 is right, its gradient there NaN
    slope = int(draw.integers(2, 4000))
    return {
        "a number": check(lambda y: pretend(y, lambda y: slope * y, slope + 1).sum(), [y], 0.5),
        "autograd": check(trap, [x], 0.5),
        "beside a sound one": check(lambda x, y: trap(x) + y.square().sum(), [x, y], 0.5),
        "differences": check(lambda x: x.sqrt().sum(), [x], 0.5),
        "unused": check(lambda x, y: y.square().sum(), [x, y], 0.5),
        "constant": check(lambda x: x.detach().sum() * 0, [x], 0.5),
        "unseen": check(lambda x: x.detach().sum(), [x], 0.5),
    }
