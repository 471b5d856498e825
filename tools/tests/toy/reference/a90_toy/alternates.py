"""Another route."""

from tools.author.cases import alternate


@alternate("sums.weighted")
def product_then_sum(x, w):
    """Multiply, then add."""
    return (x * w).sum(-1)
