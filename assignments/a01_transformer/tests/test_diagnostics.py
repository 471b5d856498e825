"""Checks of diagnostics.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part, refusal

PARTS = (
    "positions.LearnedPositions",
    "attention.causal_mask",
    "attention.scaled_dot_product_attention",
    "attention.MultiHeadAttention",
    "layers.LayerNorm",
    "layers.gelu_tanh",
    "layers.MLP",
    "block.Block",
    "model.GPT",
)


def build(solution, draw, **rest):
    """A small model of the solution with known parameters."""
    return draw.fill_(solution.model.GPT(solution.model.GPTConfig(9, 6, 6, 3, n_layers=2, **rest)))


@part("diagnostics.attention_maps")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_maps_are_those_of_each_layer(solution, draw):
    """The maps are (n_layers, batch_size, n_heads, seq_len, seq_len), and each layer sees what the layers below made."""
    return {"maps": solution.diagnostics.attention_maps(build(solution, draw).eval(), draw.integers(0, 9, 2, 5))}


@part("diagnostics.attention_maps")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_maps_are_those_of_evaluation(solution, draw):
    """Dropout is off while the maps are made, they carry no gradient, and every submodule keeps its mode."""
    model = build(solution, draw, dropout=0.5).train()
    model.blocks[0].attention.eval()
    maps = solution.diagnostics.attention_maps(model, draw.integers(0, 9, 1, 4))
    modules = {"model": model, "first attention": model.blocks[0].attention, "second attention": model.blocks[1].attention}
    return {"maps": maps, "with gradient": maps.requires_grad, "in training": {n: m.training for n, m in modules.items()}}


@part("diagnostics.attention_maps")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_maps_leave_nothing_behind(solution, draw):
    """No hook stays on the model, and it keeps its mode also when the tokens were refused."""
    model, tokens = build(solution, draw, dropout=0.5).train(), draw.integers(0, 9, 1, 7)
    refused = refusal(lambda: solution.diagnostics.attention_maps(model, tokens))
    maps = solution.diagnostics.attention_maps(model, tokens[:, :3])
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    return {"refused": refused, "maps": maps, "hooks left": hooks, "still in training": all(m.training for m in model.modules())}


@part("diagnostics.gradient_norms")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_norms_are_those_of_each_layer(solution, draw):
    """Each layer has one number: the length of all its gradients laid end to end."""
    model = build(solution, draw)
    (model(draw.integers(0, 9, 2, 5)) * draw.normal(2, 5, 9)).sum().backward()
    return {"norms": solution.diagnostics.gradient_norms(model)}


@part("diagnostics.gradient_norms")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_norms_come_in_the_order_of_the_model(solution, draw):
    """The names run from the input to the output; a parameter without a gradient is a ValueError."""
    model = build(solution, draw, bias=False)
    refused = refusal(lambda: solution.diagnostics.gradient_norms(model))
    model(draw.integers(0, 9, 1, 4)).square().sum().backward()
    norms = solution.diagnostics.gradient_norms(model)
    return {"no gradient": refused, "order": ", ".join(norms), "norms": norms}


@part("diagnostics.gradient_norms")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_norms_survive_float16(solution, draw):
    """Gradients whose squares float16 cannot hold have a finite norm, and they are left as they were."""
    model = build(solution, draw).half()
    for parameter in model.parameters():
        parameter.grad = draw.normal(*parameter.shape, scale=300).to(parameter)
    before = [p.grad.clone() for p in model.parameters()]
    norms = torch.tensor(list(solution.diagnostics.gradient_norms(model).values()), dtype=torch.float16)
    return {"norms": norms, "left alone": all(map(torch.equal, before, (p.grad for p in model.parameters())))}
