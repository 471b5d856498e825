"""These are wrong versions of parts of rope.py, one mistake each. A docstring is the hint that a student reads."""

import torch
from torch import nn

from tools.author.cases import misconception

from .rope import frequencies, half_order


def must_be_even(head_dim):
    """The argument check of everything that has pairs."""
    if head_dim < 2 or head_dim % 2:
        raise ValueError("head_dim must be even")


@misconception("rope.frequencies", pitfall=5, ask="What is the exponent of the last pair, when head_dim is 4?")
def exponent_counts_pairs(head_dim, base=10_000.0):
    """The exponent is i / head_dim where it should be 2i / head_dim, so that the rates end near 1/√base."""
    must_be_even(head_dim)
    return base ** (-torch.arange(head_dim // 2, dtype=torch.float64) / head_dim)


@misconception("rope.frequencies", pitfall=5, ask="How slow is the slowest pair?")
def exponent_counts_channels_of_pairs(head_dim, base=10_000.0):
    """The exponent is 2i over the number of pairs, so that the rates end near 1/base²."""
    must_be_even(head_dim)
    return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / (head_dim // 2))


@misconception("rope.frequencies", pitfall=7, ask="Which pair rotates once in about six positions?")
def slowest_pair_first(head_dim, base=10_000.0):
    """The rates stand in the reverse order: the first pair is the slowest."""
    must_be_even(head_dim)
    return (base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)).flip(0)


@misconception("rope.frequencies", pitfall=4, ask="How exact is a rate that is multiplied by 40 000?")
def rates_in_single_precision(head_dim, base=10_000.0):
    """The rates are computed in float32 and only then called float64."""
    must_be_even(head_dim)
    return (base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)).double()


@misconception("rope.frequencies", ask="What would the last channel of 7 be rotated with?")
def odd_width_is_accepted(head_dim, base=10_000.0):
    """An odd width is taken, and a channel is left without a partner."""
    return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)


def known_layout(layout):
    """The argument check of rotate."""
    if layout not in ("interleaved", "half"):
        raise ValueError("there is no such layout")


def pairs_of(x, layout):
    """First and second channels of all pairs, as the reference has them."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide.unflatten(-1, (-1, 2)).unbind(-1) if layout == "interleaved" else wide.chunk(2, dim=-1)


def together(rotated, layout, dtype):
    """The way back from `pairs_of`."""
    out = torch.stack(rotated, dim=-1).flatten(-2) if layout == "interleaved" else torch.cat(rotated, dim=-1)
    return out.to(dtype)


@misconception("rope.rotate", pitfall=2, ask="Where does (1, 0) point after a quarter rotation?")
def rotated_backwards(x, rotation, layout="interleaved"):
    """Pairs rotate the other way round: the signs of the sines are swapped."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos + b * sin, b * cos - a * sin), layout, x.dtype)


@misconception("rope.rotate", pitfall=2, ask="Is the norm of a pair still what it was?")
def both_signs_are_plus(x, rotation, layout="interleaved"):
    """The sine is added in both channels, which is no rotation and changes the norm."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos + b * sin, b * cos + a * sin), layout, x.dtype)


@misconception("rope.rotate", pitfall=1, ask="Which channel rotates together with channel 0?")
def halves_for_neighbours(x, rotation, layout="interleaved"):
    """The two layouts are swapped: halves where neighbours are asked for, and the other way round."""
    known_layout(layout)
    other = "half" if layout == "interleaved" else "interleaved"
    (cos, sin), (a, b) = rotation, pairs_of(x, other)
    return together((a * cos - b * sin, a * sin + b * cos), other, x.dtype)


@misconception("rope.rotate", pitfall=1, ask="What is the layout argument for?")
def one_layout_for_all(x, rotation, layout="interleaved"):
    """Neighbours are pairs, whatever layout is asked for."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, "interleaved")
    return together((a * cos - b * sin, a * sin + b * cos), "interleaved", x.dtype)


