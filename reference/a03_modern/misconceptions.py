"""Wrong versions of parts of this assignment, one mistake each; the docstring is the hint that a student reads.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import math
import statistics
import time
from dataclasses import replace

import torch
from given.a01_transformer.layers import MLP
from given.a02_training.sample import Sampling, next_token_probabilities
from given.a02_training.train import evaluating, train
from torch import nn

from tools.author.cases import misconception

from .ablation import Run, Summary, _deviation, ablation_rows, steps_to
from .attention import GroupedQueryAttention, grouped_attention, window_mask
from .cache import KVCache, RollingCache
from .ffn import SwiGLU, hidden_size, silu
from .generate import AS_IT_IS, pad_left, prefill
from .model import Block, Transformer, make_norm
from .norm import RMSNorm
from .rope import RotaryEmbedding, frequencies, half_order, rotate
from .scaling import linear

# norm


def wide_tokens(norm, x):
    """The argument check of RMSNorm, which every version keeps; x in at least float32."""
    if x.shape[-1] != norm.weight.shape[0]:
        raise ValueError("the width does not fit")
    return x.to(torch.promote_types(x.dtype, torch.float32))


@misconception("norm.RMSNorm.forward", pitfall=1, ask="Which of the two steps of LayerNorm is left?")
def mean_is_taken_off(self, x):
    """The mean is subtracted first, as LayerNorm does."""
    wide = wide_tokens(self, x)
    wide = wide - wide.mean(dim=-1, keepdim=True)
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=2, ask="What is the slope of the root at 0?")
def eps_outside_the_root(self, x):
    """eps is added to the root, and not to what stands under it."""
    wide = wide_tokens(self, x)
    return (wide / (wide.square().mean(dim=-1, keepdim=True).sqrt() + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=2, ask="What becomes of a token of zeros?")
def eps_is_forgotten(self, x):
    """There is no eps, so that a token of zeros becomes NaN."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True)) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=3, ask="What is 300 squared in float16?")
def squares_in_low_precision(self, x):
    """Squares are taken in the dtype that came in, and in float16 they overflow."""
    wide = wide_tokens(self, x)
    mean_square = x.square().mean(dim=-1, keepdim=True).to(wide.dtype)
    return (wide * torch.rsqrt(mean_square + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=4, ask="How many roundings does a channel see?")
def rounded_before_the_weight(self, x):
    """The normalised token is rounded, and the weight comes after that."""
    wide = wide_tokens(self, x)
    out = (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)).to(x.dtype)
    return (out * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=4, ask="Does the weight change the root mean square?")
def weight_before_the_norm(self, x):
    """The weight is applied first, so that the norm takes its size away again."""
    wide = wide_tokens(self, x) * self.weight
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=5, ask="What is the norm of (1, 1, 1, 1), and its root mean square?")
def norm_of_the_vector(self, x):
    """The sum of the squares stands under the root, not their mean."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().sum(dim=-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@misconception("norm.RMSNorm.forward", pitfall=6, ask="Whom does a token's norm depend on?")
def all_tokens_share_a_norm(self, x):
    """The mean runs over tokens as well as channels, so that each token depends on the others."""
    wide = wide_tokens(self, x)
    return (wide * torch.rsqrt(wide.square().mean() + self.eps) * self.weight).to(x.dtype)


# rope


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


@misconception("rope.frequencies", pitfall=7, ask="Which pair turns once in about six positions?")
def slowest_pair_first(head_dim, base=10_000.0):
    """The rates stand in the reverse order: the first pair is the slowest."""
    must_be_even(head_dim)
    return (base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)).flip(0)


@misconception("rope.frequencies", pitfall=4, ask="How exact is a rate that is multiplied by 40 000?")
def rates_in_single_precision(head_dim, base=10_000.0):
    """The rates are computed in float32 and only then called float64."""
    must_be_even(head_dim)
    return (base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)).double()


@misconception("rope.frequencies", ask="What would the last channel of 7 turn with?")
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


def together(turned, layout, dtype):
    """The way back from `pairs_of`."""
    out = torch.stack(turned, dim=-1).flatten(-2) if layout == "interleaved" else torch.cat(turned, dim=-1)
    return out.to(dtype)


@misconception("rope.rotate", pitfall=2, ask="Where does (1, 0) point after a quarter turn?")
def turned_backwards(x, rotation, layout="interleaved"):
    """Pairs turn the other way round: the signs of the sines have changed places."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos + b * sin, b * cos - a * sin), layout, x.dtype)


@misconception("rope.rotate", pitfall=2, ask="Is the norm of a pair still what it was?")
def both_signs_are_plus(x, rotation, layout="interleaved"):
    """The sine is added in both channels, which is no rotation and changes the norm."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos + b * sin, b * cos + a * sin), layout, x.dtype)


@misconception("rope.rotate", pitfall=1, ask="Which channel turns together with channel 0?")
def halves_for_neighbours(x, rotation, layout="interleaved"):
    """The two layouts have changed places: halves where neighbours are asked for, and the other way round."""
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
    """Neighbours turn as a pair, but the result has all first channels in front, as in the other layout."""
    known_layout(layout)
    (cos, sin), (a, b) = rotation, pairs_of(x, layout)
    return together((a * cos - b * sin, a * sin + b * cos), "half", x.dtype)


@misconception("rope.rotate", pitfall=4, ask="What is 1000 · 0.7071 in float16, and what is left when two of them nearly cancel?")
def turned_in_low_precision(x, rotation, layout="interleaved"):
    """The rotation is computed in the dtype of the tokens, where two large products that cancel leave only rounding."""
    known_layout(layout)
    cos, sin = (part.to(x.dtype) for part in rotation)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1) if layout == "interleaved" else x.chunk(2, dim=-1)
    return together((a * cos - b * sin, a * sin + b * cos), layout, x.dtype)


@misconception("rope.rotate", ask="Who else holds the tensor that came in?")
def turned_in_place(x, rotation, layout="interleaved"):
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
    """The two directions have changed places."""
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
    """Angles are computed in float32, which is off by 0.002 where texts are long."""
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
    """Positions are counted from the start of each call, so that a token decoded with a cache turns as if it came first."""
    here = torch.arange(positions.shape[-1]).expand(positions.shape)
    return rounded(self.compute(here), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=3, ask="Do all rows of a batch stand at the same positions?")
def first_row_speaks_for_all(self, positions, dtype=torch.float32):
    """Every row gets the rotation of the first one."""
    first = positions.reshape(-1, positions.shape[-1])[0].expand(positions.shape)
    return rounded(self.compute(first.clamp(min=0)), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=8, ask="What happens to a text longer than the first one?")
def table_does_not_grow(self, positions, dtype=torch.float32):
    """The table is made once, for the longest text of the first call, and later positions get its last row."""
    places = positions.clamp(min=0).cpu()
    if not len(self.cos):
        self.cos, self.sin = self.compute(torch.arange(int(places.max()) + 1))
    places = places.clamp(max=len(self.cos) - 1)
    return rounded((self.cos[places], self.sin[places]), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=8, ask="How long is the table after a million tokens?")
def table_grows_for_ever(self, positions, dtype=torch.float32):
    """The table holds every position up to the last one, so that a stream without end needs memory without end."""
    places = positions.clamp(min=0).cpu()
    length = int(places.max()) + 1
    if len(self.cos) < length:
        self.cos, self.sin = self.compute(torch.arange(2 * length))
    return rounded((self.cos[places], self.sin[places]), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", ask="How often is the cosine of position 3 computed while a text is written?")
def nothing_is_kept(self, positions, dtype=torch.float32):
    """Cosines and sines are computed anew in each call."""
    return rounded(self.compute(positions.clamp(min=0)), positions, dtype)


@misconception("rope.RotaryEmbedding.forward", pitfall=4, ask="In which dtype does rotate compute?")
def tables_in_the_dtype_of_the_model(self, positions, dtype=torch.float32):
    """Cosines and sines are rounded to the dtype of the model, bfloat16 included."""
    places = positions.clamp(min=0).cpu()
    length = int(places.max()) + 1
    if len(self.cos) < length <= self.longest_table:
        self.cos, self.sin = self.compute(torch.arange(min(2 * length, self.longest_table)))
    tables = (self.cos[places], self.sin[places]) if length <= len(self.cos) else self.compute(places)
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


# scaling


@misconception("scaling.linear", pitfall=1, ask="Should position 4000 look like position 1000, or like 16 000?")
def faster_instead_of_slower(theta, factor):
    """Rates are multiplied by the factor, so that angles go even further beyond those of training."""
    return theta * factor


@misconception("scaling.ntk", pitfall=4, ask="By how much is the slowest pair slowed down?")
def base_exponent_is_one(theta, factor):
    """The base is multiplied by the factor itself, so that the slowest pair is not slowed down in full."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-pairs / len(theta))


