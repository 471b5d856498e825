"""These are wrong versions of parts of sums.py, one mistake each. A docstring is the hint that a student reads."""

from tools.author.cases import misconception


@misconception("sums.weighted", pitfall=1, ask="Which sign has a sum of positive numbers?")
def sign_turned(x, w):
    """The sum has the wrong sign."""
    return -(x @ w)