@misconception("rope.rotate", pitfall=1, ask="In which layout should the result be?")
def result_in_the_other_layout(x, rotation, layout="interleaved"):
    """Neighbours rotate as a pair, but the result has all first channels in front, as in the other layout."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos - b * sin, a * sin + b * cos), "half", x.dtype)


@misconception("rope.rotate", pitfall=4, ask="What is 1000 · 0.7071 in float16, and what is left when two of them nearly cancel?")
def rotated_in_low_precision(x, rotation, layout="interleaved"):
    """The rotation is computed in the dtype of the tokens, where two large products that cancel leave only rounding."""
    known_layout(layout)
    cos, sin = (part.to(x.dtype) for part in rotation)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1) if layout == "interleaved" else x.chunk(2, dim=-1)
    return together((a * cos - b * sin, a * sin + b * cos), layout, x.dtype)


@misconception("rope.rotate", ask="Who else holds the tensor that came in?")
def rotated_in_place(x, rotation, layout="interleaved"):
    """The second channel of each pair is computed from the first one after that has been overwritten."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    a = a * cos - b * sin
    return together((a, a * sin + b * cos), layout, x.dtype)


@misconception("rope.half_order", pitfall=10, ask="Which way does x[..., order] lead?")
def permutation_points_back(head_dim):
    """The inverse permutation is handed out: it leads from halves to neighbours."""
    must_be_even(head_dim)
    return torch.arange(head_dim).unflatten(0, (-1, 2)).T.flatten().argsort()


@misconception("rope.half_order", pitfall=1, ask="Where does channel 1 of the interleaved layout stand in the other?")
def halves_swapped(head_dim):
    """The second channels of all pairs stand in front of the first ones."""
    must_be_even(head_dim)
    return torch.arange(head_dim).unflatten(0, (-1, 2)).flip(1).T.flatten()


def fits_heads(weight, n_heads, to):
    """The argument checks of reorder_projection."""
    if n_heads < 1 or weight.shape[0] % n_heads or to not in ("interleaved", "half"):
        raise ValueError("rows, heads and layout do not fit")


@misconception("rope.reorder_projection", pitfall=10, ask="Is the permutation of six channels its own inverse?")
def one_permutation_for_both_ways(weight, n_heads, to):
    """The same permutation is used in both directions."""
    fits_heads(weight, n_heads, to)
    heads = weight.unflatten(0, (n_heads, -1))
    return heads[:, half_order(heads.shape[1])].flatten(0, 1)


@misconception("rope.reorder_projection", pitfall=10, ask="Which rows does a checkpoint have, and which are wanted?")
def directions_swapped(weight, n_heads, to):
    """The two directions are swapped."""
    fits_heads(weight, n_heads, to)
    heads = weight.unflatten(0, (n_heads, -1))
    order = half_order(heads.shape[1])
    return heads[:, order.argsort() if to == "half" else order].flatten(0, 1)


@misconception("rope.reorder_projection", ask="Which rows belong to the first head, before and after?")
def heads_are_mixed(weight, n_heads, to):
    """The rows of all heads are reordered as if they were one."""
    fits_heads(weight, n_heads, to)
    order = half_order(weight.shape[0])
    return weight[order if to == "half" else order.argsort()]


@misconception("rope.RotaryEmbedding.compute", pitfall=4, ask="How far apart are neighbouring float32 numbers near 30 000?")
def angles_in_single_precision(self, positions):
    """Angles are computed in float32, which is off by 0.002 where sequences are long."""
    angles = (positions.to("cpu", torch.float32)[..., None] * self.theta.float()).double()
    return self.magnitude * angles.cos(), self.magnitude * angles.sin()


@misconception("rope.RotaryEmbedding.compute", pitfall=4, ask="What is torch.tensor(257, dtype=torch.bfloat16)?")
def positions_in_bfloat16(self, positions):
    """Positions are counted in bfloat16, where many of them are the same number."""
    angles = positions.to("cpu", torch.bfloat16).double()[..., None] * self.theta
    return self.magnitude * angles.cos(), self.magnitude * angles.sin()


@misconception("rope.RotaryEmbedding.compute", ask="What does YaRN do besides changing rates?")
def magnitude_is_forgotten(self, positions):
    """Cosines and sines are not multiplied by the magnitude of the scaling."""
    angles = positions.to("cpu", torch.float64)[..., None] * self.theta
    return angles.cos(), angles.sin()


@misconception("rope.RotaryEmbedding.compute", ask="Which of the two tables does rotate take first?")
def sines_before_cosines(self, positions):
    """The tables are handed out as sine and cosine."""
    angles = positions.to("cpu", torch.float64)[..., None] * self.theta
    return self.magnitude * angles.sin(), self.magnitude * angles.cos()


