"""Working tools that look inside a model. Names, shapes and errors are those of the assignment."""

from itertools import groupby
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

if TYPE_CHECKING:
    from .model import GPT


def attention_maps(
    model: "GPT", tokens: Int[Tensor, "batch_size seq_len"]
) -> Float[Tensor, "n_layers batch_size n_heads seq_len seq_len"]:
    """Attention weights of every layer and head, computed as in evaluation. Afterwards every submodule has the mode it had.

    The model raises its own ValueError for tokens that do not fit.
    """
    modes, maps = {module: module.training for module in model.modules()}, []
    handles = []
    for block in model.blocks:
        read = lambda layer, inputs, _: maps.append(type(layer).forward(layer, *inputs, return_weights=True)[1])
        handles.append(block.attention.register_forward_hook(read))
    try:
        with torch.no_grad():
            model.eval()(tokens)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(maps)


def gradient_norms(model: "GPT") -> dict[str, float]:
    """The 2-norm of all gradients of each layer together, after a backward pass, from the input to the output.

    ValueError: a parameter has no gradient. The message names the first one.
    """
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    if missing:
        raise ValueError(f"{missing[0]} has no gradient; call backward() first")
    layer = lambda item: {"blocks": ".".join(item[0].split(".")[:2]), "norm": "norm"}.get(item[0].split(".")[0], "embedding")
    groups = groupby(model.named_parameters(), layer)
    return {name: nn.utils.get_total_norm([p.grad for _, p in items]).item() for name, items in groups}
