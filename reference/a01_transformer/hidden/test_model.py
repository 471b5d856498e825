"""Checks of model.py that never ship: other shapes and edges."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("model.GPT")
@needs(
    "positions.LearnedPositions",
    "attention.causal_mask",
    "attention.scaled_dot_product_attention",
    "attention.MultiHeadAttention",
    "layers.LayerNorm",
    "layers.gelu_tanh",
    "layers.MLP",
    "block.Block",
)
@weight(2)
@matches_reference
def test_another_model(solution, draw):
    """A model of other sizes, without biases and in evaluation, gives the reference's logits and gradients."""
    config = solution.model.GPTConfig(vocab_size=17, n_positions=9, d_model=12, n_heads=4, n_layers=3, dropout=0.3, bias=False)
    model = draw.fill_(solution.model.GPT(config)).eval()
    logits = model(draw.integers(0, 17, 1, 9))
    return {"logits": logits, "grad": draw.backward(logits[:, -2:]), "parameters": model.n_parameters()}
