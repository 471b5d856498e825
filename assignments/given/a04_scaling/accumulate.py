"""A batch in micro-batches, with the graph of one at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from given.a02_training.data import IGNORE, Batch


def split_batch(batch: Batch, n_micro_batches: int) -> list[Batch]:
    """The sequences of a batch in n_micro_batches micro-batches of nearly the same size, in their order.

    ValueError: there are fewer sequences than micro-batches, or n_micro_batches is less than 1.
    """
    batch_size = batch[0].shape[0]
    if n_micro_batches < 1 or n_micro_batches > batch_size:
        raise ValueError(f"n_micro_batches must be 1 to the batch size {batch_size}; got {n_micro_batches}")
    small, more = divmod(batch_size, n_micro_batches)
    sizes = [small + 1] * more + [small] * (n_micro_batches - more)
    return [(x, y) for x, y in zip(torch.split(batch[0], sizes), torch.split(batch[1], sizes), strict=True)]


def count_targets(micro_batches: Sequence[Batch]) -> int:
    """How many targets of all micro-batches are not IGNORE."""
    return int(sum(torch.count_nonzero(micro_batch[1] - IGNORE) for micro_batch in micro_batches))


def summed_loss(logits: Float[Tensor, "*batch seq_len vocab_size"], targets: Int[Tensor, "*batch seq_len"]) -> Float[Tensor, ""]:
    """Sum of −ln p(target) in nats over all targets that are not IGNORE, in at least float32."""
    surprise = nn.NLLLoss(ignore_index=IGNORE, reduction="sum")
    wide = torch.promote_types(torch.float32, logits.dtype)
    return surprise(torch.log_softmax(logits, -1, dtype=wide).reshape(-1, logits.shape[-1]), targets.reshape(-1))


def accumulate_gradients(
    model: nn.Module,
    micro_batches: Sequence[Batch],
    total: int | None = None,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Add the gradients of `scale` times the mean loss over all targets, and return the mean loss.

    total: how many targets to divide by. By default it is the number of targets of these micro-batches.
    dtype: the forward pass runs under autocast in this dtype. float32 means without.
    ValueError: there is no target to divide by.
    """
    n = count_targets(micro_batches) if total is None else total
    if n <= 0:
        raise ValueError(f"needed: at least one target that is not IGNORE ({IGNORE}); got {n}")
    device = next(model.parameters()).device
    losses = []
    for micro_batch in micro_batches:
        x, y = (tensor.to(device) for tensor in micro_batch)
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            out = model(x)
        losses.append(summed_loss(out, y))
        losses[-1].backward(torch.full_like(losses[-1], scale / n))
        losses[-1] = losses[-1].detach().double() / n
    return float(sum(losses))
