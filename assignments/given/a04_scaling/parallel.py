"""Data parallelism over torch.distributed, or over any other collective."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate, groupby
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from given.a02_training.data import Batch

from .accumulate import accumulate_gradients, count_targets
from .amp import Scaler, Step, apply_gradients
from .schedule import Scheduler


class Collective(Protocol):
    """What ranks can do together. All ranks make each call.

    rank: the number of this rank, from 0.
    size: how many ranks there are.
    """

    rank: int
    size: int

    def all_reduce(self, tensor: Tensor) -> None:
        """Put the sum over all ranks into each rank's tensor."""

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        """Put the tensor of one rank into each rank's tensor."""


class SingleRank:
    """The collective of a single rank."""

    rank, size = 0, 1

    def all_reduce(self, tensor: Tensor) -> None:
        """Leave the tensor as it is: it is the sum over one rank."""

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        """Leave the tensor as it is: it is the only one."""


class RankLost(RuntimeError):
    """Another rank is gone or does not answer."""


class TorchCollective:
    """The collective of torch.distributed. RankLost: a call cannot be finished."""

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def _call(self, function, *arguments) -> None:
        try:
            function(*arguments)
        except RuntimeError as error:
            message = f"rank {self.rank} of {self.size} lost another rank ({error}); start the run again with the same command"
            raise RankLost(message) from error

    def all_reduce(self, tensor: Tensor) -> None:
        self._call(dist.all_reduce, tensor)

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        self._call(dist.broadcast, tensor, source)


@contextmanager
def connect(timeout: float = 600.0) -> Iterator[Collective]:
    """The collective of torchrun's process group, or of a single rank without torchrun.

    timeout: seconds after which a rank that does not answer is lost.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield SingleRank()
        return
    import torch.distributed.nn  # later it would keep this group and its threads alive

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield TorchCollective()
        dist.barrier()
    finally:
        dist.destroy_process_group()


def shard_batch(batch: Batch, rank: int, size: int) -> Batch:
    """This rank's shard of a global batch: consecutive sequences, in their order."""
    least, more = divmod(batch[0].shape[0], size)
    borders = [0, *accumulate(least + (other < more) for other in range(size))]
    shard = slice(*borders[rank : rank + 2])
    return batch[0][shard], batch[1][shard]


def broadcast_parameters(model: nn.Module, collective: Collective) -> None:
    """Give every rank the parameters and buffers of rank 0, in place."""
    for tensor in {id(t): t for t in (*model.parameters(), *model.buffers())}.values():
        collective.broadcast(tensor.detach())


def _all_reduced(value: float, dtype: torch.dtype, collective: Collective) -> Tensor:
    nccl = dist.is_initialized() and dist.get_backend() == dist.Backend.NCCL
    tensor = torch.full((1,), value, dtype=dtype, device="cuda" if nccl else "cpu")
    collective.all_reduce(tensor)
    return tensor.squeeze()


def global_count(count: int, collective: Collective) -> int:
    """The sum of a whole number over all ranks, exactly."""
    return int(_all_reduced(count, torch.int64, collective))


def global_sum(value: float, collective: Collective) -> float:
    """The sum of a number over all ranks, in float64."""
    return float(_all_reduced(value, torch.float64, collective))


def buckets(tensors: Sequence[Tensor], bucket_bytes: int) -> Iterator[list[Tensor]]:
    """The tensors in their order, in lists of one dtype and about `bucket_bytes` bytes."""
    for _, group in groupby(tensors, lambda tensor: tensor.dtype):
        of_one_dtype = list(group)
        ends = accumulate(tensor.nbytes for tensor in of_one_dtype)
        with_starts = zip(of_one_dtype, [0, *ends], strict=False)
        for _, bucket in groupby(with_starts, lambda pair: pair[1] // bucket_bytes):
            yield [tensor for tensor, _ in bucket]


def reduce_gradients(parameters: Iterable[nn.Parameter], collective: Collective, bucket_bytes: int = 25 * 2**20) -> None:
    """Replace every gradient by its sum over all ranks, a bucket at a time."""
    grads = []
    for p in filter(lambda p: p.requires_grad, parameters):
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        grads.append(p.grad)
    for bucket in buckets(grads, bucket_bytes):
        vector = parameters_to_vector(bucket)
        collective.all_reduce(vector)
        vector_to_parameters(vector, bucket)


def parallel_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    collective: Collective,
    scaler: Scaler,
    dtype: torch.dtype = torch.float32,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> Step:
    """One update from the global batch, the same on every rank.

    micro_batches: those of this rank's shard. There may be none.
    ValueError: no rank has a target.
    """
    model.zero_grad()
    micro_batches = list(filter(lambda micro_batch: micro_batch[0].shape[0] > 0, micro_batches))
    total = global_count(count_targets(micro_batches), collective)
    loss = global_sum(accumulate_gradients(model, micro_batches, total, scaler.scale, dtype), collective)
    reduce_gradients(model.parameters(), collective)
    grad_norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(loss, grad_norm, skipped)
