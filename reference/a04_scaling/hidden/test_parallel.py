"""Checks of parallel.py that never ship: one rank, whose other is played by what the check adds."""

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part


class WithAnother:
    """Rank 0 of 2: the other gives half of the same and one more."""

    rank, size = 0, 2

    def all_reduce(self, tensor):
        tensor += tensor / 2 + 1

    def broadcast(self, tensor, source=0):
        pass


class WithItsTwin(WithAnother):
    """Rank 0 of 2: the other has the same sequences."""

    def all_reduce(self, tensor):
        tensor *= 2


@part("parallel.reduce_gradients")
@weight(1)
@matches_reference
def test_sums_with_another(solution, draw):
    """Gradients of several shapes, one of them missing, come back as the sums, whatever the size of a bucket."""
    found = {}
    for size in (1, 64, 2**20):
        layer = draw.fill_(nn.ParameterList([nn.Parameter(torch.zeros(shape)) for shape in ((5, 3), (1,), (2, 2, 2), (7,))]))
        for parameter in layer:
            parameter.grad = draw.normal(*parameter.shape).clone()
        layer[1].grad = None
        solution.parallel.reduce_gradients(layer.parameters(), WithAnother(), size)
        found[f"buckets of {size}"] = [parameter.grad for parameter in layer]
    return found


@part("parallel.parallel_step")
@needs(
    *(
        "accumulate.count_targets",
        "accumulate.summed_loss",
        "accumulate.accumulate_gradients",
        "amp.Scaler",
        "amp.apply_gradients",
    ),
    *("parallel.global_count", "parallel.reduce_gradients"),
)
@weight(1)
@matches_reference
def test_step_with_a_twin(solution, draw):
    """With another rank that has the same shard the step is that of one rank alone: the global count divides what was summed."""
    model = draw.fill_(nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 9)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    micro_batches = [(draw.integers(0, 9, batch_size, 4), draw.integers(0, 9, batch_size, 4)) for batch_size in (2, 1, 3)]
    micro_batches[1][1][0, 1:] = -100
    step = solution.parallel.parallel_step(
        model, optimizer, micro_batches, WithItsTwin(), solution.amp.Scaler(scale=2.0), max_norm=0.7
    )
    return {
        "weights": {name: p.detach().clone() for name, p in model.named_parameters()},
        "loss": step.loss,
        "norm": step.grad_norm,
    }
