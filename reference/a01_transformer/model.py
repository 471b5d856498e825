"""GPT: token and position vectors, a stack of blocks, a final norm, and a head that shares the token table.

Left out: the loss, training and sampling, which come with the next assignment. Logits are for the *next* token.
Source: GPT-2, Radford et al. 2019, §2.3; tied head: arXiv:1608.05859.
"""

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

    vocab_size: tokens are 0 … vocab_size − 1.  n_positions: the longest sequence, in tokens.  init_std: standard deviation
    of the initial weights; GPT-2's 0.02 is right near d_model 768, for smaller models take `width_scaled_std`.
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
    """0.02 · √(768 / d_model): the initial standard deviation that gives a model of any width the initialisation GPT-2 has at 768.

    A linear layer sums d_model products, so the deviation of its output grows with √d_model: 0.02 · √768 = 0.55 in
    GPT-2, but 0.16 at d_model 64. There every branch adds next to nothing to the stream, and a small model spends its
    first hundreds of steps on a plateau. This keeps std · √d_model where it was.
    """
    return 0.02 * math.sqrt(768 / d_model)


class GPT(nn.Module):
    """A decoder-only language model: tokens in, logits of each next token out.

    | state-dict key | shape | |
    |---|---|---|
    | `token_embedding.weight` | (vocab_size, d_model) | |
    | `positions.weight` | (n_positions, d_model) | |
    | `blocks.0.…` to `blocks.{n_layers − 1}.…` | | the keys of `Block` |
    | `norm.weight`, `norm.bias` | (d_model,) | no `norm.bias` with bias=False |
    | `head.weight` | (vocab_size, d_model) | the same tensor as `token_embedding.weight`; there is no head bias |
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = LearnedPositions(config.n_positions, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        # TODO: `blocks` (an nn.ModuleList), `norm`, the tied `head`; then initial weights (handout: model, step 1).
        # Watch: dropout and bias reach the blocks, bias the norm; shared means that one tensor has two names.
        # BEGIN SOLUTION
        self.blocks = nn.ModuleList(
            Block(config.d_model, config.n_heads, config.dropout, config.bias) for _ in range(config.n_layers)
        )
        self.norm = LayerNorm(config.d_model, bias=config.bias)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.head.weight = self.token_embedding.weight
        self.init_weights()
        # END SOLUTION

    def forward(self, tokens: Int[Tensor, "batch_size seq_len"]) -> Float[Tensor, "batch_size seq_len vocab_size"]:
        """Logits: entry [b, t] scores every candidate for the token that follows tokens[b, : t + 1].

        ValueError if tokens are not a (batch_size, seq_len) tensor of whole numbers, the sequence is longer than n_positions,
        or a token is not in the vocabulary.
        """
        if tokens.ndim != 2 or tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
            raise ValueError(
                f"tokens must be whole numbers of shape (batch_size, seq_len); got {tokens.dtype}, shape {tuple(tokens.shape)}"
            )
        if tokens.shape[1] > self.config.n_positions:
            raise ValueError(
                f"the sequence has {tokens.shape[1]} tokens and the model {self.config.n_positions} positions; shorten the "
                f"sequence or build the model with a larger n_positions"
            )
        outside = tokens[(tokens < 0) | (tokens >= self.config.vocab_size)]
        if len(outside):
            raise ValueError(
                f"tokens must lie in 0 … {self.config.vocab_size - 1}; got {outside.unique()[:5].tolist()} "
                f"({len(outside)} tokens outside; is the tokenizer the one the model was built for?)"
            )
        # TODO: from tokens to logits (handout: model, step 2).
        # Watch: every submodule is used, once each, in the order of the handout's figure.
        # BEGIN SOLUTION
        x = self.dropout(self.positions(self.token_embedding(tokens)))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
        # END SOLUTION

    def init_weights(self) -> None:
        """Set every parameter to its initial value, as GPT-2 does. N is n_layers.

        Weights of linear layers, token and position vectors: normal, mean 0, deviation init_std; where a residual
        branch ends (`attention.proj` and `mlp.contract` of every block) init_std / √(2N). Linear biases 0. Norms:
        weight 1, bias 0.  Source: GPT-2, §2.3.
        """
        # TODO: initialise all parameters in place (handout: model, step 3).
        # Watch: positions are no nn.Embedding; two branches a block; the tied table is drawn like an embedding.
        # BEGIN SOLUTION
        std = self.config.init_std
        residual_std = std / math.sqrt(2 * self.config.n_layers)
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.proj.weight", "mlp.contract.weight")):
                nn.init.normal_(parameter, std=residual_std)
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=std)
            elif name.endswith("weight"):  # the only vectors called weight are those of the norms
                nn.init.ones_(parameter)
            else:
                nn.init.zeros_(parameter)
        # END SOLUTION

    def n_parameters(self, include_positions: bool = True) -> int:
        """How many numbers are trained, the shared table counted once; without the position table if asked."""
        # TODO: count (handout: model, step 4).
        # Watch: a tensor with two names is one tensor.
        # BEGIN SOLUTION
        total = sum(parameter.numel() for parameter in self.parameters())
        return total if include_positions else total - self.positions.weight.numel()
        # END SOLUTION
