"""These are other right versions of parts of parallel.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate

from .accumulate import accumulate_gradients, count_targets
from .amp import Step, apply_gradients
from .parallel import _communication_device, global_sum, reduce_gradients


@alternate("parallel.shard_batch")
def borders_by_division(batch, rank, size):
    """Borders from a division with a rest."""
    least, more = divmod(batch[0].size(0), size)
    start = rank * least + min(rank, more)
    end = start + least + (rank < more)
    return batch[0][start:end], batch[1][start:end]


@alternate("parallel.global_count")
def one_slot_for_each_rank(count, collective):
    """Each rank writes into its own slot of a vector, and the vector is added up."""
    row = torch.zeros(collective.size, dtype=torch.int64, device=_communication_device())
    row[collective.rank] = count
    collective.all_reduce(row)
    return row.sum().item()


@alternate("parallel.reduce_gradients")
def one_flat_row_of_each_dtype(parameters, collective, bucket_bytes=25 * 2**20):
    """Gradients of one dtype in one row, which is sent in slices."""
    trained = [p for p in parameters if p.requires_grad]
    for p in trained:
        if p.grad is None:
            p.grad = torch.zeros(p.shape, dtype=p.dtype, device=p.device)
    for dtype in dict.fromkeys(p.grad.dtype for p in trained):
        mine = [p for p in trained if p.grad.dtype == dtype]
        row = torch.cat([p.grad.reshape(-1) for p in mine])
        step = max(1, bucket_bytes // row.element_size())
        for start in range(0, row.numel(), step):
            collective.all_reduce(row[start : start + step])
        start = 0
        for p in mine:
            p.grad = row[start : start + p.numel()].reshape(p.shape).clone()
            start += p.numel()


@alternate("parallel.parallel_step")
def counts_and_losses_in_one_row(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """The loss is summed before the gradients are; the count goes as float64, which is exact for any batch."""
    model.zero_grad()
    own = [(inputs, targets) for inputs, targets in micro_batches if inputs.shape[0] > 0]
    total = round(global_sum(float(count_targets(own)), collective))
    loss = global_sum(accumulate_gradients(model, own, total=total, scale=scaler.scale, dtype=dtype), collective)
    reduce_gradients(list(model.parameters()), collective)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(loss, norm, skipped)
