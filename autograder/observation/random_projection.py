"""A few numbers that stand for many: random projections with a known seed, equal on both sides of the process boundary."""

from functools import lru_cache

import numpy as np

WIDTH = 4


def random_projection(values: np.ndarray) -> np.ndarray:
    """WIDTH numbers of about the size of one value: (directions @ values) / sqrt(n).

    values: n numbers in any shape. They must be finite for the result to mean anything.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return _directions(flat.size) @ flat if flat.size else np.zeros(WIDTH)


@lru_cache(maxsize=32)
def _directions(n: int) -> np.ndarray:
    """(WIDTH, n) standard normal numbers over sqrt(n)."""
    return np.random.RandomState(n % (1 << 31)).standard_normal((WIDTH, n)) / np.sqrt(n)
