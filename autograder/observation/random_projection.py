"""A few numbers that stand for many: seeded random projections, equal on both sides of the process boundary."""

from functools import lru_cache

import numpy as np

WIDTH = 4


@lru_cache(maxsize=32)
def _directions(n: int) -> np.ndarray:
    return np.random.RandomState(n % (1 << 31)).standard_normal((WIDTH, n)) / np.sqrt(n)


def random_projection(values: np.ndarray) -> np.ndarray:
    """WIDTH numbers of about the size of one value: (directions @ values) / sqrt(n). Values must be finite for meaning."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return _directions(flat.size) @ flat if flat.size else np.zeros(WIDTH)
