"""These are wrong versions of parts of model.py, one mistake each. A docstring is the hint that a student reads."""

import torch
from given.a01_transformer.layers import MLP
from torch import nn

from tools.author.cases import misconception

from .attention import GroupedQueryAttention
from .cache import KVCache, RollingCache
from .ffn import SwiGLU
from .model import Block, make_norm
from .rope import RotaryEmbedding


@misconception("model.Block.__init__", pitfall=1, ask="Which fields of the configuration concern attention?")
def fields_stop_at_the_model(self, config):
    """Window, sinks, layout and heads of keys do not reach attention."""
    nn.Module.__init__(self)
    self.norm_attention, self.norm_mlp = make_norm(config), make_norm(config)
    self.attention = GroupedQueryAttention(config.d_model, config.n_heads, bias=config.bias)
    self.mlp = SwiGLU(config.d_model) if config.mlp == "swiglu" else MLP(config.d_model, bias=config.bias)


@misconception("model.Block.__init__", ask="How many norms does a block have?")
def one_norm_for_both_branches(self, config):
    """Both branches share one norm."""
    nn.Module.__init__(self)
    c = config
    self.norm_attention = self.norm_mlp = make_norm(c)
    self.attention = GroupedQueryAttention(c.d_model, c.n_heads, c.n_kv_heads, c.window, c.sinks, c.bias, c.layout)
    self.mlp = SwiGLU(c.d_model) if c.mlp == "swiglu" else MLP(c.d_model, bias=c.bias)


@misconception("model.Block.__init__", pitfall=1, ask="Which two parts of an old block have a bias besides attention?")
def old_mlp_keeps_its_biases(self, config):
    """The GELU MLP has biases, whatever the configuration says."""
    nn.Module.__init__(self)
    c = config
    self.norm_attention, self.norm_mlp = make_norm(c), make_norm(c)
    self.attention = GroupedQueryAttention(c.d_model, c.n_heads, c.n_kv_heads, c.window, c.sinks, c.bias, c.layout)
    self.mlp = SwiGLU(c.d_model) if c.mlp == "swiglu" else MLP(c.d_model)


def parts_of_a_model(model, config):
    """What every model has, as the reference builds it."""
    nn.Module.__init__(model)
    model.config = config
    model.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    model.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
    model.norm = make_norm(config)
    model.head = nn.Linear(config.d_model, config.vocab_size, bias=False)


@misconception("model.Transformer.__init__", pitfall=2, ask="Where does RoPE put what it knows about positions?")
def learned_positions_always(self, config):
    """There is a table of learned positions also where RoPE is asked for."""
    parts_of_a_model(self, config)
    self.positions = nn.Embedding(config.n_positions, config.d_model)
    if config.positions == "rope":
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=3, ask="How many pairs does a head have?")
def rates_as_wide_as_the_model(self, config):
    """The rates are those of d_model channels, of which each head gets the first, fastest ones."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
        self.rotary.theta = RotaryEmbedding(config.d_model, config.rope_base, config.scaling).theta[: len(self.rotary.theta)]
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=1, ask="Which fields concern the rotation?")
def base_and_scaling_are_not_used(self, config):
    """Base and scaling of the configuration do not reach the rotation."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=6, ask="Is it one tensor with two names, or two with the same values?")
def head_is_a_copy_of_the_table(self, config):
    """The head starts with the numbers of the token table, but is a tensor of its own."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.init_weights()
    self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())


@misconception("model.Transformer.__init__", ask="What calls init_weights?")
def start_of_the_library(self, config):
    """The weights keep the start that nn.Linear and nn.Embedding give them."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.head.weight = self.token_embedding.weight


