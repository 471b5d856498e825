"""These are other right versions of parts of model.py. The tolerances allow for all of these routes."""

import torch
from given.a01_transformer.layers import MLP
from torch import nn

from tools.author.cases import alternate

from .attention import GroupedQueryAttention
from .cache import KVCache, RollingCache
from .ffn import SwiGLU
from .model import make_norm


@alternate("model.Block.__init__")
def parts_by_name(self, config):
    """Parts chosen from tables, arguments by name."""
    nn.Module.__init__(self)
    mlps = {"swiglu": lambda: SwiGLU(config.d_model), "gelu": lambda: MLP(config.d_model, bias=config.bias)}
    shape = {name: getattr(config, name) for name in ("n_kv_heads", "window", "sinks", "bias", "layout")}
    self.attention = GroupedQueryAttention(config.d_model, config.n_heads, **shape)
    self.mlp = mlps[config.mlp]()
    self.norm_attention, self.norm_mlp = make_norm(config), make_norm(config)


@alternate("model.Transformer.forward")
def by_the_kind_of_positions(self, tokens, positions=None, caches=None):
    """Vectors or rotations by the kind that the model has, and blocks counted."""
    if tokens.ndim != 2 or tokens.dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ValueError("tokens must be whole numbers (batch_size, seq_len)")
    if tokens.numel() and ((tokens < 0) | (tokens >= self.config.vocab_size)).any():
        raise ValueError("a token lies outside the vocabulary")
    if positions is None:
        if caches is not None:
            raise ValueError("caches need positions")
        positions = torch.arange(tokens.shape[-1], device=tokens.device).expand(tokens.shape)
    x = self.token_embedding(tokens)
    rotation = None
    if hasattr(self, "rotary"):
        rotation = self.rotary(positions, x.dtype)
    elif (positions >= self.config.n_positions).any():
        raise ValueError("a position lies beyond the table")
    else:
        x = torch.add(self.positions(positions.relu()), x)
    for number, block in enumerate(self.blocks):
        x = block(x, positions, rotation, None if caches is None else caches[number])
    return self.norm(x) @ self.token_embedding.weight.T


@alternate("model.Transformer.new_caches")
def caches_from_the_layers(self, batch_size, capacity=None):
    """Sizes are asked of the layers themselves."""
    if capacity is None and self.config.window is None:
        raise ValueError("a window or a capacity is needed")
    caches = []
    for block in self.blocks:
        layer, weight = block.attention, block.attention.qkv.weight
        sizes = (batch_size, layer.n_kv_heads, layer.head_dim)
        if capacity is None:
            caches.append(RollingCache(*sizes, layer.window, layer.sinks, dtype=weight.dtype, device=weight.device))
        else:
            caches.append(KVCache(*sizes, capacity, dtype=weight.dtype, device=weight.device))
    return caches
