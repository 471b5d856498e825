"""Checks of model.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    gaussian,
    kept_share,
    matches_reference,
    needs,
    parameter_table,
    part,
    refusal,
    same,
    satisfies,
)

PARTS = (
    "positions.LearnedPositions",
    "attention.causal_mask",
    "attention.scaled_dot_product_attention",
    "attention.MultiHeadAttention",
    "layers.LayerNorm",
    "layers.gelu_tanh",
    "layers.MLP",
    "block.Block",
)


def build(solution, vocab_size=11, n_positions=8, d_model=8, n_heads=2, n_layers=2, **rest):
    """A small model of the solution."""
    return solution.model.GPT(solution.model.GPTConfig(vocab_size, n_positions, d_model, n_heads, n_layers=n_layers, **rest))


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_model_has_the_keys_of_the_table(solution, draw):
    """Every parameter has the name and the shape of the handout, with six blocks unless said otherwise."""
    config = solution.model.GPTConfig(7, 5, 4, 2)
    model = draw.fill_(solution.model.GPT(config))
    return {"parameters": parameter_table(model), "blocks": len(model.blocks), "logits": model(draw.integers(0, 7, 1, 3))}


@part("model.GPT")
@needs(*PARTS)
@weight(2)
@matches_reference
def test_model_gives_logits_and_passes_gradients(solution, draw):
    """From tokens to logits every part is used once, in its order, and every parameter learns."""
    model, tokens = draw.fill_(build(solution)), draw.integers(0, 11, 2, 6)
    logits = model(tokens)
    return {"logits": logits, "grad": draw.backward(logits)}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@satisfies(same("before", "after"))
def test_model_never_sees_the_token_it_predicts(solution, draw):
    """Changing the last three tokens changes no logits of the tokens before them."""
    model, tokens = draw.fill_(build(solution)), draw.integers(0, 11, 2, 7)
    changed = torch.cat([tokens[:, :4], 10 - tokens[:, 4:]], dim=1)
    return {"before": model(tokens)[:, :4], "after": model(changed)[:, :4], "last": model(changed)[:, 4:]}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
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


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@satisfies(
    all_of(*(gaussian(name, 0.05) for name in ("tokens", "positions", "qkv", "expand"))),
    random=("tokens", "positions", "qkv", "expand"),
)
def test_matrices_start_with_the_deviation_asked_for(solution, draw):
    """Token and position tables and linear weights start normal, with mean 0 and the deviation init_std."""
    model = build(solution, vocab_size=160, n_positions=160, d_model=64, init_std=0.05)
    parts = {
        "tokens": model.token_embedding,
        "positions": model.positions,
        "qkv": model.blocks[1].attention.qkv,
        "expand": model.blocks[1].mlp.expand,
    }
    starts = {name: module.weight.detach().clone() for name, module in parts.items()}
    return starts | {"logits": draw.fill_(model)(draw.integers(0, 160, 1, 2))}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@satisfies(all_of(gaussian("proj", 0.05 / 6**0.5), gaussian("contract", 0.05 / 6**0.5)), random=("proj", "contract"))
def test_ends_of_branches_start_smaller(solution, draw):
    """Where a residual branch ends, in every block, the deviation is init_std / √(2N), so that the stream does not grow."""
    model = build(solution, d_model=64, n_layers=3, init_std=0.05)
    return {
        "proj": torch.stack([block.attention.proj.weight for block in model.blocks]),
        "contract": torch.stack([block.mlp.contract.weight for block in model.blocks]),
        "logits": draw.fill_(model)(draw.integers(0, 11, 1, 2)),
    }


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_vectors_start_at_zero_and_one(solution, draw):
    """Biases start at 0 and the weights of norms at 1, also when init_weights is called once more."""
    model = draw.fill_(build(solution))
    model.init_weights()
    vectors = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.ndim == 1}
    return vectors | {"logits": draw.fill_(model)(draw.integers(0, 11, 1, 2))}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_parameters_are_counted_once(solution, draw):
    """n_parameters counts the shared table once, and leaves out the position table if asked."""
    vocab_size, n_positions = draw.integers(50, 100, 2).tolist()
    model, plain = build(solution, vocab_size, n_positions, n_layers=3), build(solution, vocab_size, bias=False)
    return {
        "all": model.n_parameters(),
        "without positions": model.n_parameters(include_positions=False),
        "without bias": plain.n_parameters(),
    }


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@satisfies(kept_share("read by the first block", 0.2), random=("read by the first block",))
def test_dropout_acts_on_the_embedded_tokens(solution, draw):
    """In training, the sum of token and position vectors is dropped number by number; in evaluation nothing is dropped."""
    model, captured = build(solution, n_positions=100, d_model=16, n_layers=1, dropout=0.2), []
    logits = draw.fill_(model).eval()(draw.integers(0, 11, 1, 4))
    model.load_state_dict(
        {key: torch.zeros_like(value) for key, value in model.state_dict().items()} | {"positions.weight": torch.ones(100, 16)}
    )
    model.blocks[0].register_forward_pre_hook(lambda block, inputs: captured.append(inputs[0]))
    model.train()(draw.integers(0, 11, 10, 100))
    return {"read by the first block": captured[0], "eval": logits}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@satisfies(kept_share("added by the second block", 0.2), random=("added by the second block",))
def test_dropout_reaches_every_block(solution, draw):
    """The dropout of the configuration is that of each block too."""
    model, captured = build(solution, n_positions=100, d_model=16, dropout=0.2), []
    logits = draw.fill_(model).eval()(draw.integers(0, 11, 1, 4))
    model.load_state_dict(
        {key: torch.zeros_like(value) for key, value in model.state_dict().items()}
        | {"blocks.1.mlp.contract.bias": torch.ones(16)}
    )
    model.blocks[1].register_forward_hook(lambda block, inputs, out: captured.append(out))
    model.train()(draw.integers(0, 11, 10, 100))
    return {"added by the second block": captured[0], "eval": logits}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_texts_that_do_not_fit_are_refused(solution, draw):
    """Too long a sequence, a token outside the vocabulary, or tokens that are no whole numbers are a ValueError."""
    model, tokens = draw.fill_(build(solution, n_positions=5)), draw.integers(0, 11, 2, 6)
    return {
        "too long": refusal(lambda: model(tokens)),
        "outside": refusal(lambda: model(tokens[:, :4] + 10)),
        "fractions": refusal(lambda: model(tokens[:, :4] / 2)),
        "longest": model(tokens[:, :5]),
    }


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_model_without_biases(solution, draw):
    """bias=False leaves out every bias, that of the last norm included."""
    model = draw.fill_(build(solution, n_layers=1, bias=False))
    return {"parameters": parameter_table(model), "logits": model(draw.integers(0, 11, 2, 4))}


@part("model.GPT")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_model_takes_any_text(solution, draw):
    """One token, strided tokens and int32 tokens are sequences like any other. A float64 model stays float64."""
    model, tokens = draw.fill_(build(solution, n_layers=1, n_heads=1)), draw.integers(0, 11, 4, 3)
    return {
        "one": model(tokens[:1, :1]),
        "strided": model(tokens.mT),
        "int32": model(tokens.int()),
        "double": model.double()(tokens[:1, :2]),
    }
