"""These are wrong versions of parts of diagnostics.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch

from tools.author.cases import misconception


@misconception("diagnostics.attention_maps", pitfall=1, ask="What is model.training before, and what afterwards?")
def model_stays_in_evaluation(model, tokens):
    """The model is left in evaluation mode."""
    model.eval()
    return maps_of(model, tokens)


def maps_of(model, tokens):
    """The weights of each layer in the mode the model is in."""
    maps = []
    with torch.no_grad():
        if tokens.shape[1] > model.config.n_positions:
            raise ValueError("too many tokens")
        x = model.dropout(model.positions(model.token_embedding(tokens)))
        for block in model.blocks:
            maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
            x = block(x)
    return torch.stack(maps)


@misconception("diagnostics.attention_maps", pitfall=1, ask="Was every submodule in training before?")
def everything_is_set_to_training(model, tokens):
    """Afterwards the whole model is in training mode, also what was not before."""
    model.eval()
    try:
        return maps_of(model, tokens)
    finally:
        model.train()


@misconception("diagnostics.attention_maps", pitfall=1, ask="Do two calls give the same maps?")
def maps_of_training(model, tokens):
    """The maps are made in the mode the model is in, with dropout if that is training."""
    return maps_of(model, tokens)


@misconception("diagnostics.attention_maps", pitfall=3, ask="What does layer 1 read?")
def every_layer_reads_the_embeddings(model, tokens):
    """Every layer is shown the embedded tokens, and not what the layers below made of them."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            if tokens.shape[1] > model.config.n_positions:
                raise ValueError("too many tokens")
            x = model.positions(model.token_embedding(tokens))
            return torch.stack([block.attention(block.norm_attention(x), return_weights=True)[1] for block in model.blocks])
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("diagnostics.attention_maps", pitfall=3, ask="What stands between the stream and attention?")
def maps_of_the_stream_before_its_norm(model, tokens):
    """Attention is shown the stream itself, and not what the norm makes of it."""
    modes, maps = [(module, module.training) for module in model.modules()], []
    try:
        model.eval()
        with torch.no_grad():
            if tokens.shape[1] > model.config.n_positions:
                raise ValueError("too many tokens")
            x = model.positions(model.token_embedding(tokens))
            for block in model.blocks:
                maps.append(block.attention(x, return_weights=True)[1])
                x = block(x)
            return torch.stack(maps)
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("diagnostics.attention_maps", pitfall=4, ask="What happens at the model's next forward pass?")
def hooks_stay_on_the_model(model, tokens):
    """The hooks that caught the maps stay registered."""
    modes, attention_inputs = [(module, module.training) for module in model.modules()], []
    for block in model.blocks:
        block.attention.register_forward_pre_hook(lambda _module, inputs: attention_inputs.append(inputs[0]))
    try:
        model.eval()
        with torch.no_grad():
            model(tokens)
            return torch.stack(
                [b.attention(x, return_weights=True)[1] for b, x in zip(model.blocks, list(attention_inputs), strict=False)]
            )
    finally:
        for module, mode in modes:
            module.training = mode


@misconception("diagnostics.attention_maps", pitfall=4, ask="What do the maps keep in memory?")
def maps_hold_on_to_the_graph(model, tokens):
    """The maps are made with gradients, and keep everything alive that they were computed from."""
    modes, maps = [(module, module.training) for module in model.modules()], []
    try:
        model.eval()
        if tokens.shape[1] > model.config.n_positions:
            raise ValueError("too many tokens")
        x = model.positions(model.token_embedding(tokens))
        for block in model.blocks:
            maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
            x = block(x)
        return torch.stack(maps)
    finally:
        for module, mode in modes:
            module.training = mode


def gradients_of(model):
    """Gradients in at least float32, layer by layer."""
    layers = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(f"{name} has no gradient")
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        layers.setdefault(layer, []).append(parameter.grad.to(torch.promote_types(parameter.grad.dtype, torch.float32)))
    return layers


@misconception("diagnostics.gradient_norms", pitfall=2, ask="How long is the way of 3 east and 4 north?")
def norms_are_added_up(model):
    """The norms of the parameters of a layer are added up."""
    return {layer: sum(g.norm().item() for g in gradients) for layer, gradients in gradients_of(model).items()}


@misconception("diagnostics.gradient_norms", pitfall=2, ask="Does a layer with more parameters have a longer gradient?")
def norms_are_averaged(model):
    """The squares are averaged instead of added up."""
    return {
        layer: math.sqrt(sum(g.square().mean().item() for g in gradients) / len(gradients))
        for layer, gradients in gradients_of(model).items()
    }


@misconception("diagnostics.gradient_norms", ask="What has happened to the root?")
def squares_are_not_rooted(model):
    """The sum of the squares is returned, without its root."""
    return {layer: sum(g.square().sum().item() for g in gradients) for layer, gradients in gradients_of(model).items()}


@misconception("diagnostics.gradient_norms", ask='Which parameters belong to "embedding"?')
def positions_are_left_out_of_the_embedding(model):
    """The gradient of the position table belongs to no layer."""
    gradients_of(model)
    squares = {}
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        if head != "positions":
            squares[layer] = (
                squares.get(layer, 0) + parameter.grad.to(torch.promote_types(parameter.grad.dtype, torch.float32)).square().sum()
            )
    return {layer: square.sqrt().item() for layer, square in squares.items()}


@misconception("diagnostics.gradient_norms", ask="What is 300 squared in float16?")
def squares_in_low_precision(model):
    """The squares are summed in the dtype of the gradients, and in float16 they overflow."""
    gradients_of(model)
    squares = {}
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        layer = f"blocks.{rest[0]}" if head == "blocks" else "norm" if head == "norm" else "embedding"
        squares[layer] = squares.get(layer, 0) + parameter.grad.square().sum()
    return {layer: square.sqrt().item() for layer, square in squares.items()}
