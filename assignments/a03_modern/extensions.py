"""Two ideas from other papers for the same ablation, complete and not graded: read them, break them, improve them.

HyperMixer mixes tokens by an MLP that the tokens themselves write; the two-time-scale model (HRM) runs two blocks over and over,
one fast and one slow. Neither was made for predicting the next token; what had to be changed for that is said below.
Source: HyperMixer, arXiv:2203.03691, §3; Hierarchical Reasoning Model, arXiv:2506.21734, §2.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .model import Block, ModelConfig, Transformer


class CausalHyperMixer(nn.Module):
    """Token mixing instead of attention. The call is the same, without window or cache.

    The paper's mixer is W₂ · GELU(W₁ᵀ X), where row t of W₁ and W₂ is an MLP's answer to token t: it adds all tokens into a state
    of (hidden, d_model), bends it, and lets each token read. It sees the future. Here the state is summed up to each token, so that
    token t reads GELU(Σ_{s≤t} w₁,ₛ xₛᵀ). This causal form is a derivation of this course, not the paper's, and costs memory for a
    state a token.
    """

    def __init__(self, d_model: int, hidden: int):
        super().__init__()
        self.write, self.read = (
            nn.Sequential(nn.Linear(d_model, d_model), nn.GELU(), nn.Linear(d_model, hidden)) for _ in range(2)
        )
        self.norm = nn.LayerNorm(d_model)

    def forward(
        self,
        x: Float[Tensor, "batch_size seq_len d_model"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        rotation: object = None,
        cache: object = None,
    ) -> Float[Tensor, "batch_size seq_len d_model"]:
        """What each token reads from the state that it and those before it have written. ValueError: there is a cache."""
        if cache is not None:
            raise ValueError("this mixer keeps no keys and values; what would its cache be, and how large?")
        write, read = self.write(x), self.read(x)  # each (batch_size, seq_len, hidden)
        state = (write.unsqueeze(-1) * x.unsqueeze(-2)).cumsum(dim=1)  # (batch_size, seq_len, hidden, d_model)
        return self.norm((read.unsqueeze(-2) @ nn.functional.gelu(state)).squeeze(-2))


def hypermixer(config: ModelConfig) -> Transformer:
    """The model of a configuration, with its attention replaced; positions have to be learned ones, nothing else knows them."""
    model = Transformer(replace(config, positions="learned"))
    for block in model.blocks:
        block.attention = CausalHyperMixer(config.d_model, hidden=config.d_model)  # as many weights as attention has
    model.init_weights()
    return model


class TwoTimeScale(Transformer):
    """Two blocks that run alternately: the fast one (`blocks.0`) `fast_steps` times for each step of the slow one (`blocks.1`).

    z_fast ← f_fast(z_fast + z_slow + x), and after fast_steps of them z_slow ← f_slow(z_slow + z_fast); slow_steps times over.
    Only the last step of each passes a gradient back; the others run without. Blocks are post-norm. Left out of HRM: halting,
    which reads the first position (a causal model knows nothing there), and several segments with a loss each.
    """

    def __init__(self, config: ModelConfig, slow_steps: int = 2, fast_steps: int = 2):
        super().__init__(replace(config, n_layers=2))
        self.slow_steps, self.fast_steps = slow_steps, fast_steps
        self.register_buffer("start", torch.randn(2, config.d_model))  # where both states begin, the same for every token

    def forward(
        self,
        tokens: Int[Tensor, "batch_size seq_len"],
        positions: Int[Tensor, "#batch_size seq_len"] | None = None,
        caches: None = None,
    ) -> Float[Tensor, "batch_size seq_len vocab_size"]:
        """Logits of each next token. ValueError: there are caches."""
        if caches is not None:
            raise ValueError("the states of this model change with every step; a cache would need one entry a step and token")
        positions = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0) if positions is None else positions
        x = math.sqrt(self.config.d_model) * self.token_embedding(tokens)
        around = positions, self.rotary(positions, x.dtype)
        fast, slow = (state.expand_as(x) for state in self.start)
        with torch.no_grad():
            for cycle in range(self.slow_steps):
                last = cycle == self.slow_steps - 1
                for _ in range(self.fast_steps - last):
                    fast = post_norm(self.blocks[0], fast + slow + x, *around)
                if not last:
                    slow = post_norm(self.blocks[1], slow + fast, *around)
        fast = post_norm(self.blocks[0], fast + slow + x, *around)
        slow = post_norm(self.blocks[1], slow + fast, *around)
        return self.head(self.norm(slow))


def post_norm(
    block: Block, x: Float[Tensor, "batch_size seq_len d_model"], *around: object
) -> Float[Tensor, "batch_size seq_len d_model"]:
    """A block in the order of 2017: norm(x + f(x)), so that a state that is fed back keeps its size."""
    x = block.norm_attention(x + block.attention(x, *around))
    return block.norm_mlp(x + block.mlp(x))


def extension_rows(config: ModelConfig) -> dict[str, Callable[[], nn.Module]]:
    """Rows for `run_ablation`: both ideas, and the fair rival of the second, "all" with as many block passes.

    config: that of the row "all".
    """
    passes = 6  # of TwoTimeScale: 2 · (2 fast + 1 slow)
    return {
        "hypermixer": lambda: hypermixer(config),
        "two time scales": lambda: TwoTimeScale(config),
        f"all, {passes} blocks": lambda: Transformer(replace(config, n_layers=passes)),
    }
