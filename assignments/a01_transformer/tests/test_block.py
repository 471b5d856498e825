"""Checks of block.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import kept_share, matches_reference, needs, parameter_table, part, same, satisfies

PARTS = (
    "attention.causal_mask",
    "attention.scaled_dot_product_attention",
    "attention.MultiHeadAttention",
    "layers.LayerNorm",
    "layers.gelu_tanh",
    "layers.MLP",
)  # what a block is made of


@part("block.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_block_has_four_submodules(solution, draw):
    """Two norms, attention and an MLP, under the names of the table; bias=False drops every bias."""
    biased, plain = (draw.fill_(solution.block.Block(4, 2, bias=b)) for b in (True, False))
    return {"parameters": parameter_table(biased), "without bias": parameter_table(plain), "out": plain(draw.normal(1, 3, 4))}


@part("block.Block")
@needs(*PARTS)
@weight(2)
@matches_reference
def test_block_adds_two_branches_to_the_stream(solution, draw):
    """Each branch reads a normalised copy of the stream and adds to the stream itself, and every parameter learns."""
    block, x = draw.fill_(solution.block.Block(6, 2)), draw.normal(2, 4, 6, scale=2).requires_grad_()
    out = block(x)
    return {"out": out, "grad": draw.backward(out)}


@part("block.Block")
@needs(*PARTS)
@weight(1)
@satisfies(same("out", "x"))
def test_silent_branches_leave_the_stream_alone(solution, draw):
    """With both branches at 0 a block hands on what came in, to the last bit: the stream is never normalised or dropped."""
    block, x = draw.fill_(solution.block.Block(6, 3, dropout=0.5)), draw.normal(2, 4, 6, scale=5)
    spoken = block.eval()(x)
    ends = ("attention.proj.weight", "attention.proj.bias", "mlp.contract.weight", "mlp.contract.bias")
    block.load_state_dict(block.state_dict() | {key: torch.zeros_like(block.state_dict()[key]) for key in ends})
    return {"out": block.train()(x), "x": x, "before": spoken}


@part("block.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_block_is_causal_unless_told_otherwise(solution, draw):
    """Without a mask no token sees a later one; with one, the mask reaches attention."""
    block, x = draw.fill_(solution.block.Block(6, 2)), draw.normal(3, 5, 6)
    return {
        "causal": block(x),
        "everything": block(x, torch.ones(5, 5, dtype=torch.bool)),
        "one each": block(x, draw.bernoulli(0.5, 3, 5, 5) | torch.eye(5, dtype=torch.bool)),
    }


@part("block.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_eps_reaches_both_norms(solution, draw):
    """A large eps changes what both branches read; one token or no leading axis is no special case."""
    block = draw.fill_(solution.block.Block(6, 2, eps=0.5))
    return {
        "faint": block(draw.normal(3, 6, scale=0.3)),
        "one token": block(draw.normal(2, 1, 6)),
        "strided": block(draw.normal(2, 6, 3).mT),
    }


@part("block.Block")
@needs(*PARTS)
@weight(1)
@satisfies(kept_share("added", 0.3), random=("added",))
def test_dropout_acts_on_what_attention_adds(solution, draw):
    """In training, numbers that attention adds to the stream are dropped one by one and the rest scaled up."""
    block = solution.block.Block(16, 4, dropout=0.3)
    zeros = {key: torch.zeros_like(value) for key, value in block.state_dict().items()}
    block.load_state_dict(zeros | {"attention.proj.bias": torch.ones(16)})  # attention adds 1 everywhere, the MLP 0
    x = torch.zeros(20, 50, 16)
    return {"added": block(x), "eval": block.eval()(x[:2, :3])}


@part("block.Block")
@needs(*PARTS)
@weight(1)
@satisfies(kept_share("added", 0.3), random=("added",))
def test_dropout_acts_on_what_the_mlp_adds(solution, draw):
    """In training, numbers that the MLP adds to the stream are dropped once, one by one, and the rest scaled up."""
    block = solution.block.Block(16, 4, dropout=0.3)
    zeros = {key: torch.zeros_like(value) for key, value in block.state_dict().items()}
    block.load_state_dict(zeros | {"mlp.contract.bias": torch.ones(16)})
    x = torch.zeros(20, 50, 16)
    return {"added": block(x), "eval": block.eval()(x[:2, :3])}


@part("block.Block")
@needs(*PARTS)
@weight(1)
@satisfies(kept_share("added", 1 - 0.8**2), random=("added",))
def test_dropout_reaches_the_attention_weights(solution, draw):
    """In training the attention weights are dropped too, so that a share (1 − p)² of what attention adds survives both."""
    block = solution.block.Block(8, 8, dropout=0.2)
    zeros = {key: torch.zeros_like(value) for key, value in block.state_dict().items()}
    values = {"attention.qkv.bias": torch.arange(24).ge(16).to(torch.get_default_dtype()), "attention.proj.weight": torch.eye(8)}
    block.load_state_dict(zeros | values)  # each value is 1, and the mask below lets each token see itself alone
    x, alone = torch.zeros(60, 25, 8), torch.eye(25, dtype=torch.bool)
    return {"added": block(x, alone), "eval": block.eval()(x[:2, :3], alone[:3, :3])}


@part("block.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_block_drops_nothing_in_evaluation(solution, draw):
    """In evaluation a block with dropout is a block without; float64 stays float64."""
    block = draw.fill_(solution.block.Block(6, 3, dropout=0.5)).eval()
    return {"out": block(draw.normal(2, 4, 6)), "double": block.double()(draw.normal(1, 2, 6, dtype=torch.float64))}