@misconception("rope.RotaryEmbedding.__init__", pitfall=4, ask="What does model.to(torch.bfloat16) do to a buffer?")
def rates_as_a_buffer(self, head_dim, base=10_000.0, scaling=None):
    """The rates are a buffer, which a cast of the model to bfloat16 rounds, and which the state dict saves."""
    nn.Module.__init__(self)
    theta = frequencies(head_dim, base)
    self.magnitude = 1.0 if scaling is None else scaling.magnitude
    self.register_buffer("theta", theta if scaling is None else scaling.scale(theta))
    self.cos, self.sin = self.compute(torch.arange(0))


@misconception("rope.RotaryEmbedding.__init__", ask="What should an optimiser do to the rates?")
def rates_are_trained(self, head_dim, base=10_000.0, scaling=None):
    """The rates are parameters, which training changes."""
    nn.Module.__init__(self)
    theta = frequencies(head_dim, base)
    self.magnitude = 1.0 if scaling is None else scaling.magnitude
    self.theta = nn.Parameter(theta if scaling is None else scaling.scale(theta))
    self.cos, self.sin = self.compute(torch.arange(0))


def rounded(tables, positions, dtype):
    """Tables on the device of the positions, as the reference returns them."""
    dtype = torch.promote_types(dtype, torch.float32)
    return tables[0].to(positions.device, dtype), tables[1].to(positions.device, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=3, ask="At which position does the token stand that is decoded next?")
def positions_count_from_the_call(self, positions, dtype=torch.float32):
    """Positions are counted from the start of each call, so that a token decoded with a cache is rotated as if it came first."""
    here = torch.arange(positions.shape[-1]).expand(positions.shape)
    return rounded(self.compute(here), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=3, ask="Do all rows of a batch stand at the same positions?")
def first_row_speaks_for_all(self, positions, dtype=torch.float32):
    """Every row gets the rotation of the first one."""
    first = positions.reshape(-1, positions.shape[-1])[0].expand(positions.shape)
    return rounded(self.compute(first.clamp(min=0)), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=8, ask="What happens to a sequence longer than the first one?")
def table_does_not_grow(self, positions, dtype=torch.float32):
    """The table is made once, for the longest sequence of the first call, and later positions get its last row."""
    indices = positions.clamp(min=0).cpu()
    if not len(self.cos):
        self.cos, self.sin = self.compute(torch.arange(int(indices.max()) + 1))
    indices = indices.clamp(max=len(self.cos) - 1)
    return rounded((self.cos[indices], self.sin[indices]), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=8, ask="How long is the table after a million tokens?")
def table_grows_for_ever(self, positions, dtype=torch.float32):
    """The table holds every position up to the last one, so that a stream without end needs memory without end."""
    indices = positions.clamp(min=0).cpu()
    length = int(indices.max()) + 1
    if len(self.cos) < length:
        self.cos, self.sin = self.compute(torch.arange(2 * length))
    return rounded((self.cos[indices], self.sin[indices]), positions, dtype)


@misconception(
    "rope.RotaryEmbedding.forward", ask="How often is the cosine of position 3 computed while a sequence is generated?"
)
def nothing_is_kept(self, positions, dtype=torch.float32):
    """Cosines and sines are computed anew in each call."""
    return rounded(self.compute(positions.clamp(min=0)), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=4, ask="In which dtype does rotate compute?")
def tables_in_the_dtype_of_the_model(self, positions, dtype=torch.float32):
    """Cosines and sines are rounded to the dtype of the model, bfloat16 included."""
    indices = positions.clamp(min=0).cpu()
    length = int(indices.max()) + 1
    if len(self.cos) < length <= self.longest_table:
        self.cos, self.sin = self.compute(torch.arange(min(2 * length, self.longest_table)))
    tables = (self.cos[indices], self.sin[indices]) if length <= len(self.cos) else self.compute(indices)
    return tables[0].to(positions.device, dtype), tables[1].to(positions.device, dtype)


@misconception("rope.decay_bound", ask="How long is a sum of vectors that point everywhere?")
def lengths_are_added(distances, theta):
    """The lengths of the vectors are added up, which gives the same at every distance."""
    angles = distances[:, None] * theta
    partial = torch.complex(angles.cos(), angles.sin()).abs().cumsum(-1)
    return partial.mean(-1)


@misconception("rope.decay_bound", ask="Which sums does the mean run over?")
def only_the_last_sum(distances, theta):
    """The length of the whole sum over the number of pairs: partial sums are left out."""
    angles = distances[:, None] * theta
    return torch.complex(angles.cos(), angles.sin()).sum(-1).abs() / len(theta)
