"""These are wrong versions of parts of accumulate.py, one mistake each. A docstring is the hint that a student reads."""

import torch
import torch.nn.functional as F
from given.a02_training.data import IGNORE

from tools.author.cases import misconception

from .accumulate import count_targets, summed_loss


def must_be_possible(batch, n_parts):
    """The argument check of `split_batch`."""
    if not 1 <= n_parts <= len(batch[0]):
        raise ValueError(f"{len(batch[0])} rows do not make {n_parts} parts")


@misconception("accumulate.split_batch", pitfall=5, ask="How many parts does `chunk` make of 9 rows if you ask for 4?")
def chunks_of_a_size(batch, n_parts):
    """`chunk` rounds the size of a part up, so that there are fewer parts than asked for, and a small last one."""
    must_be_possible(batch, n_parts)
    return list(zip(batch[0].chunk(n_parts), batch[1].chunk(n_parts), strict=True))


@misconception("accumulate.split_batch", pitfall=5, ask="Where is row 7 of 7, in three parts?")
def rest_of_the_rows_is_dropped(batch, n_parts):
    """Parts are of equal size, and the rows that are left over are lost."""
    must_be_possible(batch, n_parts)
    rows = len(batch[0]) // n_parts
    return [(batch[0][i * rows : (i + 1) * rows], batch[1][i * rows : (i + 1) * rows]) for i in range(n_parts)]


@misconception("accumulate.count_targets", pitfall=2, ask="What is the target of a padded place?")
def padding_is_counted(parts):
    """All targets are counted, those of padding too."""
    return sum(targets.numel() for _, targets in parts)


@misconception("accumulate.count_targets", pitfall=2, ask="Is token 0 padding?")
def zeros_are_not_counted(parts):
    """Token 0 is taken for padding and not counted."""
    return sum(int((targets > 0).sum()) for _, targets in parts)


@misconception("accumulate.summed_loss", pitfall=2, ask="By what is the loss of a part divided here?")
def mean_of_the_part(logits, targets):
    """The mean over the targets of this part, not their sum."""
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


def total_of(parts, total):
    """The argument check of `accumulate_gradients`."""
    total = count_targets(parts) if total is None else total
    if total < 1:
        raise ValueError("nothing to divide by")
    return total


def logits_of(model, inputs, dtype):
    """One forward pass, under autocast where that is asked for."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model(inputs.to(device))


def part_by_part(model, parts, scale, dtype, share):
    """A backward pass for each part, and the sum of the shares. share(sum of losses, the part): the part's share of the loss."""
    mean = 0.0
    for part in parts:
        loss = share(summed_loss(logits_of(model, part[0], dtype), part[1]), part)
        (loss * scale).backward()
        mean += loss.item()
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="How large is the sum of four means?")
def means_are_added(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The means of the parts are added and never divided: with k parts the gradient is k times too large."""
    total_of(parts, total)
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / max(1, count_targets([part])))


@misconception("accumulate.accumulate_gradients", pitfall=2, ask="What does a token weigh in a part with few of them?")
def divided_by_the_parts(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The mean of the parts' means: tokens in parts with few targets weigh more than others."""
    total_of(parts, total)
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / max(1, count_targets([part])) / len(parts))


@misconception("accumulate.accumulate_gradients", pitfall=1, ask="What is the gradient of a sum of 4,000 losses?")
def sums_are_added(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The sums of the parts are added and not divided by the number of targets; only the loss that is told is."""
    total = total_of(parts, total)
    mean = 0.0
    for inputs, targets in parts:
        loss = summed_loss(logits_of(model, inputs, dtype), targets)
        (loss * scale).backward()
        mean += loss.item() / total
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="What is left of the first part's gradient?")
def cleared_for_each_part(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """Gradients are cleared before each part, so that those of the last one alone are left."""
    total = total_of(parts, total)
    mean = 0.0
    for part in parts:
        model.zero_grad()
        mean += part_by_part(model, [part], scale, dtype, lambda loss, part: loss / total)
    return mean


@misconception("accumulate.accumulate_gradients", pitfall=6, ask="Whose gradients may be there before?")
def cleared_at_the_start(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """Gradients that are there already are cleared, though they should stay in the sum."""
    total = total_of(parts, total)
    model.zero_grad()
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / total)


@misconception("accumulate.accumulate_gradients", pitfall=4, ask="When are the activations of the first part freed?")
def one_backward_pass_at_the_end(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """All losses are added up with their graphs, and one backward pass comes at the end: that is the large batch again."""
    total = total_of(parts, total)
    losses = [summed_loss(logits_of(model, inputs, dtype), targets) / total for inputs, targets in parts]
    if losses:
        (sum(losses) * scale).backward()
    return float(sum(losses))


@misconception("accumulate.accumulate_gradients", ask="What does the log show if the scale is 65,536?")
def loss_comes_back_scaled(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the loss with its scale."""
    total = total_of(parts, total)
    return part_by_part(model, parts, 1.0, dtype, lambda loss, part: loss / total * scale)


@misconception("accumulate.accumulate_gradients", ask="Who else holds parts of this batch?")
def own_count_instead_of_the_total(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The total that was given is ignored, and the gradient divided by the targets of these parts."""
    total_of(parts, total)
    mine = max(1, count_targets(parts))
    return part_by_part(model, parts, scale, dtype, lambda loss, part: loss / mine)


@misconception("accumulate.accumulate_gradients", ask="Whose loss is the last one?")
def loss_of_the_last_part(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """What comes back is the last part's share of the loss."""
    total = total_of(parts, total)
    shares = [part_by_part(model, [part], scale, dtype, lambda loss, part: loss / total) for part in parts]
    return shares[-1] if shares else 0.0


@misconception("accumulate.accumulate_gradients", ask="Where is the dtype used?")
def autocast_is_left_out(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """The dtype is ignored, and everything is computed in float32."""
    total = total_of(parts, total)
    return part_by_part(model, parts, scale, torch.float32, lambda loss, part: loss / total)
