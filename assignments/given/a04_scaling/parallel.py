"""Data parallelism over torch.distributed, or any collective."""

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
    """What ranks do together."""

    rank: int
    size: int

    def all_reduce(self, tensor: Tensor) -> None:
        """The sum over all ranks."""

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        """The tensor of one rank."""


class Alone:
    """One rank."""

    rank, size = 0, 1

    def all_reduce(self, tensor: Tensor) -> None:
        """The sum over one rank."""

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        """The one tensor."""


class RankLost(RuntimeError):
    """Another rank is gone."""


class Torch:
    """torch.distributed."""

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def _call(self, function, *arguments) -> None:
        try:
            function(*arguments)
        except RuntimeError as error:
            why = f"rank {self.rank} of {self.size} lost another rank ({error}); start the run again with the same command"
            raise RankLost(why) from error

    def all_reduce(self, tensor: Tensor) -> None:
        self._call(dist.all_reduce, tensor)

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        self._call(dist.broadcast, tensor, source)


@contextmanager
def connect(timeout: float = 600.0) -> Iterator[Collective]:
    """torchrun's process group, or a single rank."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Alone()
        return
    import torch.distributed.nn  # later it would keep this group and its threads alive

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield Torch()
        dist.barrier()
    finally:
        dist.destroy_process_group()


def my_rows(batch: Batch, rank: int, size: int) -> Batch:
    """A stretch of rows."""
    least, more = divmod(batch[0].shape[0], size)
    borders = [0, *accumulate(least + (other < more) for other in range(size))]
    mine = slice(*borders[rank : rank + 2])
    return batch[0][mine], batch[1][mine]


def same_start(model: nn.Module, collective: Collective) -> None:
    """Everything in the state dict, and the buffers that are not in it."""
    for tensor in {id(t): t for t in (*model.parameters(), *model.buffers())}.values():
        collective.broadcast(tensor.detach())


def _talk(value: float, dtype: torch.dtype, collective: Collective) -> Tensor:
    nccl = dist.is_initialized() and dist.get_backend() == dist.Backend.NCCL
    tensor = torch.full((1,), value, dtype=dtype, device="cuda" if nccl else "cpu")
    collective.all_reduce(tensor)
    return tensor.squeeze()


def joint_count(count: int, collective: Collective) -> int:
    """A sum of whole numbers."""
    return int(_talk(count, torch.int64, collective))


def joint_sum(value: float, collective: Collective) -> float:
    """A sum of numbers."""
    return float(_talk(value, torch.float64, collective))


def buckets(tensors: Sequence[Tensor], bucket_bytes: int) -> Iterator[list[Tensor]]:
    """Lists of one dtype and about so many bytes."""
    for _, alike in groupby(tensors, lambda tensor: tensor.dtype):
        together = list(alike)
        ends = accumulate(tensor.nbytes for tensor in together)
        before = zip(together, [0, *ends], strict=False)
        for _, some in groupby(before, lambda pair: pair[1] // bucket_bytes):
            yield [tensor for tensor, _ in some]


def reduce_gradients(parameters: Iterable[nn.Parameter], collective: Collective, bucket_bytes: int = 25 * 2**20) -> None:
    """Sums of gradients, a bucket at a time."""
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
    parts: Sequence[Batch],
    collective: Collective,
    scaler: Scaler,
    dtype: torch.dtype = torch.float32,
    max_norm: float = 1.0,
    scheduler: Scheduler | None = None,
) -> Step:
    """One update, the same on every rank."""
    model.zero_grad()
    parts = list(filter(lambda part: part[0].shape[0] > 0, parts))
    everything = joint_count(count_targets(parts), collective)
    loss = joint_sum(accumulate_gradients(model, parts, everything, scaler.scale, dtype), collective)
    reduce_gradients(model.parameters(), collective)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(loss, norm, skipped)
