"""These are wrong versions of parts of parallel.py, one mistake each. A docstring is the hint that a student reads."""

import torch
from given.a02_training.optim import clip_gradients

from tools.author.cases import misconception

from .accumulate import accumulate_gradients, count_targets
from .amp import Step, apply_gradients
from .parallel import _communication_device, buckets, global_count, global_sum, reduce_gradients


@misconception("parallel.shard_batch", pitfall=6, ask="Whose is sequence 7 of 7, on three ranks?")
def rest_of_the_batch_is_dropped(batch, rank, size):
    """Shards are of equal size, and sequences that are left over are in none of them."""
    shard_size = len(batch[0]) // size
    shard = slice(rank * shard_size, (rank + 1) * shard_size)
    return batch[0][shard], batch[1][shard]


@misconception("parallel.shard_batch", pitfall=6, ask="What does a sequence count that two ranks have?")
def rows_are_repeated(batch, rank, size):
    """Shards are filled up with sequences of other ranks, which then count twice."""
    shard_size = -(-len(batch[0]) // size)
    shard = torch.arange(rank * shard_size, (rank + 1) * shard_size) % len(batch[0])
    return batch[0][shard], batch[1][shard]


@misconception("parallel.shard_batch", ask="Are sequences 0, 3 and 6 consecutive?")
def every_nth_row(batch, rank, size):
    """Each rank takes every n-th sequence, where consecutive ones are asked for."""
    return batch[0][rank::size], batch[1][rank::size]


@misconception("parallel.shard_batch", pitfall=6, ask="How large are the shards of 7 sequences on three ranks?")
def last_rank_takes_the_rest(batch, rank, size):
    """All sequences that are left over go to the last rank, for which the others wait."""
    shard_size = len(batch[0]) // size
    end = None if rank == size - 1 else (rank + 1) * shard_size
    return batch[0][rank * shard_size : end], batch[1][rank * shard_size : end]


@misconception("parallel.broadcast_parameters", pitfall=4, ask="What does a forward pass depend on besides parameters?")
def buffers_are_forgotten(model, collective):
    """Buffers are left as they are, and each rank has its own."""
    with torch.no_grad():
        for tensor in model.parameters():
            collective.broadcast(tensor)


@misconception("parallel.broadcast_parameters", pitfall=5, ask="Is the mean of starts a start?")
def mean_of_all_starts(model, collective):
    """All ranks take the mean of their parameters, which is no start that anybody has drawn."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            wide = tensor.to(torch.float64)
            collective.all_reduce(wide)
            tensor.copy_(wide / collective.size)


@misconception("parallel.broadcast_parameters", pitfall=5, ask="Does a rank have what a frozen layer started from?")
def frozen_ones_are_left_out(model, collective):
    """Parameters that are not trained are not sent, though the forward pass depends on them."""
    with torch.no_grad():
        for tensor in (*(parameter for parameter in model.parameters() if parameter.requires_grad), *model.buffers()):
            collective.broadcast(tensor)


@misconception("parallel.global_count", pitfall=7, ask="What is 2²⁴ + 1 in float32?")
def counted_in_float32(count, collective):
    """The count travels as float32, which is exact to 16.7 million."""
    total = torch.tensor([float(count)], dtype=torch.float32, device=_communication_device())
    collective.all_reduce(total)
    return int(total)


@misconception("parallel.global_count", pitfall=1, ask="What is divided by the number of ranks?")
def mean_count(count, collective):
    """The mean count of the ranks comes back, not their sum."""
    total = torch.tensor([count], device=_communication_device())
    collective.all_reduce(total)
    return int(total) // collective.size


@misconception("parallel.global_count", pitfall=1, ask="Do all ranks have as many targets as this one?")
def count_times_ranks(count, collective):
    """One's own count times the ranks, as if all had equally many."""
    return count * collective.size


def gradients_or_zeros(parameters):
    """The gradients of all trained parameters, made where there is none."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in trained]


def summed_in_buckets(gradients, collective, bucket_bytes=25 * 2**20):
    """Sums over ranks, a bucket at a time."""
    for bucket in buckets(gradients, bucket_bytes):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        collective.all_reduce(flat)
        for gradient, summed in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))


@misconception("parallel.reduce_gradients", pitfall=1, ask="By what was the loss divided already?")
def gradients_are_averaged(parameters, collective, bucket_bytes=25 * 2**20):
    """The sums are divided by the number of ranks, as PyTorch's own wrapper does; here the global count has done that."""
    gradients = gradients_or_zeros(parameters)
    summed_in_buckets(gradients, collective, bucket_bytes)
    for gradient in gradients:
        gradient.div_(collective.size)


@misconception("parallel.reduce_gradients", pitfall=3, ask="Which calls does a rank make whose shard is empty?")
def missing_gradients_are_skipped(parameters, collective, bucket_bytes=25 * 2**20):
    """Parameters without a gradient are skipped, so that ranks make different calls and wait for each other."""
    summed_in_buckets([p.grad for p in parameters if p.requires_grad and p.grad is not None], collective, bucket_bytes)


@misconception("parallel.reduce_gradients", ask="What does a call cost that sends four bytes?")
def a_call_for_each_gradient(parameters, collective, bucket_bytes=25 * 2**20):
    """Each gradient travels on its own, and each call costs its latency."""
    for gradient in gradients_or_zeros(parameters):
        collective.all_reduce(gradient)


@misconception("parallel.reduce_gradients", ask="How much memory does a bucket of everything take?")
def one_bucket_for_everything(parameters, collective, bucket_bytes=25 * 2**20):
    """All gradients travel in one bucket, which takes as much memory again as all of them."""
    summed_in_buckets(gradients_or_zeros(parameters), collective, 2**60)


@misconception("parallel.reduce_gradients", ask="Where do the sums go?")
def sums_stay_in_the_bucket(parameters, collective, bucket_bytes=25 * 2**20):
    """The buckets are summed, and the sums never come back to the gradients."""
    for bucket in buckets(gradients_or_zeros(parameters), bucket_bytes):
        collective.all_reduce(torch.cat([gradient.flatten() for gradient in bucket]))


@misconception("parallel.reduce_gradients", ask="What is the gradient of a frozen parameter?")
def frozen_ones_get_gradients(parameters, collective, bucket_bytes=25 * 2**20):
    """Frozen parameters get a gradient of zeros as well, and travel along."""
    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    summed_in_buckets([parameter.grad for parameter in parameters], collective, bucket_bytes)


def nonempty(micro_batches):
    """The micro-batches that are not empty."""
    return [micro_batch for micro_batch in micro_batches if len(micro_batch[0])]


def own_share(model, micro_batches, collective, scaler, dtype):
    """One's own gradients over the global count, as they should be, and one's share of the loss."""
    own = nonempty(micro_batches)
    total = global_count(count_targets(own), collective)
    return accumulate_gradients(model, own, total, scaler.scale, dtype)


def together(share, model, optimizer, collective, scaler, max_norm, scheduler):
    """The end of the step, as it should be, once gradients are summed."""
    loss = global_sum(share, collective)
    return Step(loss, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("parallel.parallel_step", pitfall=1, ask="What does a token weigh on a rank with few of them?")
def mean_of_the_ranks_means(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Each rank divides by its own targets, and the ranks' means are averaged."""
    optimizer.zero_grad()
    own = nonempty(micro_batches)
    total = max(1, count_targets(own)) * collective.size
    global_count(total, collective)
    share = accumulate_gradients(model, own, total, scaler.scale, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", pitfall=2, ask="By which factor does each rank clip?")
def clipped_before_the_sum(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Each rank clips its own gradients before they are summed, each by another factor."""
    optimizer.zero_grad()
    share = own_share(model, micro_batches, collective, scaler, dtype)
    if nonempty(micro_batches):
        clip_gradients(model.parameters(), max_norm * scaler.scale / collective.size)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="How often does each gradient travel, with four micro-batches?")
def summed_after_each_micro_batch(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Gradients are summed after each micro-batch, not once at the end: k times the traffic, and all ranks need as many of them."""
    optimizer.zero_grad()
    own = nonempty(micro_batches)
    total = global_count(count_targets(own), collective)
    share, kept = 0.0, None
    for micro_batch in own or [None]:
        optimizer.zero_grad()
        share += accumulate_gradients(model, [micro_batch] if micro_batch else [], total, scaler.scale, dtype)
        reduce_gradients(model.parameters(), collective)
        now = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        kept = now if kept is None else [a + b for a, b in zip(kept, now, strict=True)]
    for parameter, gradient in zip([p for p in model.parameters() if p.grad is not None], kept, strict=True):
        parameter.grad = gradient
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="Whose loss stands in the log of rank 1?")
def loss_of_ones_own_share(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Each rank returns the loss of its own share."""
    optimizer.zero_grad()
    share = own_share(model, micro_batches, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return Step(share, *apply_gradients(model, optimizer, scaler, max_norm, scheduler))


@misconception("parallel.parallel_step", pitfall=3, ask="Who waits for a rank that has returned?")
def early_return_without_rows(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """A rank with an empty shard returns early, and the others wait for it for ever."""
    optimizer.zero_grad()
    if not nonempty(micro_batches):
        return Step(0.0, 0.0, False)
    share = own_share(model, micro_batches, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="What stands in .grad after the last step?")
def leftovers_are_summed_too(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Gradients of earlier steps are not cleared, and are summed over the ranks again."""
    share = own_share(model, micro_batches, collective, scaler, dtype)
    reduce_gradients(model.parameters(), collective)
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)


@misconception("parallel.parallel_step", ask="What do the ranks have in common after one step?")
def gradients_are_never_summed(
    model, optimizer, micro_batches, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None
):
    """Every rank steps with the gradients of its own share, and the models drift apart."""
    optimizer.zero_grad()
    share = own_share(model, micro_batches, collective, scaler, dtype)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return together(share, model, optimizer, collective, scaler, max_norm, scheduler)
