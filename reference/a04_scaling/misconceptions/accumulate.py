"""These are wrong versions of parts of accumulate.py, one mistake each. A docstring is the hint that a student reads."""

import torch
import torch.nn.functional as F
from given.a02_training.data import IGNORE

from tools.author.cases import misconception

from .accumulate import count_targets, summed_loss


def must_be_possible(batch, n_micro_batches):
    """The argument check of `split_batch`."""
    if not 1 <= n_micro_batches <= len(batch[0]):
        raise ValueError(f"{len(batch[0])} sequences do not make {n_micro_batches} micro-batches")


@misconception(
    "accumulate.split_batch", pitfall=5, ask="How many micro-batches does `chunk` make of 9 sequences if you ask for 4?"
)
def chunks_of_a_size(batch, n_micro_batches):
    """`chunk` rounds the size of a micro-batch up, so that there are fewer micro-batches than asked for, and a small last one."""
    must_be_possible(batch, n_micro_batches)
    return list(zip(batch[0].chunk(n_micro_batches), batch[1].chunk(n_micro_batches), strict=True))


@misconception("accumulate.split_batch", pitfall=5, ask="Where is sequence 7 of 7, in three micro-batches?")
def rest_of_the_rows_is_dropped(batch, n_micro_batches):
    """Micro-batches are of equal size, and the sequences that are left over are lost."""
    must_be_possible(batch, n_micro_batches)
    size = len(batch[0]) // n_micro_batches
    return [(batch[0][i * size : (i + 1) * size], batch[1][i * size : (i + 1) * size]) for i in range(n_micro_batches)]


@misconception("accumulate.count_targets", pitfall=2, ask="What is the target of a padded position?")
def padding_is_counted(micro_batches):
    """All targets are counted, those of padding too."""
    return sum(targets.numel() for _, targets in micro_batches)


@misconception("accumulate.count_targets", pitfall=2, ask="Is token 0 padding?")
def zeros_are_not_counted(micro_batches):
    """Token 0 is taken for padding and not counted."""
    return sum(int((targets > 0).sum()) for _, targets in micro_batches)


@misconception("accumulate.summed_loss", pitfall=2, ask="By what is the loss of a micro-batch divided here?")
def mean_of_the_micro_batch(logits, targets):
    """The mean over the targets of this micro-batch, not their sum."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


@misconception("accumulate.summed_loss", pitfall=3, ask="What is 0/0, times 0?")
def mean_times_count(logits, targets):
    """The mean times the count, which is NaN where no target counts."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    mean = F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)
    return mean * (targets != IGNORE).sum()


@misconception("accumulate.summed_loss", ask="What is 2048 + 1 in float16?")
def summed_in_sixteen_bits(logits, targets):
    """The loss is computed and summed in the dtype of the logits, which in 16 bits keeps three digits."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="sum")


@misconception("accumulate.summed_loss", pitfall=3, ask="What does F.cross_entropy do with −100, and what with your own choice?")
def padding_is_a_class(logits, targets):
    """Padded targets are turned into token 0 and counted as such."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten().clamp_min(0), reduction="sum")


def total_of(micro_batches, total):
    """The argument check of `accumulate_gradients`."""
    total = count_targets(micro_batches) if total is None else total
    if total < 1:
        raise ValueError("nothing to divide by")
    return total


