"""Checks of the toy: parity, a property that needs the first part, pace and memory."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import fits_in_memory, keeps_pace, matches_reference, needs, part, same, satisfies


@part("sums.weighted")
@weight(40)
@matches_reference
def test_value(solution, draw):
    """Every value is weighted, and gradients reach values and weights."""
    x, w = draw.normal(2, 3, 5).requires_grad_(), draw.normal(5).requires_grad_()
    out = solution.sums.weighted(x, w)
    return {"out": out, "grad": draw.backward(out)}


@part("sums.weighted")
@weight(10)
@keeps_pace(full=3, none=6, repeats=5)
def test_speed(solution, draw):
    """One product over all values."""
    w = draw.normal(300)
    yield
    while True:
        yield solution.sums.weighted(draw.normal(300, 300), w)


@part("sums.weighted")
@weight(10)
@fits_in_memory(growth=30 << 20)
def test_memory(solution, draw):
    """No copy for every value."""
    yield
    yield solution.sums.weighted(draw.normal(100, 5), draw.normal(5))
    yield solution.sums.weighted(draw.normal(100_000, 5), draw.normal(5))


@part("sums.mean")
@needs("sums.weighted")
@weight(40)
@satisfies(same("here", "turned"))
def test_mean(solution, draw):
    """The order of the values does not matter."""
    x, w = draw.normal(3, 5), draw.normal(5)
    turned = solution.sums.mean(x.flip(-1), w.flip(-1))
    return {"here": solution.sums.mean(x, w), "turned": turned}
