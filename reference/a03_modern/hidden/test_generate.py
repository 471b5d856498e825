"""Checks of generate.py that never ship: other models and prompts."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part

PARTS = (
    *("norm.RMSNorm", "rope.frequencies", "rope.rotate", "rope.RotaryEmbedding"),
    *("scaling.linear", "scaling.ntk", "scaling.yarn", "ffn.silu", "ffn.hidden_size", "ffn.SwiGLU"),
    *("attention.window_mask", "attention.grouped_attention", "attention.GroupedQueryAttention"),
    *("cache.KVCache", "cache.RollingCache", "model.Block", "model.Transformer"),
)


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(1)
@matches_reference
def test_other_texts(solution, draw):
    """Four prompts of unequal length, a repetition penalty, a stop token, chunks and a rolling cache, all at once."""
    from given.a02_training.sample import Sampling

    config = solution.model.ModelConfig(19, 8, 12, 3, 2, n_kv_heads=1, window=5, sinks=1)
    model = draw.fill_(solution.model.Transformer(config))
    prompts = [draw.integers(0, 19, n).tolist() for n in (4, 13, 1, 8)]
    sequences = solution.generate.generate(model, prompts, 18, Sampling(0.0, repetition_penalty=1.3), 7, 3, True)
    return {"sequences": torch.tensor([sequence + [-1] * (18 - len(sequence)) for sequence in sequences])}