def logits_of(model, inputs, dtype):
    """One forward pass, under autocast where that is asked for."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model(inputs.to(device))


def one_by_one(model, micro_batches, scale, dtype, share):
    """A backward pass for each micro-batch, and the sum of the shares.

    share: gives the share of the loss from the sum of losses and the micro-batch.
    """
    mean = 0.0
    for micro_batch in micro_batches:
        loss = share(summed_loss(logits_of(model, micro_batch[0], dtype), micro_batch[1]), micro_batch)
        (loss * scale).backward()
        mean += loss.item()
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="How large is the sum of four means?")
def means_are_added(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """The means of the micro-batches are added and never divided: with k micro-batches the gradient is k times too large."""
    total_of(micro_batches, total)
    return one_by_one(model, micro_batches, scale, dtype, lambda loss, micro_batch: loss / max(1, count_targets([micro_batch])))


@misconception("accumulate.accumulate_gradients", pitfall=2, ask="What does a token weigh in a micro-batch with few of them?")
def divided_by_the_micro_batches(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """The mean of the micro-batches' means: tokens in micro-batches with few targets weigh more than others."""
    total_of(micro_batches, total)
    return one_by_one(
        model,
        micro_batches,
        scale,
        dtype,
        lambda loss, micro_batch: loss / max(1, count_targets([micro_batch])) / len(micro_batches),
    )


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="What is the gradient of a sum of 4,000 losses?")
def sums_are_added(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """The sums of the micro-batches are added and not divided by the number of targets; only the loss that is returned is."""
    total = total_of(micro_batches, total)
    mean = 0.0
    for inputs, targets in micro_batches:
        loss = summed_loss(logits_of(model, inputs, dtype), targets)
        (loss * scale).backward()
        mean += loss.item() / total
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="What is left of the first micro-batch's gradient?")
def cleared_for_each_micro_batch(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """Gradients are cleared before each micro-batch, so that those of the last one alone are left."""
    total = total_of(micro_batches, total)
    mean = 0.0
    for micro_batch in micro_batches:
        model.zero_grad()
        mean += one_by_one(model, [micro_batch], scale, dtype, lambda loss, micro_batch: loss / total)
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="Whose gradients may be there before?")
def cleared_at_the_start(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """Gradients that are there already are cleared, though they should stay in the sum."""
    total = total_of(micro_batches, total)
    model.zero_grad()
    return one_by_one(model, micro_batches, scale, dtype, lambda loss, micro_batch: loss / total)


@misconception("accumulate.accumulate_gradients", pitfall=4, ask="When are the activations of the first micro-batch freed?")
def one_backward_pass_at_the_end(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """All losses are added up with their graphs, and one backward pass comes at the end: that is the large batch again."""
    total = total_of(micro_batches, total)
    losses = [summed_loss(logits_of(model, inputs, dtype), targets) / total for inputs, targets in micro_batches]
    if losses:
        (sum(losses) * scale).backward()
    return float(sum(losses))


@misconception("accumulate.accumulate_gradients", ask="What does the log show if the scale is 65,536?")
def loss_comes_back_scaled(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the loss with its scale."""
    total = total_of(micro_batches, total)
    return one_by_one(model, micro_batches, 1.0, dtype, lambda loss, micro_batch: loss / total * scale)


@misconception("accumulate.accumulate_gradients", ask="Who else holds micro-batches of this batch?")
def own_count_instead_of_the_total(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """The total that was given is ignored, and the gradient divided by the targets of these micro-batches."""
    total_of(micro_batches, total)
    own = max(1, count_targets(micro_batches))
    return one_by_one(model, micro_batches, scale, dtype, lambda loss, micro_batch: loss / own)


@misconception("accumulate.accumulate_gradients", ask="Whose loss is the last one?")
def loss_of_the_last_micro_batch(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the last micro-batch's share of the loss."""
    total = total_of(micro_batches, total)
    shares = [
        one_by_one(model, [micro_batch], scale, dtype, lambda loss, micro_batch: loss / total) for micro_batch in micro_batches
    ]
    return shares[-1] if shares else 0.0


@misconception("accumulate.accumulate_gradients", ask="Where is the dtype used?")
def autocast_is_left_out(model, micro_batches, total=None, scale=1.0, dtype=torch.float32):
    """The dtype is ignored, and everything is computed in float32."""
    total = total_of(micro_batches, total)
    return one_by_one(model, micro_batches, scale, torch.float32, lambda loss, micro_batch: loss / total)