@misconception("scaling.ntk", pitfall=1, ask="Which pair has seen all its angles in training?")
def ntk_slows_the_fast_pairs(theta, factor):
    """The fastest pair is slowed down in full and the slowest one stays."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-(len(theta) - 1 - pairs) / max(1, len(theta) - 1))


@misconception("scaling.ntk", pitfall=1, ask="Is a larger base slower or faster?")
def ntk_speeds_up(theta, factor):
    """The rates are those of a smaller base, and faster."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (pairs / max(1, len(theta) - 1))


@misconception("scaling.ntk", ask="What is d − 2, when there is one pair?")
def single_pair_divides_by_zero(theta, factor):
    """With a single pair the exponent is 0/0."""
    pairs = torch.arange(len(theta), dtype=theta.dtype, device=theta.device)
    return theta * factor ** (-pairs / (len(theta) - 1))


@misconception("scaling.yarn", pitfall=3, ask="Which pairs have gone round many times in training?")
def ramp_is_reversed(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The ramp is the wrong way round: the fast pairs are slowed down and the slow ones stay."""
    keep = 1 - ((trained_length * theta / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=2, ask="How many radians has a full turn?")
def radians_for_turns(theta, factor, trained_length, slow=1.0, fast=32.0):
    """Turns are counted in radians: the 2π is missing."""
    keep = ((trained_length * theta - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=2, ask="Does a long wavelength mean many turns or few?")
def wavelengths_for_turns(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The ramp runs over wavelengths in place of turns."""
    keep = ((2 * math.pi / theta - slow) / (fast - slow)).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", pitfall=5, ask="What is γ of a pair that turns 320 times?")
def ramp_is_not_cut_off(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The share γ is not cut to 0 … 1."""
    keep = (trained_length * theta / (2 * math.pi) - slow) / (fast - slow)
    return keep * theta + (1 - keep) * linear(theta, factor)


@misconception("scaling.yarn", ask="What are the arguments slow and fast for?")
def limits_are_fixed(theta, factor, trained_length, slow=1.0, fast=32.0):
    """The limits are 1 and 32 turns, whatever is asked for."""
    keep = ((trained_length * theta / (2 * math.pi) - 1) / 31).clamp(0, 1)
    return keep * theta + (1 - keep) * linear(theta, factor)


# ffn


@misconception("ffn.silu", pitfall=5, ask="What is the derivative of x / (1 + e^−x) at −100, computed piece by piece?")
def exponential_by_hand(x):
    """e^(−x) is computed as it stands; far to the left it is infinite, and the gradient NaN."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (1 + torch.exp(-wide))).to(x.dtype)


@misconception("ffn.silu", ask="What does SiLU multiply the sigmoid with?")
def sigmoid_alone(x):
    """The sigmoid itself is returned, without the factor x."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide.sigmoid().to(x.dtype)


@misconception("ffn.silu", ask="What is the factor in front of x in σ(1.702 x)?")
def gelu_by_a_sigmoid(x):
    """The sigmoid is that of 1.702 x, which approximates GELU."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (1.702 * wide).sigmoid()).to(x.dtype)


def positive(d_model, multiple_of):
    """The argument check of hidden_size."""
    if d_model < 1 or multiple_of < 1:
        raise ValueError("sizes must be positive")


@misconception("ffn.hidden_size", pitfall=3, ask="How many weights are 3 · 4d · d, and how many 2 · 4d · d?")
def hidden_is_four_times(d_model, multiple_of=8):
    """The hidden size is 4 · d_model, as in an MLP with two matrices."""
    positive(d_model, multiple_of)
    return -(-4 * d_model // multiple_of) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="Is 168 at least 8/3 · 64?")
def hidden_is_rounded_down(d_model, multiple_of=8):
    """The size is rounded down to a multiple."""
    positive(d_model, multiple_of)
    return 8 * d_model // (3 * multiple_of) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="What is 8/3 · 48, and what is the next multiple of 8?")
def hidden_grows_though_it_fits(d_model, multiple_of=8):
    """What is a multiple already goes up to the next one."""
    positive(d_model, multiple_of)
    return (8 * d_model // (3 * multiple_of) + 1) * multiple_of


@misconception("ffn.hidden_size", pitfall=4, ask="What is int(8 / 3 * 64)?")
def cut_before_it_is_rounded_up(d_model, multiple_of=8):
    """8/3 · d_model is cut to a whole number first, and only then rounded up."""
    positive(d_model, multiple_of)
    return -(-(8 * d_model // 3) // multiple_of) * multiple_of


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="Which branch do the keys of the state dict call the gate?")
def gate_on_the_wrong_branch(self, x):
    """silu acts on the branch `up`, so that the gate is the other one."""
    return self.down(self.gate(x) * silu(self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=2, ask="What does the gate do, if silu comes last?")
def silu_after_the_product(self, x):
    """silu acts on the product of the two branches."""
    return self.down(silu(self.gate(x) * self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=2, ask="How many of the branches are bent?")
def silu_on_both_branches(self, x):
    """silu acts on both branches."""
    return self.down(silu(self.gate(x)) * silu(self.up(x)))


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="How do two branches become one?")
def branches_are_added(self, x):
    """The branches are added up instead of multiplied."""
    return self.down(silu(self.gate(x)) + self.up(x))


@misconception("ffn.SwiGLU.forward", pitfall=1, ask="What is the difference between a gate and σ of a gate?")
def gate_is_a_sigmoid(self, x):
    """The gate is a sigmoid, as in the first gated linear units."""
    return self.down(self.gate(x).sigmoid() * self.up(x))


@misconception("ffn.SwiGLU.__init__", ask="Which keys does the table list?")
def matrices_have_biases(self, d_model, hidden=None):
    """The linear layers have biases."""
    nn.Module.__init__(self)
    hidden = hidden_size(d_model) if hidden is None else hidden
    self.gate, self.up, self.down = nn.Linear(d_model, hidden), nn.Linear(d_model, hidden), nn.Linear(hidden, d_model)


# attention


def fits_window(window, sinks):
    """The argument check of window_mask."""
    if (window is not None and window < 1) or sinks < 0:
        raise ValueError("no such window")


@misconception("attention.window_mask", pitfall=1, ask="What does a window of 1 see?")
def window_leaves_the_query_out(queries, keys, window=None, sinks=0):
    """A window of W holds W positions besides that of the query, one too many."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & ((query - key <= window) | (key < sinks))


@misconception("attention.window_mask", pitfall=1, ask="What does a window of 1 see?")
def window_is_one_short(queries, keys, window=None, sinks=0):
    """A window of W holds W − 1 positions, one too few."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & ((query - key < window - 1) | (key < sinks))


@misconception("attention.window_mask", pitfall=2, ask="Was position 3 there when position 0 was read?")
def sinks_of_the_future(queries, keys, window=None, sinks=0):
    """Sinks are seen by everybody, also by queries that stand before them."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key <= query) if window is None else (key <= query) & (query - key < window)
    return (key >= 0) & (mask | (key < sinks))


@misconception("attention.window_mask", ask="What does a head look at that has nothing to say?")
def sinks_are_forgotten(queries, keys, window=None, sinks=0):
    """The window hides the sinks too."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = (key >= 0) & (key <= query)
    return mask if window is None else mask & (query - key < window)


@misconception("attention.window_mask", pitfall=3, ask="Is −1 ≤ 5?")
def padding_is_seen(queries, keys, window=None, sinks=0):
    """Padding is seen by everybody: its position −1 is less than all others."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    mask = key <= query
    return mask if window is None else mask & ((query - key < window) | (key < sinks))


@misconception("attention.window_mask", ask="Which positions come after the query?")
def window_looks_both_ways(queries, keys, window=None, sinks=0):
    """The window reaches into the future as far as into the past."""
    fits_window(window, sinks)
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    near = (key <= query) if window is None else ((query - key).abs() < window) | ((key < sinks) & (key <= query))
    return (key >= 0) & (query >= 0) & near


@misconception("attention.window_mask", pitfall=7, ask="Do positions stand in the order of the tensor?")
def columns_for_positions(queries, keys, window=None, sinks=0):
    """The mask is made from places in the tensor, as if these were the positions."""
    fits_window(window, sinks)
    query = torch.arange(queries.shape[-1])[:, None] + keys.shape[-1] - queries.shape[-1]
    key = torch.arange(keys.shape[-1])[None]
    mask = (key <= query) & (keys >= 0).unsqueeze(-2)
    return mask if window is None else mask & ((query - key < window) | (key < sinks))


def repeated(q, k, v, mask, interleave=True, scale=None, blind=True, narrow=False):
    """Attention with a copy of keys and values for each head of queries."""
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads:
        raise ValueError("heads do not fit")
    group, dtype = heads // kv_heads, q.dtype if narrow else torch.promote_types(q.dtype, torch.float32)
    if interleave:
        k, v = (part.repeat_interleave(group, dim=-3) for part in (k, v))
    else:
        k, v = (torch.cat([part] * group, dim=-3) for part in (k, v))
    scores = q.to(dtype) @ k.to(dtype).mT / (math.sqrt(q.shape[-1]) if scale is None else scale)
    blocked = ~mask.unsqueeze(-3)
    weights = scores.masked_fill(blocked, -math.inf).softmax(dim=-1)
    return (weights.masked_fill(blocked, 0) if blind else weights).to(q.dtype) @ v


@misconception(
    "attention.grouped_attention", pitfall=4, ask="Which head of keys belongs to query head 1, with 4 heads and 2 of keys?"
)
def heads_of_keys_are_tiled(q, k, v, mask):
    """Heads of keys are repeated as 0, 1, 0, 1 where 0, 0, 1, 1 is needed, so that neighbours share nothing."""
    return repeated(q, k, v, mask, interleave=False)


@misconception("attention.grouped_attention", pitfall=5, ask="What is the softmax of nothing but −∞?")
def blind_query_gives_nan(q, k, v, mask):
    """A query that may look at nothing gets NaN."""
    return repeated(q, k, v, mask, blind=False)


@misconception("attention.grouped_attention", pitfall=8, ask="How many products are summed in one score?")
def scale_of_the_model(q, k, v, mask):
    """Scores are divided by the root of the width of all heads together."""
    return repeated(q, k, v, mask, scale=math.sqrt(q.shape[-1] * q.shape[-3]))


@misconception("attention.grouped_attention", pitfall=8, ask="How large is q · k, when head_dim is 64?")
def scores_are_not_scaled(q, k, v, mask):
    """Scores are not scaled."""
    return repeated(q, k, v, mask, scale=1.0)


@misconception("attention.grouped_attention", pitfall=10, ask="What is the largest number that float16 can hold?")
def scores_in_low_precision(q, k, v, mask):
    """Scores are computed in the dtype of the queries, and in float16 they overflow before they are scaled."""
    return repeated(q, k, v, mask, narrow=True)


@misconception("attention.grouped_attention", ask="What is the sum of each row of weights?")
def mask_after_the_softmax(q, k, v, mask):
    """The mask is applied after the softmax, so forbidden keys still take part in the normalisation."""
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads:
        raise ValueError("heads do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    k, v = (part.repeat_interleave(heads // kv_heads, dim=-3) for part in (k, v))
    weights = (q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return weights.masked_fill(~mask.unsqueeze(-3), 0).to(q.dtype) @ v


def heads_of(layer, x):
    """Queries, keys and values of all heads, as the reference has them."""
    heads = layer.qkv(x).unflatten(-1, (-1, layer.head_dim)).transpose(1, 2)
    return heads.split([layer.n_heads, layer.n_kv_heads, layer.n_kv_heads], dim=1)


def places_of(x, positions):
    """Positions, or 0, 1, 2, … where none are given."""
    return torch.arange(x.shape[1], device=x.device).unsqueeze(0) if positions is None else positions


def turned(layer, rotation, *parts):
    """Parts after the rotation, one for all heads."""
    if rotation is None:
        return parts
    turn = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
    return tuple(rotate(part, turn, layer.layout) for part in parts)


@misconception("attention.GroupedQueryAttention.forward", pitfall=6, ask="Should what a token says depend on where it stands?")
def values_are_turned_too(self, x, positions=None, rotation=None, cache=None):
    """Values are turned like queries and keys."""
    positions = there = places_of(x, positions)
    q, k, v = turned(self, rotation, *heads_of(self, x))
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception(
    "attention.GroupedQueryAttention.forward", pitfall=6, ask="What does a score of a turned query and a plain key depend on?"
)
def keys_are_not_turned(self, x, positions=None, rotation=None, cache=None):
    """Queries alone are turned, so that scores depend on where a query stands and not on the distance."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    (q,) = turned(self, rotation, q)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", pitfall=6, ask="In which state does the cache expect its keys?")
def keys_are_cached_unturned(self, x, positions=None, rotation=None, cache=None):
    """Keys go into the cache as they are, and only new ones are ever turned."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    q, new = turned(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
        k = torch.cat([k[:, :, : -new.shape[2]], new], dim=2)
    else:
        k = new
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", pitfall=7, ask="Where do the keys stand that come from the cache?")
def keys_counted_from_zero(self, x, positions=None, rotation=None, cache=None):
    """Keys from the cache are taken to stand at 0, 1, 2, … in the order in which they come, whatever their positions."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = turned(self, rotation, q, k)
    if cache is not None:
        k, v, _ = cache.append(k, v, positions)
        there = torch.arange(k.shape[2], device=x.device).unsqueeze(0)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="What may the third token of a chunk see of the fourth?")
def chunk_without_a_mask(self, x, positions=None, rotation=None, cache=None):
    """With a cache there is no mask, though several tokens at once must not see each other's future."""
    positions = places_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = turned(self, rotation, q, k)
    mask = window_mask(positions, positions, self.window, self.sinks)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
        mask = (there >= 0).unsqueeze(-2).expand(-1, x.shape[1], -1)
    return self.proj(grouped_attention(q, k, v, mask).transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="Who reads self.window?")
def window_is_not_used(self, x, positions=None, rotation=None, cache=None):
    """Every token sees everything before it, whatever the window."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = turned(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="What does the layer know of its layout?")
def layout_is_not_used(self, x, positions=None, rotation=None, cache=None):
    """Neighbours turn as pairs, whatever the layout of the layer."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    if rotation is not None:
        turn = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
        q, k = rotate(q, turn), rotate(k, turn)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.transpose(1, 2).flatten(2))


@misconception("attention.GroupedQueryAttention.forward", ask="Which axis is left of the channels when heads are joined?")
def heads_are_joined_by_view_alone(self, x, positions=None, rotation=None, cache=None):
    """The heads are joined by reshaping alone, so that tokens and heads are mixed up."""
    positions = there = places_of(x, positions)
    q, k, v = heads_of(self, x)
    q, k = turned(self, rotation, q, k)
    if cache is not None:
        k, v, there = cache.append(k, v, positions)
    out = grouped_attention(q, k, v, window_mask(positions, there, self.window, self.sinks))
    return self.proj(out.reshape(x.shape))


def features(x):
    """The feature map."""
    return nn.functional.elu(x) + 1


@misconception("attention.linear_attention", pitfall=9, ask="Does φ of a rotated vector know distances?")
def rotated_before_the_feature_map(q, k, v, rotation=None):
    """The rotation comes first and the feature map after it, so that moving all positions on changes the result."""
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    q, k = features(q), features(k)
    total = (q * k.cumsum(dim=-2)).sum(dim=-1, keepdim=True)
    memory = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(dim=-3)
    return (q.unsqueeze(-2) @ memory).squeeze(-2) / total


@misconception("attention.linear_attention", pitfall=9, ask="Can the sum of turned products be 0?")
def denominator_is_rotated(q, k, v, rotation=None):
    """The denominator sums turned products, which may be negative."""
    q, k = features(q), features(k)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    total = (q * k.cumsum(dim=-2)).sum(dim=-1, keepdim=True)
    memory = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(dim=-3)
    return (q.unsqueeze(-2) @ memory).squeeze(-2) / total


@misconception("attention.linear_attention", ask="What does token 0 know about token 1?")
def sums_over_the_whole_text(q, k, v, rotation=None):
    """The sums run over the whole text, later tokens included."""
    q, k = features(q), features(k)
    total = (q * k.sum(dim=-2, keepdim=True)).sum(dim=-1, keepdim=True)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    return q @ (k.mT @ v) / total


# cache


def fits_room(cache, keys):
    """The argument check of KVCache.append; where the new tokens end."""
    end = cache.length + keys.shape[2]
    if end > cache.keys.shape[2]:
        raise ValueError("there is no room")
    return end


@misconception("cache.KVCache.append", pitfall=1, ask="Which of the four axes is time?")
def grown_along_the_heads(self, keys, values, positions):
    """New keys are put behind the old ones along the axis of heads."""
    fits_room(self, keys)
    self.keys = torch.cat([self.keys[:, :, : self.length], keys], dim=1) if self.length else keys
    self.values = torch.cat([self.values[:, :, : self.length], values], dim=1) if self.length else values
    self.positions[:, self.length : self.length + keys.shape[2]] = positions
    self.length += keys.shape[2]
    return self.keys, self.values, self.positions[:, : self.length]


@misconception("cache.KVCache.append", pitfall=8, ask="How many tokens are copied to add one?")
def copied_for_every_token(self, keys, values, positions):
    """Everything is copied for every token."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys, self.values, self.positions = self.keys.clone(), self.values.clone(), self.positions.clone()
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


@misconception("cache.KVCache.append", ask="What does attention see behind the last token?")
def room_is_handed_out_too(self, keys, values, positions):
    """All the room is handed out, what is free included."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys, self.values, self.positions


@misconception("cache.KVCache.append", ask="Where was the last token written?")
def written_from_the_front(self, keys, values, positions):
    """New tokens are always written to the front, over those that are there."""
    end = fits_room(self, keys)
    new = slice(0, keys.shape[2])
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


@misconception("cache.KVCache.append", ask="Whom are the tokens for that attention looks at?")
def new_tokens_alone(self, keys, values, positions):
    """What is handed out are the new tokens, without those before them."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, new], self.values[:, :, new], self.positions[:, new]


@misconception("cache.KVCache.append", ask="Are positions the numbers of slots?")
def slots_for_positions(self, keys, values, positions):
    """The number of the slot is kept as the position, so that padding counts as a token."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, torch.arange(self.length, end)
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


def joined(cache, keys, values, positions):
    """What is in the cache, and the new tokens behind it."""
    return (
        torch.cat([cache.keys, keys], dim=2),
        torch.cat([cache.values, values], dim=2),
        torch.cat([cache.positions, positions], dim=1),
    )


@misconception("cache.RollingCache.append", pitfall=4, ask="What does the first token of the chunk still see?")
def chunk_is_written_first(self, keys, values, positions):
    """A chunk is written before it is read, so that its first tokens lose their oldest keys."""
    self._store(keys, values, positions.expand(len(keys), -1))
    return self.keys, self.values, self.positions


@misconception("cache.RollingCache.append", pitfall=4, ask="How often does a new token appear in what is handed out?")
def chunk_is_seen_twice(self, keys, values, positions):
    """The chunk is written and then put behind what is in the cache, so that its tokens are there twice."""
    positions = positions.expand(len(keys), -1)
    self._store(keys, values, positions)
    return (self.keys, self.values, self.positions) if keys.shape[2] == 1 else joined(self, keys, values, positions)


@misconception("cache.RollingCache.append", ask="What came before the chunk?")
def chunk_forgets_the_past(self, keys, values, positions):
    """A chunk is shown itself alone, and nothing of what was there before."""
    positions = positions.expand(len(keys), -1)
    self._store(keys, values, positions)
    return (self.keys, self.values, self.positions) if keys.shape[2] == 1 else (keys, values, positions)


def write(cache, keys, values, positions, stays, slots):
    """Write the tokens that stay into their slots, as the reference does."""
    row, token = stays.nonzero(as_tuple=True)
    slot = slots[row, token]
    cache.keys[row, :, slot] = keys[row, :, token]
    cache.values[row, :, slot] = values[row, :, token]
    cache.positions[row, slot] = positions[row, token]


def recent(cache, positions):
    """Tokens that no later one of the same call pushes out."""
    return (positions > positions[:, -1:] - cache.window) | (positions < cache.sinks)


@misconception("cache.RollingCache._store", pitfall=2, ask="Where does position sinks + window go?")
def sinks_are_evicted(self, keys, values, positions):
    """Slots are positions modulo all the room, so that the sinks are overwritten when the cache comes round."""
    room = self.sinks + self.window
    stays = (positions >= 0) & (positions > positions[:, -1:] - room)
    write(self, keys, values, positions, stays, positions % room)


@misconception("cache.RollingCache._store", pitfall=3, ask="Which position does sinks + window replace?")
def slots_start_at_the_wrong_place(self, keys, values, positions):
    """The slot in the window is the position modulo the window, without taking the sinks off first."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + positions % self.window)
    write(self, keys, values, positions, (positions >= 0) & recent(self, positions), slots)


@misconception("cache.RollingCache._store", pitfall=3, ask="How many positions does a window hold?")
def window_of_the_cache_is_one_short(self, keys, values, positions):
    """The window comes round one token too early, and the oldest key that should be seen is gone."""
    room = max(1, self.window - 1)
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % room)
    stays = (positions >= 0) & ((positions > positions[:, -1:] - room) | (positions < self.sinks))
    write(self, keys, values, positions, stays, slots)


@misconception("cache.RollingCache._store", pitfall=5, ask="Which of two tokens is in the slot afterwards?")
def first_of_a_chunk_wins(self, keys, values, positions):
    """Of two tokens of a chunk that share a slot the earlier one stays."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    for row in range(len(keys)):
        for token in reversed(range(positions.shape[1])):
            if positions[row, token] >= 0:
                slot = slots[row, token]
                self.keys[row, :, slot], self.values[row, :, slot] = keys[row, :, token], values[row, :, token]
                self.positions[row, slot] = positions[row, token]


@misconception("cache.RollingCache._store", pitfall=6, ask="How many slots should three columns of padding take?")
def padding_is_stored(self, keys, values, positions):
    """Slots are counted by columns and padding is stored like a token, so that it pushes out what counts."""
    columns = torch.arange(self.length, self.length + keys.shape[2])
    slots = torch.where(columns < self.sinks, columns, self.sinks + (columns - self.sinks) % self.window)
    self.length += keys.shape[2]
    stays = (columns > self.length - 1 - self.window) | (columns < self.sinks)
    write(self, keys, values, positions, stays.expand_as(positions), slots.expand_as(positions))


@misconception("cache.RollingCache._store", pitfall=7, ask="Do all rows write into the same slot?")
def rows_share_their_slots(self, keys, values, positions):
    """Every row writes into the slots of the first one."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    stays = (positions >= 0) & recent(self, positions)
    write(self, keys, values, positions, stays, slots[:1].expand_as(slots).clamp(min=0))


@misconception("cache.RollingCache._store", pitfall=6, ask="Which tokens of a long prompt are sinks?")
def sinks_are_left_out_of_a_chunk(self, keys, values, positions):
    """Of a chunk only the last window is stored, so that the sinks of a long prompt are lost."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    write(self, keys, values, positions, (positions >= 0) & (positions > positions[:, -1:] - self.window), slots)


# model


@misconception("model.Block.__init__", pitfall=1, ask="Which fields of the configuration concern attention?")
def fields_stop_at_the_model(self, config):
    """Window, sinks, layout and heads of keys do not reach attention."""
    nn.Module.__init__(self)
    self.norm_attention, self.norm_mlp = make_norm(config), make_norm(config)
    self.attention = GroupedQueryAttention(config.d_model, config.n_heads, bias=config.bias)
    self.mlp = SwiGLU(config.d_model) if config.mlp == "swiglu" else MLP(config.d_model, bias=config.bias)


@misconception("model.Block.__init__", ask="How many norms does a block have?")
def one_norm_for_both_branches(self, config):
    """Both branches share one norm."""
    nn.Module.__init__(self)
    c = config
    self.norm_attention = self.norm_mlp = make_norm(c)
    self.attention = GroupedQueryAttention(c.d_model, c.n_heads, c.n_kv_heads, c.window, c.sinks, c.bias, c.layout)
    self.mlp = SwiGLU(c.d_model) if c.mlp == "swiglu" else MLP(c.d_model, bias=c.bias)


@misconception("model.Block.__init__", pitfall=1, ask="Which two parts of an old block have a bias besides attention?")
def old_mlp_keeps_its_biases(self, config):
    """The GELU MLP has biases, whatever the configuration says."""
    nn.Module.__init__(self)
    c = config
    self.norm_attention, self.norm_mlp = make_norm(c), make_norm(c)
    self.attention = GroupedQueryAttention(c.d_model, c.n_heads, c.n_kv_heads, c.window, c.sinks, c.bias, c.layout)
    self.mlp = SwiGLU(c.d_model) if c.mlp == "swiglu" else MLP(c.d_model)


def parts_of_a_model(model, config):
    """What every model has, as the reference builds it."""
    nn.Module.__init__(model)
    model.config = config
    model.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    model.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
    model.norm = make_norm(config)
    model.head = nn.Linear(config.d_model, config.vocab_size, bias=False)


@misconception("model.Transformer.__init__", pitfall=2, ask="Where does RoPE put what it knows about positions?")
def learned_positions_always(self, config):
    """There is a table of learned positions also where RoPE is asked for."""
    parts_of_a_model(self, config)
    self.positions = nn.Embedding(config.n_positions, config.d_model)
    if config.positions == "rope":
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=3, ask="How many pairs does a head have?")
def rates_as_wide_as_the_model(self, config):
    """The rates are those of d_model channels, of which each head gets the first, fastest ones."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
        self.rotary.theta = RotaryEmbedding(config.d_model, config.rope_base, config.scaling).theta[: len(self.rotary.theta)]
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=1, ask="Which fields concern the rotation?")
def base_and_scaling_are_not_used(self, config):
    """Base and scaling of the configuration do not reach the rotation."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.Transformer.__init__", pitfall=6, ask="Is it one tensor with two names, or two with the same values?")
def head_is_a_copy_of_the_table(self, config):
    """The head starts with the numbers of the token table, but is a tensor of its own."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.init_weights()
    self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())


@misconception("model.Transformer.__init__", ask="What calls init_weights?")
def start_of_the_library(self, config):
    """The weights keep the start that nn.Linear and nn.Embedding give them."""
    parts_of_a_model(self, config)
    if config.positions == "learned":
        self.positions = nn.Embedding(config.n_positions, config.d_model)
    else:
        self.rotary = RotaryEmbedding(config.d_model // config.n_heads, config.rope_base, config.scaling)
    self.head.weight = self.token_embedding.weight


def checked(model, tokens, positions, caches):
    """The argument checks of Transformer.forward, which every version keeps; the positions."""
    if tokens.ndim != 2 or tokens.is_floating_point() or tokens.dtype == torch.bool or (positions is None and caches is not None):
        raise ValueError("tokens do not fit")
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < model.config.vocab_size:
        raise ValueError("tokens outside the vocabulary")
    positions = torch.arange(tokens.shape[1]).unsqueeze(0) if positions is None else positions
    if model.config.positions == "learned" and int(positions.max()) >= model.config.n_positions:
        raise ValueError("no such position")
    return positions


def embedded(model, tokens, positions):
    """What enters the first block, and the rotation."""
    x = model.token_embedding(tokens)
    if model.config.positions == "learned":
        return x + model.positions(positions.clamp(min=0)), None
    return x, model.rotary(positions, x.dtype)


@misconception("model.Transformer.forward", pitfall=4, ask="Whose keys does layer 1 find in the cache of layer 0?")
def one_cache_for_all_layers(self, tokens, positions=None, caches=None):
    """All blocks use the first cache."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = embedded(self, tokens, positions)
    for block in self.blocks:
        x = block(x, positions, rotation, caches[0] if caches else None)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", pitfall=5, ask="What is table[−1]?")
def padding_takes_the_last_row(self, tokens, positions=None, caches=None):
    """Padding looks up row −1, which the table does not have."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = self.token_embedding(tokens), None
    if self.config.positions == "learned":
        x = x + self.positions(positions)
    else:
        rotation = self.rotary(positions, x.dtype)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", pitfall=2, ask="What do the first block's queries know about positions?")
def rotation_is_forgotten(self, tokens, positions=None, caches=None):
    """The rotation is never handed to the blocks, so that with RoPE there are no positions at all."""
    positions = checked(self, tokens, positions, caches)
    x, _ = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, None, cache)
    return self.head(self.norm(x))


@misconception("model.Transformer.forward", ask="How large is the stream behind the last block?")
def final_norm_is_missing(self, tokens, positions=None, caches=None):
    """The head reads the stream as it is, without the last norm."""
    positions = checked(self, tokens, positions, caches)
    x, rotation = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(x)


@misconception("model.Transformer.forward", ask="At which position does a token stand that comes after a cache?")
def positions_restart_with_each_call(self, tokens, positions=None, caches=None):
    """Positions are counted from 0 in every call, also behind a cache."""
    positions = checked(self, tokens, positions, caches)
    positions = torch.where(positions < 0, positions, torch.arange(tokens.shape[1]))
    x, rotation = embedded(self, tokens, positions)
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
        x = block(x, positions, rotation, cache)
    return self.head(self.norm(x))


def cache_kind(model, n_heads, batch):
    """Sizes of a cache, its dtype and device."""
    weight = model.head.weight
    return (batch, n_heads, model.config.d_model // model.config.n_heads), {"dtype": weight.dtype, "device": weight.device}


def needs_a_window(model, capacity):
    """The argument check of new_caches."""
    if capacity is None and model.config.window is None:
        raise ValueError("no window")


@misconception("model.Transformer.new_caches", pitfall=4, ask="What does [x] * 3 hold three times?")
def one_object_many_times(self, batch, capacity=None):
    """The list holds one and the same cache for every layer."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_kv_heads or c.n_heads, batch)
    if capacity is None:
        return [RollingCache(*shape, c.window, c.sinks, **kind)] * len(self.blocks)
    return [KVCache(*shape, capacity, **kind)] * len(self.blocks)


@misconception("model.Transformer.new_caches", pitfall=7, ask="How many heads do keys have?")
def caches_with_heads_of_queries(self, batch, capacity=None):
    """Caches have room for as many heads of keys as there are of queries."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_heads, batch)
    if capacity is None:
        return [RollingCache(*shape, c.window, c.sinks, **kind) for _ in self.blocks]
    return [KVCache(*shape, capacity, **kind) for _ in self.blocks]


@misconception("model.Transformer.new_caches", pitfall=1, ask="Which two numbers does a rolling cache need?")
def rolling_without_sinks(self, batch, capacity=None):
    """Rolling caches have no room for the sinks."""
    needs_a_window(self, capacity)
    c = self.config
    shape, kind = cache_kind(self, c.n_kv_heads or c.n_heads, batch)
    if capacity is None:
        return [RollingCache(*shape, c.window, **kind) for _ in self.blocks]
    return [KVCache(*shape, capacity, **kind) for _ in self.blocks]


# generate


def no_empty_prompt(prompts):
    """The argument check of pad_left."""
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError("every prompt needs a token")


def padded(prompts, left=True, counted=True):
    """Prompts side by side, with positions of their own or by column."""
    no_empty_prompt(prompts)
    time = max(map(len, prompts))
    tokens, positions = torch.zeros(len(prompts), time, dtype=torch.int64), torch.full((len(prompts), time), -1)
    for row, prompt in enumerate(prompts):
        place = slice(time - len(prompt), time) if left else slice(0, len(prompt))
        tokens[row, place] = torch.tensor(list(prompt))
        positions[row, place] = torch.arange(len(prompt)) if counted else torch.arange(time)[place]
    return tokens, positions


@misconception("generate.pad_left", ask="In which column does each row write next?")
def padded_on_the_right(prompts):
    """Padding stands on the right, so that prompts do not end in the same column."""
    return padded(prompts, left=False)


@misconception("generate.pad_left", pitfall=1, ask="Does a row's answer depend on how long the other prompts are?")
def positions_by_column(prompts):
    """Positions are columns, so that a short prompt does not begin at 0."""
    return padded(prompts, counted=False)


@misconception("generate.pad_left", pitfall=1, ask="How can attention tell padding from a token?")
def padding_has_a_position(prompts):
    """Padding has position 0 like a first token, and is seen."""
    tokens, positions = padded(prompts)
    return tokens, positions.clamp(min=0)


@misconception("generate.pad_left", ask="What kind of number can be looked up in a table?")
def tokens_of_floats(prompts):
    """Tokens are floating-point numbers, which is what torch.zeros makes."""
    tokens, positions = padded(prompts)
    return tokens.to(torch.get_default_dtype()), positions


@misconception("generate.pad_left", ask="How many rows has a batch of one prompt?")
def single_prompt_without_rows(prompts):
    """A single prompt comes back without its axis of rows."""
    tokens, positions = padded(prompts)
    return (tokens[0], positions[0]) if len(prompts) == 1 else (tokens, positions)


def chunk_size(chunk, tokens):
    """The argument check of prefill; columns to read at a time."""
    if chunk is not None and chunk < 1:
        raise ValueError("a chunk has a token")
    return chunk or tokens.shape[1]


@misconception("generate.prefill", ask="At which positions do the tokens of the second chunk stand?")
def every_chunk_at_the_start(model, tokens, positions, caches, chunk=None):
    """Every chunk gets the positions of the first one."""
    size = chunk_size(chunk, tokens)
    for piece in tokens.split(size, 1):
        logits = model(piece, positions[:, : piece.shape[1]], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="How many columns are left when 7 are read by 3?")
def last_chunk_is_dropped(model, tokens, positions, caches, chunk=None):
    """A last chunk that is short is left out."""
    size = min(chunk_size(chunk, tokens), tokens.shape[1])
    for start in range(0, tokens.shape[1] - size + 1, size):
        logits = model(tokens[:, start : start + size], positions[:, start : start + size], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="Which column does the next token follow?")
def logits_of_the_first_column(model, tokens, positions, caches, chunk=None):
    """The logits are those behind the first column of the last chunk."""
    size = chunk_size(chunk, tokens)
    for piece, places in zip(tokens.split(size, 1), positions.split(size, 1), strict=True):
        logits = model(piece, places, caches)
    return logits[:, 0]


@misconception("generate.prefill", ask="How many scores does a head have at once?")
def chunk_is_not_used(model, tokens, positions, caches, chunk=None):
    """The prompt is read at once, whatever the chunk."""
    chunk_size(chunk, tokens)
    return model(tokens, positions, caches)[:, -1]


def writing_on(
    model, prompts, count, sampling, stop, chunk, rolling, generator,
    next_positions=lambda positions, step, width: positions[:, -1:] + 1,
    keep=lambda token, stop: token != stop,
    drawn_rows=None, last=False, training=False, gradients=False, seen_prompt=True,
):  # fmt: skip
    """The loop of the reference, with one thing changed."""
    tokens, positions = pad_left(prompts)
    width, mode = tokens.shape[1], model.training
    present = torch.zeros(len(prompts), model.config.vocab_size, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        present[row, list(prompt)] = seen_prompt
    answers, writing = [[] for _ in prompts], list(range(len(prompts)))
    model.train(training)
    with torch.set_grad_enabled(gradients):
        caches = model.new_caches(len(prompts), None if rolling else width + count + 1)
        for step in range(count):
            logits = prefill(model, tokens, positions, caches, chunk if step == 0 else None)
            rows = drawn_rows or writing
            chances = next_token_probabilities(logits[rows], sampling, present[rows])
            drawn = chances.multinomial(1, generator=generator)
            tokens, positions = torch.zeros(len(prompts), 1, dtype=torch.int64), next_positions(positions, step, width)
            tokens[rows] = drawn
            for row in list(writing):
                token = int(tokens[row])
                if token == stop:
                    writing.remove(row)
                if keep(token, stop):
                    answers[row].append(token)
                    present[row, token] = True
            if not writing:
                break
        if last and count:
            prefill(model, tokens, positions, caches)
    model.train(mode)
    return answers


@misconception("generate.generate", pitfall=2, ask="At which position does the first new token stand?")
def every_step_at_position_zero(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """New tokens are counted from 0 and not from the end of their prompt."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], step)
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, count_on)