def checked(model, tokens, positions, caches):
    """The argument checks of Transformer.forward, which every version keeps; the positions."""
    if tokens.ndim != 2 or tokens.is_floating_point() or tokens.dtype == torch.bool or (positions is None and caches is not None):
        raise ValueError("tokens do not fit")
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < model.config.vocab_size:
        raise ValueError("tokens outside the vocabulary")
    positions = torch.arange(tokens.shape[1]).unsqueeze(0) if positions is None else positions
    if model.config.positions == "learned" and int(positions.max()) >= model.config.n_positions:
        raise ValueError("no such position")
    return positions


def embedded(model, tokens, positions):
    """What enters the first block, and the rotation."""
    x = model.token_embedding(tokens)
    if model.config.positions == "learned":
        return x + model.positions(positions.clamp(min=0)), None
    return x, model.rotary(positions, x.dtype)


@misconception("model.Transformer.forward", pitfall=4, ask="Whose keys does layer 1 find in the cache of layer 0?")
def one_cache_for_all_layers(self, tokens, positions=None, caches=None):
    """All blocks use the first cache."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = embedded(self, tokens, positions)
    for block in self.blocks:
        x = block(x, positions, rotation, caches[0] if caches else None)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", pitfall=5, ask="What is table[−1]?")
def padding_takes_the_last_row(self, tokens, positions=None, caches=None):
    """Padding looks up row −1, which the table does not have."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = self.token_embedding(tokens), None
    if self.config.positions == "learned":
        x = x + self.positions(positions)
    else:
        rotation = self.rotary(positions, x.dtype)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", pitfall=2, ask="What do the first block's queries know about positions?")
def rotation_is_forgotten(self, tokens, positions=None, caches=None):
    """The rotation is never handed to the blocks, so that with RoPE there are no positions at all."""
    positions = checked(self, tokens, positions, caches)
    x, _ = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, None, cache)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", ask="How large is the stream behind the last block?")
def final_norm_is_missing(self, tokens, positions=None, caches=None):
    """The head reads the stream as it is, without the last norm."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(x)


@misconception("model.Transformer.forward", ask="At which position does a token stand that comes after a cache?")
def positions_restart_with_each_call(self, tokens, positions=None, caches=None):
    """Positions are counted from 0 in every call, also behind a cache."""
    positions = checked(self, tokens, positions, caches)
    positions = torch.where(positions < 0, positions, torch.arange(tokens.shape[1]))
    x, rotation = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(self.norm(x))


def cache_kind(model, n_heads, batch_size):
    """Sizes of a cache, its dtype and device."""
    weight = model.head.weight
    return (batch_size, n_heads, model.config.d_model // model.config.n_heads), {"dtype": weight.dtype, "device": weight.device}


def needs_a_window(model, capacity):
    """The argument check of new_caches."""
    if capacity is None and model.config.window is None:
        raise ValueError("no window")


@misconception("model.Transformer.new_caches", pitfall=4, ask="What does [x] * 3 hold three times?")
def one_object_many_times(self, batch_size, capacity=None):
    """The list holds one and the same cache for every layer."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_kv_heads or c.n_heads, batch_size)
    if capacity is None:
        return [RollingCache(*shape, c.window, c.sinks, **kind)] * len(self.blocks)
    return [KVCache(*shape, capacity, **kind)] * len(self.blocks)


@misconception("model.Transformer.new_caches", pitfall=7, ask="How many heads do keys have?")
def caches_with_heads_of_queries(self, batch_size, capacity=None):
    """Caches have room for as many heads of keys as there are of queries."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_heads, batch_size)
    if capacity is None:
        return [RollingCache(*shape, c.window, c.sinks, **kind) for _ in self.blocks]
    return [KVCache(*shape, capacity, **kind) for _ in self.blocks]


@misconception("model.Transformer.new_caches", pitfall=1, ask="Which two numbers does a rolling cache need?")
def rolling_without_sinks(self, batch_size, capacity=None):
    """Rolling caches have no room for the sinks."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_kv_heads or c.n_heads, batch_size)
    if capacity is None:
        return [RollingCache(*shape, c.window, **kind) for _ in self.blocks]
    return [KVCache(*shape, capacity, **kind) for _ in self.blocks]
