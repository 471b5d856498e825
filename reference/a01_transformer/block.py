"""One transformer block: attention between tokens, then an MLP within each, both as additions to a residual stream.

Pre-LN: the stream itself is never normalised, only what the two branches read of it. Left out: parallel branches and
norms of another kind. `PostNormBlock`, the order of 2017, is given for comparison.
Source: GPT-2, Radford et al. 2019, §2.3; On Layer Normalization in the Transformer Architecture, arXiv:2002.04745.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from .attention import MultiHeadAttention
from .layers import MLP, LayerNorm


class Block(nn.Module):
    """x + f(LN(x)) twice: first f is attention, then f is the MLP.

    | submodule | what | its keys |
    |---|---|---|
    | `norm_attention` | LayerNorm(d_model) | `weight`, `bias` |
    | `attention` | MultiHeadAttention(d_model, n_heads) | `qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias` |
    | `norm_mlp` | LayerNorm(d_model) | `weight`, `bias` |
    | `mlp` | MLP(d_model), GELU in its tanh form | `expand.weight`, `expand.bias`, `contract.weight`, `contract.bias` |

    With bias=False every `bias` is absent. Dropout acts in three places, each with probability `dropout`: on the
    attention weights (inside `attention`), on what attention adds to the stream (`self.dropout`), and on what the MLP
    adds (inside `mlp`, at its end). eps: of both norms.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True, eps: float = 1e-5):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        # TODO: the four submodules of the table (handout: block, step 1).
        # Watch: dropout, bias and eps must reach those that have them.
        # BEGIN SOLUTION
        self.norm_attention = LayerNorm(d_model, eps, bias)
        self.attention = MultiHeadAttention(d_model, n_heads, dropout, bias)
        self.norm_mlp = LayerNorm(d_model, eps, bias)
        self.mlp = MLP(d_model, dropout, bias=bias)
        # END SOLUTION

    def forward(
        self, x: Float[Tensor, "*batch seq_len d_model"], mask: Bool[Tensor, "*#batch seq_len seq_len"] | None = None
    ) -> Float[Tensor, "*batch seq_len d_model"]:
        """The stream after both additions; `x` itself is left as it is. mask: as in MultiHeadAttention."""
        # TODO: the two residual branches (handout: block, step 2).
        # Watch: what is normalised and what is not; what the second branch reads; where `self.dropout` acts.
        # BEGIN SOLUTION
        x = x + self.dropout(self.attention(self.norm_attention(x), mask))
        return x + self.mlp(self.norm_mlp(x))
        # END SOLUTION


class PostNormBlock(Block):
    """LN(x + f(x)) twice, the order of the first transformer (arXiv:1706.03762, §3.1). Given, for comparison only.

    Submodules, keys and dropout are those of `Block`; the norms stand on the stream instead of on the branches.
    """

    def forward(
        self, x: Float[Tensor, "*batch seq_len d_model"], mask: Bool[Tensor, "*#batch seq_len seq_len"] | None = None
    ) -> Float[Tensor, "*batch seq_len d_model"]:
        """The stream, normalised after each addition."""
        gathered = self.attention(x, mask)
        x = self.norm_attention(self.dropout(gathered) + x)
        return self.norm_mlp(self.mlp(x) + x)
