"""These are other right versions of parts of diagnostics.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate


@alternate("diagnostics.attention_maps")
def layer_by_layer(model, tokens):
    """The model's own pass, spelled out layer by layer; every mode is put back."""
    modes, maps = {module: module.training for module in model.modules()}, []
    model.eval()
    try:
        if tokens.ndim != 2 or tokens.shape[1] > model.config.n_positions:
            raise ValueError("tokens do not fit")
        with torch.inference_mode():
            x = model.positions(model.token_embedding(tokens))
            for block in model.blocks:
                maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
                x = block(x)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(maps)


@alternate("diagnostics.gradient_norms")
def one_long_vector(model):
    """The gradients of a layer as one long vector, and its norm."""
    layers = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(f"{name} has no gradient")
        first, second, *_ = [*name.split("."), ""]
        layer = {"blocks": f"blocks.{second}", "norm": "norm"}.get(first, "embedding")
        layers.setdefault(layer, []).append(
            parameter.grad.detach().flatten().to(torch.promote_types(parameter.grad.dtype, torch.float32))
        )
    return {layer: float(torch.linalg.vector_norm(torch.cat(gradients))) for layer, gradients in layers.items()}
