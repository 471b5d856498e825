"""These are other right versions of parts of sums.py. The tolerances allow for all of these routes."""

from tools.author.cases import alternate


@alternate("sums.weighted")
def product_then_sum(x, w):
    """Multiply, then add."""
    return (x * w).sum(-1)
