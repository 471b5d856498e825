"""A working GPT, built from the given blocks. Names, shapes, keys and errors are those of the assignment."""

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
    """The size of a model and its initialisation.

    init_std: standard deviation of the initial weights. For small models, take `width_scaled_std(d_model)`.
    """

    vocab_size: int
    n_positions: int
    d_model: int
    n_heads: int
    n_layers: int = 6
    dropout: float = 0.0
    bias: bool = True
    init_std: float = 0.02


def width_scaled_std(d_model: int) -> float:
    """0.02 · √(768 / d_model): the standard deviation that gives a model of any width the initialisation of GPT-2."""
    return 0.02 * math.sqrt(768 / d_model)


class GPT(nn.Module):
    """A decoder-only language model. Its submodules are `token_embedding`, `positions`, `blocks`, `norm` and `head`.

    `head.weight` and `token_embedding.weight` are one tensor.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        c = self.config = config
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.positions, self.dropout = LearnedPositions(c.n_positions, c.d_model), nn.Dropout(c.dropout)
        self.blocks = nn.ModuleList([Block(c.d_model, c.n_heads, c.dropout, c.bias) for _ in range(c.n_layers)])
        self.norm, self.head = LayerNorm(c.d_model, bias=c.bias), nn.Linear(c.d_model, c.vocab_size, bias=False)
        self.head.register_parameter("weight", self.token_embedding.weight)
        self.init_weights()

    def forward(self, tokens: Int[Tensor, "batch_size seq_len"]) -> Float[Tensor, "batch_size seq_len vocab_size"]:
        """Logits: entry [b, t] scores every candidate for the token that follows tokens[b, : t + 1].

        ValueError: tokens are not a (batch_size, seq_len) tensor of whole numbers, the sequence is longer than n_positions,
        or a token is not in the vocabulary.
        """
        if tokens.ndim != 2 or tokens.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
            raise ValueError(f"tokens must be whole numbers (batch_size, seq_len); got {tokens.dtype} {tuple(tokens.shape)}")
        if tokens.shape[1] > self.config.n_positions:
            raise ValueError(f"got {tokens.shape[1]} tokens; the model has {self.config.n_positions} positions")
        outside = tokens[(tokens < 0) | (tokens >= self.config.vocab_size)].unique().tolist()
        if outside:
            raise ValueError(f"tokens must lie in 0 … {self.config.vocab_size - 1}; got {outside[:5]}")
        steps = [self.token_embedding, self.positions, self.dropout, *self.blocks, self.norm, self.head]
        return nn.Sequential(*steps)(tokens)

    def init_weights(self) -> None:
        """Set every parameter to its initial value, as GPT-2 does.

        Residual projections are scaled by 1/√(2 · n_layers). Norms and biases start as their layers have them.
        """
        self.apply(self._init_module)
        for block in self.blocks:
            for end in (block.attention.proj, block.mlp.contract):
                nn.init.normal_(end.weight, 0.0, self.config.init_std / math.sqrt(2 * len(self.blocks)))

    def _init_module(self, module: nn.Module) -> None:
        if isinstance(module, LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, self.config.init_std)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()

    def n_parameters(self, include_positions: bool = True) -> int:
        """How many numbers are trained. A shared tensor counts once, and the position table can be left out."""
        vector = nn.utils.parameters_to_vector(self.parameters())
        return len(vector) - (0 if include_positions else self.positions.weight.numel())
