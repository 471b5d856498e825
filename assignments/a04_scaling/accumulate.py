"""Gradient accumulation: a batch that does not fit into memory is computed in micro-batches, and the gradient is that of the whole.

Left out: batch statistics (batch norm), which micro-batches would change, and choosing how many micro-batches there are.
Source: none for the method; for what goes wrong with padding: Hugging Face's note on gradient accumulation, October 2024.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from given.a02_training.data import IGNORE, Batch
from jaxtyping import Float, Int
from torch import Tensor, nn


def split_batch(batch: Batch, n_micro_batches: int) -> list[Batch]:
    """The sequences of a batch in n_micro_batches micro-batches. The order stays.

    Micro-batches are as equal as possible: their sizes differ by one at most, and the larger ones come first.
    ValueError: there are fewer sequences than micro-batches, or n_micro_batches is less than 1.
    """
    batch_size = len(batch[0])
    if not 1 <= n_micro_batches <= batch_size:
        raise ValueError(f"n_micro_batches must be 1 to the batch size {batch_size}; got {n_micro_batches}")
    # TODO: the batch in micro-batches (handout: accumulate, step 1).
    # Watch: `chunk` makes fewer micro-batches than you asked for when the batch size does not divide; no sequence is left out.
    raise NotImplementedError("a04_scaling/accumulate.py: split_batch() is yours to write (handout: accumulate, step 1)")


def count_targets(micro_batches: Sequence[Batch]) -> int:
    """How many targets of all micro-batches together are not IGNORE."""
    # TODO: one number (handout: accumulate, step 2).
    raise NotImplementedError("a04_scaling/accumulate.py: count_targets() is yours to write (handout: accumulate, step 2)")


def summed_loss(logits: Float[Tensor, "*batch seq_len vocab_size"], targets: Int[Tensor, "*batch seq_len"]) -> Float[Tensor, ""]:
    """Sum of −ln p(target) in nats over all targets that are not IGNORE. It is float32, or float64 for float64 logits.

    The sum is 0, with the gradient 0, when no target counts: a micro-batch may be all padding.
    """
    # TODO: the sum, not the mean (handout: accumulate, step 3).
    # Watch: logits may come in 16 bits; F.cross_entropy is yours to use.
    raise NotImplementedError("a04_scaling/accumulate.py: summed_loss() is yours to write (handout: accumulate, step 3)")


def accumulate_gradients(
    model: nn.Module,
    micro_batches: Sequence[Batch],
    total: int | None = None,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Add the gradients of `scale` times the mean loss to the model's gradients, and return the mean loss.

    The mean is over all targets of all micro-batches. Each micro-batch has one forward and one backward pass, so the activations of
    only one micro-batch are in memory at a time. Gradients that are there already stay in the sum.

    total: how many targets to divide by. By default it is the number of targets of these micro-batches. Whoever holds only a share
        of the batch passes the number of the whole batch. The losses that come back from all shares then add up to the mean.
    scale: see `amp.Scaler`. The loss that is returned is without it.
    dtype: the forward pass runs under `torch.autocast` in this dtype. float32 means without autocast.
    ValueError: there is no target to divide by.
    """
    total = count_targets(micro_batches) if total is None else total
    if total < 1:
        raise ValueError(
            f"needed: at least one target that is not IGNORE ({IGNORE}); got {total} in {len(micro_batches)} micro-batches"
        )
    # TODO: a backward pass for each micro-batch (handout: accumulate, step 4).
    # Watch: micro-batches differ in how many targets count; the device of the model; what keeps earlier graphs alive.
    raise NotImplementedError("a04_scaling/accumulate.py: accumulate_gradients() is yours to write (handout: accumulate, step 4)")
