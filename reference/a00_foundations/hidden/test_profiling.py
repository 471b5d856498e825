"""Checks of profiling.py that never ship: other numbers."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, part


@part("profiling.forward_flops")
@weight(1)
@matches_reference
def test_operations_of_another_model(solution, draw):
    """Another model has its own counts."""
    return solution.profiling.forward_flops(batch_size=5, seq_len=77, d_model=130, n_layers=9, vocab_size=311, d_ff=201)


@part("profiling.peak_memory")
@weight(1)
@matches_reference
def test_peak_in_the_middle(solution, draw):
    """The worst moment lies in the middle, between allocations that come and go."""

    def function():
        kept = [torch.empty(n * 256, dtype=torch.float32, device=draw.device) for n in (700, 900, 400)]
        del kept[1]
        kept.append(torch.empty(300 * 256, dtype=torch.float32, device=draw.device))
        kept.clear()
        return torch.empty(1500 * 256, dtype=torch.float32, device=draw.device)

    return {"peak": solution.profiling.peak_memory(function, draw.device)}
