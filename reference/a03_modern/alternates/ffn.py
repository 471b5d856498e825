"""These are other right versions of parts of ffn.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate

from .ffn import silu


@alternate("ffn.silu")
def by_the_hyperbolic_tangent(x):
    """σ(x) = (1 + tanh(x/2)) / 2."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * ((1 + torch.tanh(wide / 2)) / 2)).to(x.dtype)


@alternate("ffn.hidden_size")
def upwards_by_the_remainder(d_model, multiple_of=8):
    """The smallest multiple that is at least 8/3 · d_model, by what is left of a division."""
    if d_model < 1 or multiple_of < 1:
        raise ValueError(f"positive numbers are needed; got {d_model}, {multiple_of}")
    whole, rest = divmod(8 * d_model, 3 * multiple_of)
    return multiple_of * (whole + bool(rest))


@alternate("ffn.SwiGLU.forward")
def one_product_for_gate_and_up(self, x):
    """Gate and up as one product with the matrices on top of each other."""
    gate, up = (x @ torch.cat([self.gate.weight, self.up.weight]).T).chunk(2, dim=-1)
    return torch.mul(up, silu(gate)) @ self.down.weight.T
