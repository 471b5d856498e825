"""A working model, built from the given parts. Names, shapes, keys and errors are those of the assignment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from given.a01_transformer.layers import MLP, LayerNorm

from .attention import GroupedQueryAttention
from .cache import KVCache, RollingCache
from .ffn import SwiGLU
from .norm import RMSNorm
from .rope import Layout, RotaryEmbedding, Rotation
from .scaling import Scaling

CHOICES = {
    "norm": ("layernorm", "rmsnorm"),
    "mlp": ("gelu", "swiglu"),
    "positions": ("learned", "rope"),
    "layout": ("interleaved", "half"),
}


@dataclass(frozen=True)
class ModelConfig:
    """What a model is made of. The fields are explained in the assignment.

    ValueError: a field has a value that is not in CHOICES.
    """

    vocab_size: int
    n_positions: int
    d_model: int
    n_heads: int
    n_layers: int = 6
    norm: str = "rmsnorm"
    mlp: str = "swiglu"
    positions: str = "rope"
    bias: bool = False
    n_kv_heads: int | None = None
    window: int | None = None
    sinks: int = 0
    rope_base: float = 10_000.0
    scaling: Scaling | None = None
    layout: Layout = "interleaved"
    init_std: float = 0.02

    def __post_init__(self):
        wrong = {name: getattr(self, name) for name, choices in CHOICES.items() if getattr(self, name) not in choices}
        if wrong:
            raise ValueError(f"there is no such choice: {wrong}; see CHOICES")


def make_norm(config: ModelConfig) -> nn.Module:
    """The norm that a configuration asks for."""
    return LayerNorm(config.d_model, bias=config.bias) if config.norm == "layernorm" else RMSNorm(config.d_model)


class Block(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)). Submodules: `norm_attention`, `attention`, `norm_mlp`, `mlp`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        shape = {name: getattr(config, name) for name in ("n_kv_heads", "window", "sinks", "bias", "layout")}
        attention = GroupedQueryAttention(config.d_model, config.n_heads, **shape)
        mlp = MLP(config.d_model, bias=config.bias) if config.mlp == "gelu" else SwiGLU(config.d_model)
        self.norm_attention, self.attention, self.norm_mlp, self.mlp = make_norm(config), attention, make_norm(config), mlp

    def forward(
        self,
        x: Float[Tensor, "batch_size seq_len d_model"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        rotation: Rotation | None = None,
        cache: KVCache | RollingCache | None = None,
    ) -> Float[Tensor, "batch_size seq_len d_model"]:
        """The residual stream after both additions. The arguments are those of `GroupedQueryAttention`."""
        x = x.add(self.attention(self.norm_attention(x), positions, rotation, cache))
        return x.add(self.mlp(self.norm_mlp(x)))


class Transformer(nn.Module):
    """A decoder-only language model: tokens in, logits of each next token out.

    Submodules: `token_embedding`, `positions` or `rotary`, `blocks`, `norm`, `head` (tied).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.n_positions, config.d_model) if config.positions == "learned" else None
        self.rotary = None
        if config.positions == "rope":
            self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.n_layers)])
        self.norm, self.head = make_norm(config), nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.head.register_parameter("weight", self.token_embedding.weight)
        self.init_weights()

    def forward(
        self,
        tokens: Int[Tensor, "batch_size seq_len"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        caches: Sequence[KVCache | RollingCache] | None = None,
    ) -> Float[Tensor, "batch_size seq_len vocab_size"]:
        """Logits: entry [b, t] scores every candidate for the token that follows tokens[b, t].

        positions: absolute positions, below 0 for padding. None: 0, 1, 2, …
        caches: one a layer, from `new_caches`.
        ValueError: a token is outside the vocabulary, there are caches without positions, a learned table does not have a position,
            or a cache has no room.
        """
        if tokens.ndim != 2 or tokens.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
            raise ValueError(f"tokens must be whole numbers (batch_size, seq_len); got {tokens.dtype} {tuple(tokens.shape)}")
        if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.config.vocab_size):
            raise ValueError(f"tokens must lie in 0 … {self.config.vocab_size - 1}; got {tokens.min()} … {tokens.max()}")
        if positions is None and caches is not None:
            raise ValueError("with caches, say at which positions the tokens stand")
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None] if positions is None else positions
        x = self.token_embedding(tokens)
        if self.positions is not None:
            if positions.numel() and positions.max() >= self.config.n_positions:
                raise ValueError(f"the table holds positions 0 to {self.config.n_positions - 1}; got {positions.max()}")
            x = x.add(self.positions(positions.relu()))
        rotation = self.rotary and self.rotary(positions, x.dtype)
        for i, block in enumerate(self.blocks):
            x = block(x, positions, rotation, caches and caches[i])
        return self.head(self.norm(x))

    def new_caches(self, batch_size: int, capacity: int | None = None) -> list[KVCache] | list[RollingCache]:
        """An empty cache for each layer.

        capacity: tokens of each row, padding included. None: rolling caches.
        ValueError: there is neither a capacity nor a window.
        """
        if capacity is None and self.config.window is None:
            raise ValueError("a cache of constant size needs a model with a window; or give a capacity")
        limits = (capacity,) if capacity is not None else (self.config.window, self.config.sinks)
        kind = KVCache if capacity is not None else RollingCache
        layers = [block.attention for block in self.blocks]
        weight = self.token_embedding.weight
        return [kind(batch_size, a.n_kv_heads, a.head_dim, *limits, weight.dtype, weight.device) for a in layers]

    def init_weights(self) -> None:
        """Initial weights as in GPT-2: normal matrices, smaller at the end of a branch, and biases of 0."""
        std = self.config.init_std
        ends = [
            end for b in self.blocks for end in (b.attention.proj, b.mlp.contract if self.config.mlp == "gelu" else b.mlp.down)
        ]
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.data.normal_(0, std / math.sqrt(2 * len(self.blocks)) if module in ends else std)
                if getattr(module, "bias", None) is not None:
                    module.bias.data.zero_()

    def n_parameters(self) -> int:
        """How many numbers are trained, shared ones counted once."""
        return len(nn.utils.parameters_to_vector(self.parameters()))
