"""Checks of cache.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, part


@part("cache.RollingCache")
@weight(1)
@matches_reference
def test_another_stream(solution, draw):
    """Three sequences at their own positions, padding inside a chunk longer than all the room, sinks wider than the window."""
    cache = solution.cache.RollingCache(3, 2, 2, 2, 4, dtype=torch.get_default_dtype())
    starts = torch.tensor([[0], [-6], [-2]])
    for columns in (range(0, 9), range(9, 10), range(10, 13)):
        positions = (torch.tensor([list(columns)]) + starts).clamp(min=-1)
        cache.append(draw.normal(3, 2, len(columns), 2), draw.normal(3, 2, len(columns), 2), positions)
    return {"positions": cache.positions, "keys": cache.keys, "values": cache.values}
