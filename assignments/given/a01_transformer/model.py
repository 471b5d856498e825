"""A working GPT over the given blocks. Same names, shapes, keys and errors as in the assignment."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .block import Block
from .layers import LayerNorm
from .positions import LearnedPositions


@dataclass(frozen=True)
class GPTConfig:
    """The size of a model and how it starts; for small models init_std=width_scaled_std(d_model)."""

    vocab_size: int
    n_positions: int
    d_model: int
    n_heads: int
    n_layers: int = 6
    dropout: float = 0.0
    bias: bool = True
    init_std: float = 0.02


def width_scaled_std(d_model: int) -> float:
    """0.02 · √(768 / d_model): the start of GPT-2 at any width."""
    return 0.02 * math.sqrt(768 / d_model)


class GPT(nn.Module):
    """Submodules `token_embedding`, `positions`, `blocks`, `norm`, `head` (tied)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        c = self.config = config
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.positions, self.dropout = LearnedPositions(c.n_positions, c.d_model), nn.Dropout(c.dropout)
        self.blocks = nn.ModuleList([Block(c.d_model, c.n_heads, c.dropout, c.bias) for _ in range(c.n_layers)])
        self.norm, self.head = LayerNorm(c.d_model, bias=c.bias), nn.Linear(c.d_model, c.vocab_size, bias=False)
        self.head.register_parameter("weight", self.token_embedding.weight)
        self.init_weights()

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        """Logits of each next token."""
        if tokens.ndim != 2 or tokens.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
            raise ValueError(f"tokens must be whole numbers (batch, time); got {tokens.dtype} {tuple(tokens.shape)}")
        if tokens.shape[1] > self.config.n_positions:
            raise ValueError(f"got {tokens.shape[1]} tokens; the model has {self.config.n_positions} positions")
        outside = tokens[(tokens < 0) | (tokens >= self.config.vocab_size)].unique().tolist()
        if outside:
            raise ValueError(f"tokens must lie in 0 … {self.config.vocab_size - 1}; got {outside[:5]}")
        steps = [self.token_embedding, self.positions, self.dropout, *self.blocks, self.norm, self.head]
        return nn.Sequential(*steps)(tokens)

    def init_weights(self) -> None:
        """GPT-2's start: residual projections by 1/√(2N), norms and biases as the layers have them."""
        self.apply(self._start)
        for block in self.blocks:
            for end in (block.attention.proj, block.mlp.contract):
                nn.init.normal_(end.weight, 0.0, self.config.init_std / math.sqrt(2 * len(self.blocks)))

    def _start(self, module: nn.Module) -> None:
        if isinstance(module, LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, self.config.init_std)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()

    def n_parameters(self, include_positions: bool = True) -> int:
        """Trained numbers, shared ones once."""
        vector = nn.utils.parameters_to_vector(self.parameters())
        return len(vector) - (0 if include_positions else self.positions.weight.numel())
