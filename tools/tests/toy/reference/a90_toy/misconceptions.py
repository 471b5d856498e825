"""One mistake, enough to see it named."""

from tools.author.cases import misconception


@misconception("sums.weighted", pitfall=1, ask="Which sign has a sum of positive numbers?")
def sign_turned(x, w):
    """The sum has the wrong sign."""
    return -(x @ w)
