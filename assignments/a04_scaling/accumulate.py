"""Gradient accumulation: a batch that does not fit into memory is computed in parts, and the gradient is that of the whole.

Left out: batch statistics (batch norm), which parts would change, and choosing how many parts there are.
Source: none for the method; for what goes wrong with padding: Hugging Face's note on gradient accumulation, October 2024.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from given.a02_training.data import IGNORE, Batch
from jaxtyping import Float, Int
from torch import Tensor, nn


def split_batch(batch: Batch, n_parts: int) -> list[Batch]:
    """The rows of a batch in n_parts parts, in their order, as equal as possible: sizes differ by one at most, the larger first.

    ValueError if there are fewer rows than parts, or less than one part.
    """
    rows = len(batch[0])
    if not 1 <= n_parts <= rows:
        raise ValueError(f"{rows} rows make 1 to {rows} parts; got n_parts {n_parts}")
    # TODO: rows in parts (handout: accumulate, step 1).
    # Watch: `chunk` makes fewer parts than you asked for when rows do not divide; no row is left out.
    raise NotImplementedError("a04_scaling/accumulate.py: split_batch() is yours to write (handout: accumulate, step 1)")


def count_targets(parts: Sequence[Batch]) -> int:
    """How many targets of all the parts together are not IGNORE."""
    # TODO: one number (handout: accumulate, step 2).
    raise NotImplementedError("a04_scaling/accumulate.py: count_targets() is yours to write (handout: accumulate, step 2)")


def summed_loss(logits: Float[Tensor, "*batch time vocab"], targets: Int[Tensor, "*batch time"]) -> Float[Tensor, ""]:
    """Sum of −ln p(target) in nats over all targets that are not IGNORE; in float32, or float64 for float64.

    0, with the gradient 0, when no target counts: a part may be all padding.
    """
    # TODO: the sum, not the mean (handout: accumulate, step 3).
    # Watch: logits may come in 16 bits; F.cross_entropy is yours to use.
    raise NotImplementedError("a04_scaling/accumulate.py: summed_loss() is yours to write (handout: accumulate, step 3)")


def accumulate_gradients(
    model: nn.Module, parts: Sequence[Batch], total: int | None = None, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> float:
    """Add to the gradients of the model those of `scale` times the mean loss over all targets of all parts; returns that mean.

    One forward and one backward pass for each part, so only one part's activations are there at a time. total: divide by this many
    targets instead of those of these parts, for whoever holds only a share of the batch; the losses that come back from all shares
    then add up to the mean. scale: see `amp.Scaler`; what is returned is without it. dtype: compute under `torch.autocast` in it;
    float32 means without. Gradients that are there already stay in the sum. ValueError if there is nothing to divide by.
    """
    total = count_targets(parts) if total is None else total
    if total < 1:
        raise ValueError(f"needed: at least one target that is not IGNORE ({IGNORE}); got {total} in {len(parts)} parts")
    # TODO: a backward pass for each part (handout: accumulate, step 4).
    # Watch: parts differ in how many targets count; the device of the model; what keeps the graphs of earlier parts alive.
    raise NotImplementedError("a04_scaling/accumulate.py: accumulate_gradients() is yours to write (handout: accumulate, step 4)")
