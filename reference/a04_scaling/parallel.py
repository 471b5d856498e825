"""Data parallelism: every rank holds the whole model and a shard of each batch, and the gradient is that of the global batch.

Ranks communicate through a collective that is an argument. It is `torch.distributed` under torchrun, a single rank without it, and
anything else in a test. Left out: sending gradients while others are still computed, and models that do not fit on one device (the
handout plans them).
Source: Li et al., PyTorch Distributed, arXiv:2006.15704, §3; all-reduce: Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from given.a02_training.data import Batch
from torch import Tensor, nn

from .accumulate import accumulate_gradients, count_targets
from .amp import Scaler, Step, apply_gradients
from .schedule import Scheduler


class Collective(Protocol):
    """What ranks can do together. All ranks make each call, in the same order, with tensors of one shape and dtype.

    rank: the number of this rank, from 0.
    size: how many ranks there are.
    """

    rank: int
    size: int

    def all_reduce(self, tensor: Tensor) -> None:
        """Put the sum over all ranks into each one's tensor."""

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        """Put the tensor of one rank into each one's."""


class SingleRank:
    """The collective of a single rank."""

    rank, size = 0, 1

    def all_reduce(self, tensor: Tensor) -> None:
        pass

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        pass


class RankLost(RuntimeError):
    """Another rank is gone or does not answer. The run cannot go on without it."""


class TorchCollective:
    """The collective of `torch.distributed`, once its process group is there.

    RankLost: a call cannot be finished.
    """

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def all_reduce(self, tensor: Tensor) -> None:
        with self._raising_rank_lost():
            dist.all_reduce(tensor)

    def broadcast(self, tensor: Tensor, source: int = 0) -> None:
        with self._raising_rank_lost():
            dist.broadcast(tensor, source)

    @contextmanager
    def _raising_rank_lost(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what gloo and NCCL raise for closed connections and for timeouts alike
            # without its position in the library, and without guesses
            reason = str(error).splitlines()[0].rpartition("] ")[2].partition(". ")[0]
            raise RankLost(
                f"rank {self.rank} of {self.size} lost another rank ({reason:.100}); "
                "start the run again with the same command, and it goes on from its last checkpoint"
            ) from error


@contextmanager
def connect(timeout: float = 600.0) -> Iterator[Collective]:
    """The collective of this run: that of `torchrun` if it started this process, a single rank if not.

    The backend is NCCL with a GPU for each rank of this machine, and gloo on CPUs.

    timeout: seconds after which a rank that does not answer is lost.
    """
    if not dist.is_torchelastic_launched():
        yield SingleRank()
        return
    # Its functions keep the group that they find when they are imported, and with it threads that must not outlive the interpreter.
    # The first optimiser imports it; here there is no group yet.
    import torch.distributed.nn

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(seconds=timeout))
    try:
        yield (collective := TorchCollective())
        global_count(0, collective)  # no rank leaves while another one still communicates
    finally:
        dist.destroy_process_group()


def shard_batch(batch: Batch, rank: int, size: int) -> Batch:
    """This rank's shard of a global batch: consecutive sequences, in their order.

    Every sequence is in the shard of one rank. The sizes of shards differ by one at most, and the larger ones come first. With
    fewer sequences than ranks the last shards are empty.
    """
    # TODO: a slice of both tensors (handout: parallel, step 1).
    # Watch: the last batch of an epoch is seldom a multiple of the ranks; do not drop its rest, and count no sequence twice.
    # BEGIN SOLUTION
    inputs, targets = batch
    return inputs.tensor_split(size)[rank], targets.tensor_split(size)[rank]
    # END SOLUTION


def broadcast_parameters(model: nn.Module, collective: Collective) -> None:
    """Give every rank the parameters and buffers of rank 0, in place."""
    # TODO: everything that the forward pass depends on (handout: parallel, step 2).
    # Watch: buffers are no parameters; a parameter that requires a gradient is not changed in place just like that.
    # BEGIN SOLUTION
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            collective.broadcast(tensor)
    # END SOLUTION


def global_count(count: int, collective: Collective) -> int:
    """The sum of a count over all ranks. It is exact."""
    # TODO: a sum (handout: parallel, step 3).
    # Watch: the collective takes tensors, on the device of the backend; float32 counts exactly to 2²⁴ only.
    # BEGIN SOLUTION
    total = torch.tensor([count], device=_communication_device())
    collective.all_reduce(total)
    return int(total)
    # END SOLUTION


def global_sum(value: float, collective: Collective) -> float:
    """The sum of a number over all ranks, in float64."""
    total = torch.tensor([value], dtype=torch.float64, device=_communication_device())
    collective.all_reduce(total)
    return total.item()


def reduce_gradients(parameters: Iterable[nn.Parameter], collective: Collective, bucket_bytes: int = 25 * 2**20) -> None:
    """Replace every gradient by its sum over all ranks.

    A rank without a gradient counts as 0, and has the sum afterwards. Frozen parameters are passed over. Gradients are sent in
    buckets of one dtype, because each call costs its latency, whatever its size.

    bucket_bytes: about how large a bucket is, in bytes.
    """
    # TODO: sums, a bucket at a time (handout: parallel, step 4).
    # Watch: all ranks make the same calls, also one with an empty shard; the gradient of a frozen parameter does not exist.
    # BEGIN SOLUTION
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for bucket in buckets([parameter.grad for parameter in trained], bucket_bytes):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        collective.all_reduce(flat)
        for gradient, summed in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))
    # END SOLUTION


def buckets(tensors: Sequence[Tensor], bucket_bytes: int) -> Iterator[list[Tensor]]:
    """The tensors in their order, in lists of one dtype. A list is full with the tensor that brings it to bucket_bytes."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or sum(one.nbytes for one in bucket) >= bucket_bytes):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


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
    """One update from the global batch, the same on every rank. It is that of `amp.training_step` on all micro-batches together.

    Gradients are summed over the ranks once, after the last micro-batch. (That is what `no_sync` is for in PyTorch's own
    DistributedDataParallel.) The loss that comes back is that of the global batch, on every rank.

    micro_batches: those of this rank's shard. There may be none, and one may be empty.
    ValueError: no rank has a target.
    """
    # TODO: the global count, the gradients of this rank's share of it, their sum, the update (handout: parallel, step 5).
    # Watch: the mean of the ranks' means is not the mean; clip after the sum; every rank decides alike about a skip.
    # BEGIN SOLUTION
    optimizer.zero_grad()
    own = [micro_batch for micro_batch in micro_batches if len(micro_batch[0])]
    total = global_count(count_targets(own), collective)
    share = accumulate_gradients(model, own, total, scaler.scale, dtype)
    reduce_gradients(model.parameters(), collective)
    loss = global_sum(share, collective)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))
    # END SOLUTION


def _communication_device() -> str:
    """Where tensors must be to be sent: on the GPU with NCCL."""
    return "cuda" if dist.is_initialized() and dist.get_backend() == "nccl" else "cpu"
