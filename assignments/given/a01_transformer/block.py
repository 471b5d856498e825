"""Working blocks, built from the given attention and layers. Names, shapes and keys are those of the assignment."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from .attention import MultiHeadAttention
from .layers import MLP, LayerNorm


class Block(nn.Module):
    """The pre-LN block. Its submodules are `norm_attention`, `attention`, `norm_mlp` and `mlp`.

    Dropout acts on the attention weights, on what attention adds to the stream, and on what the MLP adds.
    """

    pre = True

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True, eps: float = 1e-5):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        norms = [LayerNorm(d_model, eps, bias) for _ in range(2)]
        self.norm_attention, self.attention = norms[0], MultiHeadAttention(d_model, n_heads, dropout, bias)
        self.norm_mlp, self.mlp = norms[1], MLP(d_model, dropout, bias=bias)

    def forward(
        self, x: Float[Tensor, "*batch seq_len d_model"], mask: Bool[Tensor, "*#batch seq_len seq_len"] | None = None
    ) -> Float[Tensor, "*batch seq_len d_model"]:
        """The stream after both additions. mask: as in MultiHeadAttention."""
        gather = lambda read: self.dropout(self.attention(read, mask))
        for norm, branch in ((self.norm_attention, gather), (self.norm_mlp, self.mlp)):
            x = branch(norm(x)).add(x) if self.pre else norm(branch(x).add(x))
        return x


class PostNormBlock(Block):
    """The post-LN block of 2017, for comparison. Submodules and keys are those of `Block`."""

    pre = False
