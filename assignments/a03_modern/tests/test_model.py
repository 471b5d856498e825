"""Checks of model.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    gaussian,
    keeps_pace,
    limits,
    matches_reference,
    needs,
    parameter_table,
    part,
    refusal,
    same,
    satisfies,
)

PARTS = (
    "norm.RMSNorm",
    *("rope.frequencies", "rope.rotate", "rope.RotaryEmbedding"),
    *("scaling.linear", "scaling.ntk", "scaling.yarn"),
    *("ffn.silu", "ffn.hidden_size", "ffn.SwiGLU"),
    *("attention.window_mask", "attention.grouped_attention", "attention.GroupedQueryAttention"),
)  # what a block is made of
ALL = (*PARTS, "cache.KVCache", "cache.RollingCache", "model.Block")
OLD = {"norm": "layernorm", "mlp": "gelu", "positions": "learned", "bias": True}  # the GPT of a01


def config(solution, vocab_size=11, n_positions=8, d_model=8, n_heads=2, n_layers=2, **rest):
    """A small configuration."""
    return solution.model.ModelConfig(vocab_size, n_positions, d_model, n_heads, n_layers, **rest)


def build(solution, **fields):
    """A small model of the solution."""
    return solution.model.Transformer(config(solution, **fields))


def rotation_of(positions, head_dim):
    """The rotation of tokens at these positions."""
    from given.a03_modern.rope import RotaryEmbedding

    return RotaryEmbedding(head_dim)(positions, torch.get_default_dtype())


@part("model.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_block_is_made_of_what_is_asked_for(solution, draw):
    """Norms and MLP are those of the configuration, and its heads, window, sinks, biases and layout reach attention."""
    blocks = {
        "modern": solution.model.Block(config(solution)),
        "old": solution.model.Block(config(solution, **OLD)),
        "no biases": solution.model.Block(config(solution, **OLD | {"bias": False})),
        "few keys": solution.model.Block(config(solution, n_heads=4, n_kv_heads=2, window=3, sinks=1, layout="half")),
    }
    x, positions = draw.normal(2, 6, 8), torch.arange(6).unsqueeze(0)
    outs = {
        name: draw.fill_(block)(x, positions, rotation_of(positions, 8 // (2 + 2 * (name == "few keys"))))
        for name, block in blocks.items()
    }
    return {"parameters": {name: parameter_table(block) for name, block in blocks.items()}, "out": outs}


@part("model.Block")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_block_passes_gradients(solution, draw):
    """The norms are two, each in front of its branch, and every parameter of a modern block and of an old one learns."""
    x, positions = draw.normal(2, 4, 8, scale=2).requires_grad_(), torch.arange(4).unsqueeze(0)
    modern, old = (draw.fill_(solution.model.Block(config(solution, **fields))) for fields in ({}, OLD))
    outs = modern(x, positions, rotation_of(positions, 4)), old(x, positions)
    return {"modern": outs[0], "old": outs[1], "grad": draw.backward(*outs)}


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@matches_reference
def test_model_has_the_keys_of_the_table(solution, draw):
    """Every parameter has the name and shape of the handout; as it stands, a configuration is the modern stack with six blocks."""
    modern = solution.model.Transformer(solution.model.ModelConfig(7, 5, 4, 2))
    few = build(solution, n_heads=4, n_kv_heads=1, n_layers=1, bias=True)
    return {
        "modern": parameter_table(modern),
        "few keys and biases": parameter_table(few),
        "count": [modern.n_parameters(), few.n_parameters()],
        "logits": draw.fill_(few)(draw.integers(0, 11, 1, 3)),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(1)
@matches_reference
def test_model_gives_logits_and_passes_gradients(solution, draw):
    """From tokens to logits every part is used once, in its order, nothing is added for positions, and every parameter learns."""
    model, tokens = draw.fill_(build(solution)), draw.integers(0, 11, 2, 6)
    logits = model(tokens)
    return {"logits": logits, "grad": draw.backward(logits)}


@part("model.Transformer")
@needs(*ALL)
@weight(1)
@satisfies(same("logits", "of a01"))
def test_old_model_is_the_gpt_of_a01(solution, draw):
    """With layernorm, gelu, learned positions and biases the keys are those of a01's GPT, and with its weights its logits."""
    from given.a01_transformer.model import GPT, GPTConfig

    gpt, modern_gpt, tokens = draw.fill_(GPT(GPTConfig(11, 8, 8, 2, 2))), build(solution, **OLD), draw.integers(0, 11, 2, 8)
    modern_gpt.load_state_dict(gpt.state_dict())
    logits = modern_gpt(tokens)
    return {
        "logits": logits,
        "of a01": gpt(tokens),
        "parameters": parameter_table(modern_gpt),
        "without biases": parameter_table(build(solution, **OLD | {"bias": False})),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(1)
@matches_reference
def test_six_rows_are_one_field_apart(solution, draw):
    """Norm, MLP and positions are switched each on its own, with biases and without."""
    tokens, found = draw.integers(0, 11, 2, 5), {}
    rows = {
        "baseline": OLD,
        "norm": OLD | {"norm": "rmsnorm"},
        "mlp": OLD | {"mlp": "swiglu"},
        "positions": OLD | {"positions": "rope"},
        "norm + mlp": OLD | {"norm": "rmsnorm", "mlp": "swiglu"},
        "all": {},
    }
    for name, fields in rows.items():
        for bias in (True, False):
            model = draw.fill_(build(solution, **fields | {"bias": bias}))
            found[f"{name}, bias {bias}"] = {"logits": model(tokens)[:, -2:], "parameters": model.n_parameters()}
    return found


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@matches_reference
def test_every_field_reaches_its_part(solution, draw):
    """Heads of keys, window, sinks, layout, base and scaling of the configuration act in every block; rates are those of a head."""
    tokens = draw.integers(0, 11, 1, 8)
    fields = {
        "heads of keys": {"n_heads": 4, "n_kv_heads": 2},
        "window": {"window": 3},
        "sinks": {"window": 2, "sinks": 2},
        "layout": {"layout": "half"},
        "base": {"rope_base": 50.0},
        "scaling": {"scaling": solution.scaling.Scaling("yarn", 4.0, 16)},
        "one head": {"n_heads": 1},
    }
    return {name: draw.fill_(build(solution, **changed))(tokens)[:, -1] for name, changed in fields.items()}


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@satisfies(all_of(same("before", "after"), same("here", "later")))
def test_model_sees_the_past_and_distances_alone(solution, draw):
    """Changing later tokens changes no earlier logits; and a sequence that stands 20,000 positions on has the same logits."""
    model, tokens = draw.fill_(build(solution)), draw.integers(0, 11, 2, 7)
    changed, positions = torch.cat([tokens[:, :4], 10 - tokens[:, 4:]], dim=1), torch.arange(7).unsqueeze(0)
    here = model(tokens)
    return {
        "before": here[:, :4],
        "after": model(changed)[:, :4],
        "here": here,
        "later": model(tokens, positions + 20_000),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@matches_reference
def test_rotations_have_no_last_position(solution, draw):
    """With RoPE a sequence may be longer than those in training; with learned positions that is a ValueError, as is −1 no row."""
    modern, old = draw.fill_(build(solution, n_positions=5)), draw.fill_(build(solution, **OLD | {"n_positions": 5}))
    tokens, padded = draw.integers(0, 11, 2, 9), torch.tensor([[-1, -1, 0, 1, 2], [0, 1, 2, 3, 4]])
    return {
        "longer": modern(tokens)[:, -2:],
        "refused": [
            refusal(lambda: old(tokens)),
            refusal(lambda: old(tokens[:, :2], torch.tensor([[4, 5]]))),
            refusal(lambda: modern(tokens + 5)),
            refusal(lambda: modern(tokens.float())),
            refusal(lambda: modern(tokens, caches=modern.new_caches(2, 9))),
            refusal(lambda: solution.model.ModelConfig(4, 4, 4, 2, norm="batchnorm")),
        ],
        "fits": old(tokens[:, :5]),
        "padded": old(tokens[:, :5], padded)[0, 2:],
        "padded, modern": modern(tokens[:, :5], padded)[0, 2:],
    }


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@matches_reference
def test_head_and_embedding_are_one_table(solution, draw):
    """The head is the token table itself, in memory too: what changes the one changes the other."""
    model, tokens = draw.fill_(build(solution, n_layers=1)), draw.integers(0, 11, 2, 3)
    with torch.no_grad():
        model.token_embedding.weight.mul_(-0.5)
    return {
        "logits": model(tokens),
        "shared": model.head.weight.data_ptr() == model.token_embedding.weight.data_ptr(),
        "tensors": len(list(model.parameters())),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@satisfies(
    all_of(
        *(gaussian(name, 0.05) for name in ("tokens", "positions", "qkv", "gate", "up")),
        *(gaussian(name, 0.05 / 6**0.5) for name in ("proj", "down")),
    ),
    random=("tokens", "positions", "qkv", "gate", "up", "proj", "down"),
)
def test_model_starts_as_gpt2_does(solution, draw):
    """Matrices start with the deviation init_std, those that end a branch with less, vectors at 0 and 1, in every row."""
    wide = {"vocab_size": 160, "n_positions": 160, "d_model": 64, "n_layers": 3, "init_std": 0.05}
    modern, old = build(solution, **wide), build(solution, **OLD | wide)
    vectors = [p.detach().flatten() for p in (*modern.parameters(), *old.parameters()) if p.ndim == 1]
    return {
        "tokens": modern.token_embedding.weight.detach(),
        "positions": old.positions.weight.detach(),
        "qkv": modern.blocks[1].attention.qkv.weight.detach(),
        "gate": modern.blocks[0].mlp.gate.weight.detach(),
        "up": modern.blocks[2].mlp.up.weight.detach(),
        "proj": torch.stack([block.attention.proj.weight.detach() for block in old.blocks]),
        "down": torch.stack([block.mlp.down.weight.detach() for block in modern.blocks]),
        "vectors": torch.cat(vectors).unique(),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@matches_reference
def test_each_layer_has_a_cache_of_its_own(solution, draw):
    """New caches are one object a layer, with heads of keys; of constant size if no capacity is given, which needs a window."""
    window, sinks, batch_size, capacity = draw.integers(3, 12, 4).tolist()
    model = build(solution, n_heads=4, n_kv_heads=2, n_layers=3, window=window, sinks=sinks)
    whole, rolling = model.new_caches(batch_size, capacity), model.new_caches(1)
    with_other_weights = build(solution).to(torch.float16).new_caches(2, 5)
    return {
        "different": [len({id(cache) for cache in caches}) for caches in (whole, rolling)],
        "shapes": [str(tuple(caches[-1].keys.shape)) for caches in (whole, rolling, with_other_weights)],
        "rolls": [rolling[0].window, rolling[0].sinks],
        "dtype": str(with_other_weights[0].keys.dtype),
        "no window": refusal(lambda: build(solution).new_caches(1)),
    }


@part("model.Transformer")
@needs(*ALL)
@weight(0.5)
@satisfies(all_of(same("in chunks", "at once"), same("old in chunks", "old at once")))
def test_caches_stand_for_the_tokens_before(solution, draw):
    """Fed in chunks with caches, a sequence has the logits that it has at once: modern or old, padded on the left or not."""
    tokens, positions = draw.integers(0, 11, 2, 8), torch.tensor([[-1, -1, 0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7]])
    found = {}
    for name, fields in (("", {"n_heads": 4, "n_kv_heads": 2}), ("old ", OLD)):
        model = draw.fill_(build(solution, **fields))
        with torch.no_grad():
            caches = model.new_caches(2, 8)
            chunks = [model(tokens[:, a:b], positions[:, a:b], caches) for a, b in ((0, 5), (5, 6), (6, 8))]
            found |= {f"{name}in chunks": torch.cat(chunks, 1)[:, 2:], f"{name}at once": model(tokens, positions)[:, 2:]}
    return found


def products_of_a_step(draw):
    """The matrix products that a training step of this model cannot do without: forward, and twice that backward."""
    tokens, d, hidden, vocab, heads = 8 * 128, 128, 344, 256, 4
    shapes = [(tokens, d, 3 * d), (tokens, d, d), (tokens, d, hidden), (tokens, d, hidden), (tokens, hidden, d)] * 2
    pairs = [(draw.normal(n, a), draw.normal(a, b), draw.normal(n, b)) for n, a, b in [*shapes, (tokens, d, vocab)]]
    q, scores = draw.normal(8 * heads, 128, d // heads), draw.normal(8 * heads, 128, 128)
    yield
    while True:
        for x, w, grad in pairs:
            _ = x @ w, grad @ w.T, x.T @ grad
        for _ in range(2 * 3):
            _ = q @ q.mT, scores @ q
        yield {}


@part("model.Transformer")
@needs(*ALL)
@weight(1)
@limits(seconds=100)
@keeps_pace(full=2.5, none=4.5, repeats=9, probe=products_of_a_step)
def test_training_step_keeps_pace(solution, draw):
    """Forward and backward through two blocks take a few times as long as their matrix products alone: nothing is looped over."""
    fields = {"vocab_size": 256, "n_positions": 128, "d_model": 128, "n_heads": 4, "n_layers": 2}
    model, tokens = draw.fill_(build(solution, **fields)), draw.integers(0, 256, 8, 129)
    yield
    while True:
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        yield {"loss": loss.detach(), "grad": model.blocks[0].attention.qkv.weight.grad}
        tokens = (tokens * 5 + 1) % 256
