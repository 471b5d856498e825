"""One model, old or modern: a configuration object says which norm, MLP and positions, and the rest stays the same.

With layernorm, gelu and learned positions it is the GPT of a01, down to the last key of the state dict. Left out: dropout, which
pretraining has come to do without.
Source: LLaMA, arXiv:2302.13971, §2.2 (the modern parts); GPT-2, Radford et al. 2019, §2.3 (the others, and the initial weights).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from given.a01_transformer.layers import MLP, LayerNorm
from jaxtyping import Float, Int
from torch import Tensor, nn

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
    """What a model is made of. The defaults are the modern stack.

    n_positions: length of the sequences in training. With learned positions no sequence may be longer.
    norm, mlp, positions: see CHOICES.
    bias: whether LayerNorm, attention and the GELU MLP have biases. RMSNorm and SwiGLU have none in any case.
    n_kv_heads, window, sinks, layout: see `GroupedQueryAttention`.
    rope_base, scaling: see `RotaryEmbedding`.
    init_std: as in a01; 0.02 · √(768 / d_model) for small models.
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
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")


def make_norm(config: ModelConfig) -> nn.Module:
    """The norm that a configuration asks for."""
    return RMSNorm(config.d_model) if config.norm == "rmsnorm" else LayerNorm(config.d_model, bias=config.bias)


class Block(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)).

    | submodule | what |
    |---|---|
    | `norm_attention`, `norm_mlp` | RMSNorm, or LayerNorm of a01 |
    | `attention` | GroupedQueryAttention |
    | `mlp` | SwiGLU, or MLP of a01 |
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        # TODO: the four submodules (handout: model, step 1).
        # Watch: every field of the configuration that concerns them.
        raise NotImplementedError("a03_modern/model.py: Block.__init__() is yours to write (handout: model, step 1)")

    def forward(
        self,
        x: Float[Tensor, "batch_size seq_len d_model"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        rotation: Rotation | None = None,
        cache: KVCache | RollingCache | None = None,
    ) -> Float[Tensor, "batch_size seq_len d_model"]:
        """The residual stream after both additions. The arguments are those of `GroupedQueryAttention`. Given."""
        x = x + self.attention(self.norm_attention(x), positions, rotation, cache)
        return x + self.mlp(self.norm_mlp(x))


class Transformer(nn.Module):
    """A decoder-only language model: tokens in, logits of each next token out.

    | state-dict key | shape | |
    |---|---|---|
    | `token_embedding.weight` | (vocab_size, d_model) | |
    | `positions.weight` | (n_positions, d_model) | with learned positions alone |
    | `blocks.0.…` to `blocks.{n_layers − 1}.…` | | the keys of `Block` |
    | `norm.weight`, `norm.bias` | (d_model,) | no `norm.bias` with bias=False or RMSNorm |
    | `head.weight` | (vocab_size, d_model) | the same tensor as `token_embedding.weight` |
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        c = self.config = config
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.n_layers))
        self.norm = make_norm(c)
        self.head = nn.Linear(c.d_model, c.vocab_size, bias=False)
        # TODO: `positions` or `rotary`, as the configuration says; tie the head; initial weights (handout: model, step 2).
        # Watch: with RoPE nothing is added to the tokens; its width is that of a head; shared is one tensor with two names.
        raise NotImplementedError("a03_modern/model.py: Transformer.__init__() is yours to write (handout: model, step 2)")

    def forward(
        self,
        tokens: Int[Tensor, "batch_size seq_len"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        caches: Sequence[KVCache | RollingCache] | None = None,
    ) -> Float[Tensor, "batch_size seq_len vocab_size"]:
        """Logits: entry [b, t] scores every candidate for the token that follows tokens[b, t].

        positions: absolute positions, below 0 for padding on the left. None: 0, 1, 2, …
        caches: one a layer, from `new_caches`. They stand for earlier tokens and take up these, whose positions have to be given.
        ValueError: a token is outside the vocabulary, there are caches without positions, a learned table does not have a position,
            or a cache has no room.
        """
        if tokens.ndim != 2 or tokens.is_floating_point() or tokens.dtype == torch.bool:
            raise ValueError(
                f"tokens must be whole numbers (batch_size, seq_len); got {tokens.dtype}, shape {tuple(tokens.shape)}"
            )
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.config.vocab_size:
            raise ValueError(
                f"tokens must lie in 0 … {self.config.vocab_size - 1}; got {int(tokens.min())} … {int(tokens.max())}"
            )
        if positions is None:
            if caches is not None:
                raise ValueError("with caches a sequence does not begin here; say at which positions its tokens stand")
            positions = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        last = int(positions.max()) if positions.numel() else -1
        if self.config.positions == "learned" and last >= self.config.n_positions:
            raise ValueError(
                f"position {last} was asked for, and the table holds 0 to {self.config.n_positions - 1}; shorten the sequence, "
                f'build the model with a larger n_positions, or with positions="rope"'
            )
        # TODO: from tokens to logits (handout: model, step 3).
        # Watch: each block has a cache of its own; positions are computed once for all blocks; −1 is no row of a table.
        raise NotImplementedError("a03_modern/model.py: Transformer.forward() is yours to write (handout: model, step 3)")

    def new_caches(self, batch_size: int, capacity: int | None = None) -> list[KVCache] | list[RollingCache]:
        """An empty cache for each layer, in the dtype and on the device of the weights.

        capacity: tokens of each row, padding included. None: rolling caches, which need a window.
        ValueError: there is neither a capacity nor a window.
        """
        if capacity is None and self.config.window is None:
            raise ValueError("a cache of constant size needs a model with a window; set ModelConfig.window, or give a capacity")
        # TODO: a list of caches (handout: model, step 4).
        # Watch: heads of keys, not of queries; one object a layer.
        raise NotImplementedError("a03_modern/model.py: Transformer.new_caches() is yours to write (handout: model, step 4)")

    def init_weights(self) -> None:
        """Initial weights as in a01. Given.

        Matrices are N(0, init_std²), those that end a branch have a deviation smaller by √(2 · n_layers). Biases are 0, norms 1.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                ends_branch = name.endswith(("attention.proj.weight", "mlp.contract.weight", "mlp.down.weight"))
                nn.init.normal_(parameter, std=self.config.init_std / (math.sqrt(2 * self.config.n_layers) if ends_branch else 1))
            else:
                nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)

    def n_parameters(self) -> int:
        """How many numbers are trained, the shared table counted once. Given."""
        return sum(parameter.numel() for parameter in self.parameters())
