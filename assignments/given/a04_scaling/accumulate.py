"""A batch in parts, with one graph at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from given.a02_training.data import IGNORE, Batch


def split_batch(batch: Batch, n_parts: int) -> list[Batch]:
    """n_parts stretches of rows."""
    n_rows = batch[0].shape[0]
    if n_parts < 1 or n_parts > n_rows:
        raise ValueError(f"{n_rows} rows make 1 to {n_rows} parts; got n_parts {n_parts}")
    small, more = divmod(n_rows, n_parts)
    sizes = [small + 1] * more + [small] * (n_parts - more)
    return [(x, y) for x, y in zip(torch.split(batch[0], sizes), torch.split(batch[1], sizes), strict=True)]


def count_targets(parts: Sequence[Batch]) -> int:
    """Targets that count."""
    return int(sum(torch.count_nonzero(part[1] - IGNORE) for part in parts))


def summed_loss(logits: Float[Tensor, "*batch time vocab"], targets: Int[Tensor, "*batch time"]) -> Float[Tensor, ""]:
    """The sum over targets that count."""
    surprise = nn.NLLLoss(ignore_index=IGNORE, reduction="sum")
    wide = torch.promote_types(torch.float32, logits.dtype)
    return surprise(torch.log_softmax(logits, -1, dtype=wide).reshape(-1, logits.shape[-1]), targets.reshape(-1))


def accumulate_gradients(
    model: nn.Module, parts: Sequence[Batch], total: int | None = None, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> float:
    """Gradients of scale times the mean over all targets; returns the mean."""
    n = count_targets(parts) if total is None else total
    if n <= 0:
        raise ValueError(f"needed: at least one target that is not IGNORE ({IGNORE}); got {n}")
    place = next(model.parameters()).device
    losses = []
    for part in parts:
        x, y = (tensor.to(place) for tensor in part)
        with torch.autocast(place.type, dtype, enabled=dtype is not torch.float32):
            out = model(x)
        losses.append(summed_loss(out, y))
        losses[-1].backward(torch.full_like(losses[-1], scale / n))
        losses[-1] = losses[-1].detach().double() / n
    return float(sum(losses))
