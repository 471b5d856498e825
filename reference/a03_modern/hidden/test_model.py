"""Checks of model.py that never ship: other shapes and edges."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part

PARTS = (
    "norm.RMSNorm",
    *("rope.frequencies", "rope.rotate", "rope.RotaryEmbedding"),
    *("scaling.linear", "scaling.ntk", "scaling.yarn"),
    *("ffn.silu", "ffn.hidden_size", "ffn.SwiGLU"),
    *("attention.window_mask", "attention.grouped_attention", "attention.GroupedQueryAttention"),
    *("cache.KVCache", "cache.RollingCache", "model.Block"),
)


@part("model.Transformer")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_another_model(solution, draw):
    """Other sizes, few keys, a window, NTK scaling and halves: logits and gradients, and logits in chunks with rolling caches."""
    config = solution.model.ModelConfig(
        *(17, 9, 24, 6, 3), n_kv_heads=3, window=4, sinks=1, rope_base=900.0, layout="half", bias=True,
        scaling=solution.scaling.Scaling("ntk", 3.0),
    )  # fmt: skip
    model, tokens = draw.fill_(solution.model.Transformer(config)), draw.integers(0, 17, 2, 12)
    logits, caches, positions = model(tokens), model.new_caches(2), torch.arange(12).unsqueeze(0)
    with torch.no_grad():
        chunks = [model(tokens[:, a:b], positions[:, a:b], caches) for a, b in ((0, 7), (7, 8), (8, 12))]
    return {
        "logits": logits,
        "grad": draw.backward(logits[:, -2:]),
        "chunks": torch.cat(chunks, 1),
        "count": model.n_parameters(),
    }