@misconception("generate.generate", pitfall=1, ask="Where does the next token of a short prompt stand?")
def next_positions_by_column(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The next position is the number of columns, the same in every row, so that short prompts skip some."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], width + step)
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, count_on)


@misconception("generate.generate", pitfall=3, ask="Which token has the model not read yet, when the prompt is read?")
def last_token_is_fed_twice(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The last token of the prompt is read with the prompt, and once more as the first step."""
    longer = [[*prompt, prompt[-1]] for prompt in prompts]
    no_empty_prompt(prompts)
    with evaluating(model):
        return writing_on(model, longer, max_new_tokens, sampling, stop_token, chunk, rolling, generator)


@misconception("generate.generate", pitfall=4, ask="What are the logits behind the last token for?")
def one_pass_too_many(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The last token is read too, though nothing is written after it."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, last=True)


@misconception("generate.generate", pitfall=5, ask="Is the stop token a part of the answer?")
def stop_token_in_the_answer(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The stop token stands at the end of the answer."""
    with evaluating(model):
        return writing_on(
            model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, keep=lambda token, stop: True
        )


@misconception("generate.generate", pitfall=6, ask="How many numbers are drawn for three rows, when one is done?")
def rows_that_are_done_draw_on(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """Rows that are done still draw, so that the others draw something else than without a cache."""
    everyone = list(range(len(prompts)))
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, drawn_rows=everyone)


@misconception("generate.generate", pitfall=6, ask="Whose chance is it, if a generator is passed in?")
def generator_is_not_used(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """Tokens are drawn with PyTorch's own chance."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, None)


@misconception("generate.generate", ask="Which tokens does the penalty fall on?")
def prompt_does_not_count_as_text(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The repetition penalty falls on new tokens alone, and not on those of the prompt."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, seen_prompt=False)


@misconception("generate.generate", pitfall=7, ask="What is model.training while a text is written?")
def writes_in_training_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The model writes in training mode, as it was."""
    return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, training=model.training)


@misconception("generate.generate", pitfall=7, ask="What is model.training afterwards?")
def left_in_evaluation_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The model is left in evaluation mode."""
    model.eval()
    return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator)


@misconception("generate.generate", ask="What is in the cache when the second token is written?")
def nothing_is_cached(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The whole text is read again for every token, with caches that are thrown away."""
    no_empty_prompt(prompts)
    answers, writing = [[] for _ in prompts], list(range(len(prompts)))
    with evaluating(model), torch.no_grad():
        for _ in range(max_new_tokens):
            texts = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
            tokens, positions = pad_left(texts)
            caches = model.new_caches(len(prompts), None if rolling else tokens.shape[1])
            logits = prefill(model, tokens, positions, caches, chunk)
            present = torch.zeros(len(prompts), logits.shape[1], dtype=torch.bool)
            for row, text in enumerate(texts):
                present[row, text] = True
            drawn = next_token_probabilities(logits[writing], sampling, present[writing]).multinomial(1, generator=generator)
            for row, token in zip(list(writing), drawn.flatten().tolist(), strict=True):
                writing.remove(row) if token == stop_token else answers[row].append(token)
            if not writing:
                break
    return answers


# ablation


@misconception("ablation.ablation_rows", pitfall=1, ask="What does a row with two changes show?")
def norm_row_drops_biases_too(config):
    """The row of the norm drops the biases along with the mean, so that two fields differ."""
    modern = {"norm": "rmsnorm", "mlp": "swiglu", "positions": "rope"}
    baseline = replace(config, norm="layernorm", mlp="gelu", positions="learned")
    rows = {"baseline": (), **{name: (name,) for name in modern}, "norm + mlp": ("norm", "mlp"), "all": tuple(modern)}
    return {
        row: replace(baseline, **{name: modern[name] for name in names}, bias=config.bias and "norm" not in names)
        for row, names in rows.items()
    }


@misconception("ablation.ablation_rows", pitfall=1, ask="What is the baseline's MLP, if the configuration asks for SwiGLU?")
def baseline_is_the_configuration(config):
    """The baseline is the configuration as it stands, modern parts included."""
    modern = {"norm": "rmsnorm", "mlp": "swiglu", "positions": "rope"}
    rows = {"baseline": (), **{name: (name,) for name in modern}, "norm + mlp": ("norm", "mlp"), "all": tuple(modern)}
    return {row: replace(config, **{name: modern[name] for name in names}) for row, names in rows.items()}


def trained_row(row, build, seed, next_batch, validation, config, own_generator=True, seeded=True, all_steps=False, count=True):
    """train_row of the reference, with one thing changed."""
    if seeded:
        torch.manual_seed(seed)
    model, ticks, counts = build(), [], []

    def watched(generator):
        batch = next_batch(generator if own_generator else torch.default_generator)
        ticks.append(time.process_time())
        counts.append(batch[0].numel() + (counts[-1] if counts and count else 0))
        return batch

    history = train(model, watched, config, validation, torch.Generator().manual_seed(seed))
    measured = [record for record in history if record.validation is not None]
    pairs = zip(history, ticks, ticks[1:], strict=False)
    seconds = [after - before for record, before, after in pairs if all_steps or record.validation is None]
    return Run(
        row, seed, sum(parameter.numel() for parameter in model.parameters()),
        tuple(record.step for record in measured), tuple(counts[record.step - 1] for record in measured),
        tuple(record.validation for record in measured), tuple(record.gradient_norm for record in history),
        statistics.median(seconds) if seconds else math.nan,
    )  # fmt: skip


@misconception("ablation.train_row", pitfall=2, ask="How many numbers does each model draw for its start?")
def one_source_of_chance(row, build, seed, next_batch, validation, config):
    """Batches are drawn from the chance that the start has used, so that a larger model gets other batches."""
    return trained_row(row, build, seed, next_batch, validation, config, own_generator=False)


@misconception("ablation.train_row", pitfall=2, ask="What does the seed decide?")
def start_is_not_seeded(row, build, seed, next_batch, validation, config):
    """The seed decides about batches alone, and not about the start."""
    return trained_row(row, build, seed, next_batch, validation, config, seeded=False)


@misconception("ablation.train_row", pitfall=6, ask="What happens between two steps, if the loss is measured?")
def time_with_the_measurements(row, build, seed, next_batch, validation, config):
    """The time of a step includes the measurement of held-out loss."""
    return trained_row(row, build, seed, next_batch, validation, config, all_steps=True)


@misconception("ablation.train_row", ask="On how many tokens was the model trained after two steps?")
def tokens_of_one_batch(row, build, seed, next_batch, validation, config):
    """Tokens are those of one batch, and not counted up."""
    return trained_row(row, build, seed, next_batch, validation, config, count=False)


@misconception("ablation.steps_to", ask="Does it count that the loss rises again?")
def last_step_that_reaches_it(run, target):
    """The last step at or below the target counts, or the step after which it stays there."""
    return next((step for step, loss in reversed(list(zip(run.steps, run.losses, strict=True))) if loss <= target), None)


@misconception("ablation.steps_to", ask="Is a loss that equals the target low enough?")
def target_must_be_undercut(run, target):
    """The loss has to be less than the target."""
    return next((step for step, loss in zip(run.steps, run.losses, strict=True) if loss < target), None)


@misconception("ablation.steps_to", pitfall=4, ask="When did a run reach the target that never did?")
def never_is_the_last_step(run, target):
    """A run that never reaches the target is said to have reached it at its last step."""
    return next((step for step, loss in zip(run.steps, run.losses, strict=True) if loss <= target), run.steps[-1])


def summed_up(runs, baseline, one_target=False, drop_never=False, of_rows=False, population=False, best=False):
    """summarise of the reference, with one thing changed."""
    if not runs:
        raise ValueError("no run")
    last = lambda run: min(run.losses) if best else run.losses[-1]
    spread = lambda values: (statistics.pstdev(values) if population else _deviation(values)) if len(values) > 1 else None
    anchors, lines = {run.seed: run for run in runs if run.row == baseline}, []
    for row in dict.fromkeys(run.row for run in runs):
        mine = [run for run in runs if run.row == row]
        pairs = [(run, anchors[run.seed]) for run in mine if run.seed in anchors and row != baseline]
        finals, differences = [last(run) for run in mine], [last(run) - last(anchor) for run, anchor in pairs]
        target = statistics.mean(last(anchor) for anchor in anchors.values()) if anchors else None
        reached = [(steps_to(run, target if one_target else last(anchor)), anchor.steps[-1]) for run, anchor in pairs]
        shares = [None if step is None else step / total for step, total in reached]
        norms = [norm for run in mine for norm in run.gradient_norms]
        lines.append(
            Summary(
                row, len(mine), mine[0].parameters, statistics.mean(finals), spread(finals),
                statistics.mean(differences) if differences else None,
                spread([last(run) for run, _ in pairs] if of_rows else differences), max(differences, default=None),
                tuple(s for s in shares if s is not None or not drop_never), statistics.median(norms), max(norms),
                statistics.median(run.seconds_per_step for run in mine),
            )
        )  # fmt: skip
    return lines


@misconception("ablation.summarise", pitfall=3, ask="Whose last loss should seed 1 reach?")
def one_target_for_all_seeds(runs, baseline="baseline"):
    """Every seed has to reach the mean of the baseline's last losses."""
    return summed_up(runs, baseline, one_target=True)


@misconception("ablation.summarise", pitfall=4, ask="What does the best seed say about the others?")
def seeds_that_never_got_there_are_dropped(runs, baseline="baseline"):
    """Seeds that never reach their target are left out."""
    return summed_up(runs, baseline, drop_never=True)


@misconception("ablation.summarise", pitfall=5, ask="Do row and baseline of one seed share their batches?")
def deviation_of_the_row(runs, baseline="baseline"):
    """The deviation of the row's own losses stands where that of the differences is asked for."""
    return summed_up(runs, baseline, of_rows=True)


@misconception("ablation.summarise", pitfall=5, ask="Three seeds are a sample of how many?")
def deviation_of_a_population(runs, baseline="baseline"):
    """Deviations divide by n, as if there were no other seeds."""
    return summed_up(runs, baseline, population=True)


@misconception("ablation.summarise", ask="Which loss does the model end with?")
def best_loss_for_the_last(runs, baseline="baseline"):
    """The lowest loss of a run counts, and not its last one."""
    return summed_up(runs, baseline, best=True)
