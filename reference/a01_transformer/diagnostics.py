"""A look inside a model, trained or fresh: where its heads look, and how strong the gradients of its layers are.

Left out: drawing (the notebook does that), and any change to the model: what is measured must not depend on measuring.
Source: none; two tools that this course keeps using.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:  # the hints alone need it, so that these tools work whatever the state of model.py
    from .model import GPT


def attention_maps(
    model: "GPT", tokens: Int[Tensor, "batch_size seq_len"]
) -> Float[Tensor, "n_layers batch_size n_heads seq_len seq_len"]:
    """Attention weights of every layer and head for these tokens; entry [..., i, j] is how much token i takes from j.

    Computed as in evaluation: no dropout, no gradient. Afterwards every submodule is in the mode (train or eval) in
    which it was found, also when something went wrong, and nothing is left behind on the model.
    """
    # TODO: the weights of each layer, stacked (handout: diagnostics, step 1).
    # Watch: a layer sees what the layers below made of the tokens; modes may differ from module to module.
    # BEGIN SOLUTION
    modes = [(module, module.training) for module in model.modules()]
    attention_inputs: list[Tensor] = []
    record = lambda _module, inputs: attention_inputs.append(inputs[0])
    hooks = [block.attention.register_forward_pre_hook(record) for block in model.blocks]
    try:
        model.eval()
        with torch.no_grad():
            model(tokens)
            for hook in hooks:
                hook.remove()
            layers = zip(model.blocks, attention_inputs, strict=True)
            return torch.stack([block.attention(x, return_weights=True)[1] for block, x in layers])
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    # END SOLUTION


def gradient_norms(model: "GPT") -> dict[str, float]:
    """The 2-norm of all gradients of each layer together, after a backward pass, from the input to the output.

    Keys: "embedding" (tokens and positions; the tied head's share of the gradient is in it), "blocks.0", "blocks.1", …,
    "norm". ValueError that names the first parameter without a gradient.
    """
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(f"{name} has no gradient; call backward() on a loss that depends on it first")
    # TODO: one number a layer (handout: diagnostics, step 2).
    # Watch: a norm of many tensors is neither the sum nor the mean of their norms; float16 squares overflow.
    # BEGIN SOLUTION
    squares: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        gradient = parameter.grad.to(torch.promote_types(parameter.grad.dtype, torch.float32))
        squares[layer] = squares.get(layer, 0) + gradient.square().sum()
    return {layer: square.sqrt().item() for layer, square in squares.items()}
    # END SOLUTION
