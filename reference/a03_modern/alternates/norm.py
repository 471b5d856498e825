"""These are other right versions of parts of norm.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate


@alternate("norm.RMSNorm.forward")
def norm_of_the_vector_over_the_root(self, x):
    """The length of the vector over √d, with eps in its place, and a division."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    size = torch.sqrt((wide * wide).sum(-1, keepdim=True) / x.shape[-1] + self.eps)
    return (self.weight * (wide / size)).to(x.dtype)


@alternate("norm.RMSNorm.forward")
def power_of_minus_a_half(self, x):
    """A power of −1/2, and the weight times the factor first."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    factor = (torch.linalg.vecdot(wide, wide).unsqueeze(-1) / x.shape[-1] + self.eps) ** -0.5
    return torch.mul(wide, factor * self.weight).to(x.dtype)
