"""These are wrong versions of parts of layers.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
from torch import nn

from tools.author.cases import misconception

from .layers import kaiming_normal_, truncated_normal_


def cut_normal_(weight, std, cut, generator):
    """Normal numbers of deviation std, those beyond cut · std drawn again."""
    with torch.no_grad():
        weight.normal_(0, std, generator=generator)
        while (beyond := weight.abs() > cut * std).any():
            weight[beyond] = torch.empty(int(beyond.sum())).to(weight).normal_(0, std, generator=generator)
    return weight


def check_cut(std, cut):
    """The argument checks of truncated_normal_, which every version keeps."""
    if std <= 0 or cut <= 0:
        raise ValueError("not positive")


@misconception("layers.truncated_normal_", pitfall=4, ask="What is the deviation of what is left after the cut?")
def cut_and_too_small(weight, std, cut=2.0, generator=None):
    """The tails are cut off and nothing makes up for it, so the deviation is 0.88 of what was asked for."""
    check_cut(std, cut)
    return cut_normal_(weight, std, cut, generator)


@misconception("layers.truncated_normal_", pitfall=5, ask="How many numbers are equal to the largest one?")
def tails_are_heaped_on_the_edges(weight, std, cut=2.0, generator=None):
    """Numbers in the tails are moved to the edge instead of being left out."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    wide = std / math.sqrt(1 - 2 * cut * density / inside)
    with torch.no_grad():
        return weight.normal_(0, wide, generator=generator).clamp_(-cut * wide, cut * wide)


@misconception("layers.truncated_normal_", ask="How far out does the largest of 50,000 normal numbers lie?")
def tails_stay(weight, std, cut=2.0, generator=None):
    """The numbers are plain normal ones; nothing is cut off."""
    check_cut(std, cut)
    with torch.no_grad():
        return weight.normal_(0, std, generator=generator)


@misconception("layers.truncated_normal_", ask="In which units is `cut` measured?")
def cut_is_a_number_of_its_own(weight, std, cut=2.0, generator=None):
    """The cut is made at the number `cut` itself instead of so many deviations."""
    check_cut(std, cut)
    return cut_normal_(weight, std, cut / std, generator)


@misconception("layers.truncated_normal_", ask="What is the shape of a bell?")
def flat_instead_of_a_bell(weight, std, cut=2.0, generator=None):
    """The numbers are spread evenly; they have the right deviation and not the shape."""
    check_cut(std, cut)
    with torch.no_grad():
        return weight.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)


@misconception("layers.truncated_normal_", ask="Where do the numbers come from, if a generator was given?")
def generator_is_not_used(weight, std, cut=2.0, generator=None):
    """The generator that was given is passed over, and the global one is used up instead."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    kept = math.sqrt(1 - 2 * cut * density / inside)
    with torch.no_grad():
        return weight.copy_(torch.empty(weight.shape).uniform_(-inside, inside).erfinv().mul_(math.sqrt(2) * std / kept))


@misconception("layers.truncated_normal_", ask="Which tensor does the layer keep?")
def new_tensor_is_returned(weight, std, cut=2.0, generator=None):
    """The numbers are in a new tensor, and the one that was to be filled is as it was."""
    check_cut(std, cut)
    inside = math.erf(cut / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    kept = math.sqrt(1 - 2 * cut * density / inside)
    weight.detach().zero_()  # a layer's new memory holds whatever was there before, which no two recordings would share
    return torch.empty_like(weight).detach().uniform_(-inside, inside, generator=generator).erfinv() * (math.sqrt(2) * std / kept)


@misconception("layers.kaiming_normal_", pitfall=2, ask="How many products does each output add up?")
def fan_out_for_fan_in(weight, gain=math.sqrt(2), generator=None):
    """The number of outputs is counted instead of the number of inputs."""
    with torch.no_grad():
        return weight.normal_(0, gain / math.sqrt(weight.shape[0]), generator=generator)


@misconception("layers.kaiming_normal_", pitfall=3, ask="What does normal_ want: a deviation or a variance?")
def variance_for_deviation(weight, gain=math.sqrt(2), generator=None):
    """The variance is handed to a function that wants the deviation."""
    with torch.no_grad():
        return weight.normal_(0, gain**2 / weight.shape[1], generator=generator)


@misconception("layers.kaiming_normal_", ask="What comes after the layer?")
def gain_is_left_out(weight, gain=math.sqrt(2), generator=None):
    """The gain plays no part, as if nothing came after the layer."""
    with torch.no_grad():
        return weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)


@misconception("layers.kaiming_normal_", ask="Which of He's two distributions has this name?")
def uniform_of_the_same_variance(weight, gain=math.sqrt(2), generator=None):
    """The numbers are spread evenly; their variance is right, and they are not normal."""
    edge = math.sqrt(3) * gain / math.sqrt(weight.shape[1])
    with torch.no_grad():
        return weight.uniform_(-edge, edge, generator=generator)


@misconception("layers.kaiming_normal_", ask="Where do the numbers come from, if a generator was given?")
def kaiming_passes_its_generator_over(weight, gain=math.sqrt(2), generator=None):
    """The generator that was given is passed over."""
    with torch.no_grad():
        return weight.normal_(0, gain / math.sqrt(weight.shape[1]))


@misconception("layers.Linear", pitfall=1, ask="What does the table say about the shape of `weight`?")
class WeightAsInOut(nn.Module):
    """The weight is (d_in, d_out), so that other people's weights do not fit."""

    def __init__(self, d_in, d_out, bias=False, init="truncated", generator=None):
        super().__init__()
        if init not in ("truncated", "kaiming"):
            raise ValueError("no such start")
        self.weight = nn.Parameter(torch.empty(d_in, d_out))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
        if init == "kaiming":
            kaiming_normal_(self.weight.mT, generator=generator)
        else:
            truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)

    def forward(self, x):
        if x.shape[-1:] != self.weight.shape[:1]:
            raise ValueError("another width")
        out = x @ self.weight
        return out if self.bias is None else out + self.bias


def check_init(init):
    """The argument check of Linear, which every version keeps."""
    if init not in ("truncated", "kaiming"):
        raise ValueError("no such start")


@misconception("layers.Linear.__init__", pitfall=6, ask="What does state_dict() hold?")
def weight_is_no_parameter(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The weight is a plain tensor, which neither the optimiser nor the state dict knows of."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = torch.empty(d_out, d_in, requires_grad=True)
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What was asked for?")
def bias_unless_told_otherwise(self, d_in, d_out, bias=True, init="truncated", generator=None):
    """There is a bias although none was asked for."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What does layer.bias give, where there is none?")
def no_attribute_without_a_bias(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """Without a bias the attribute is missing, and whoever asks for it gets an error."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    if bias:
        self.bias = nn.Parameter(torch.zeros(d_out))
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=7, ask="What should an untrained bias add?")
def bias_starts_at_random(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The bias starts at random numbers instead of 0."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.randn(d_out, generator=generator)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.__init__", pitfall=2, ask="How many products does each output add up?")
def start_goes_by_the_outputs(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The deviation of the truncated initialisation is 1/√d_out."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    if init == "kaiming":
        kaiming_normal_(self.weight, generator=generator)
    else:
        truncated_normal_(self.weight, 1 / math.sqrt(d_out), generator=generator)


@misconception("layers.Linear.__init__", ask="What is `init` for?")
def one_start_for_all(self, d_in, d_out, bias=False, init="truncated", generator=None):
    """The initialisation is the truncated one, whatever was asked for."""
    nn.Module.__init__(self)
    check_init(init)
    self.weight = nn.Parameter(torch.empty(d_out, d_in))
    self.register_parameter("bias", nn.Parameter(torch.zeros(d_out)) if bias else None)
    truncated_normal_(self.weight, 1 / math.sqrt(d_in), generator=generator)


@misconception("layers.Linear.forward", ask="Which of the two was added?")
def bias_is_never_added(self, x):
    """The bias is there and is not added."""
    if x.shape[-1:] != self.weight.shape[1:]:
        raise ValueError("another width")
    return x @ self.weight.mT


@misconception("layers.Linear.forward", ask="How many axes may x have?")
def only_a_batch_of_rows(self, x):
    """Only inputs with two axes are taken."""
    if x.shape[-1:] != self.weight.shape[1:]:
        raise ValueError("another width")
    out = torch.mm(x, self.weight.mT)
    return out if self.bias is None else out + self.bias


@misconception("layers.Embedding.forward", pitfall=8, ask="What is the element −1 of a list?")
def tokens_count_from_the_end(self, tokens):
    """A token below 0 picks a row from the end of the table."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and tokens.max() >= self.weight.shape[0]:
        raise ValueError("no such token")
    return self.weight[tokens.long()]


@misconception("layers.Embedding.forward", ask="Which is the last row of a table of n?")
def first_token_too_many_is_let_through(self, tokens):
    """The token vocab_size is taken for the last one, and PyTorch's own error comes out."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() > self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight[tokens.long()]


@misconception("layers.Embedding.forward", pitfall=8, ask="What does torch make of booleans as an index?")
def whatever_becomes_a_whole_number(self, tokens):
    """Fractions and booleans are turned into whole numbers without a word."""
    tokens = tokens.long()
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight[tokens]


@misconception("layers.Embedding.forward", ask="What does .data cut off?")
def table_does_not_learn(self, tokens):
    """The rows are looked up beside the graph, so the table gets no gradient."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    return self.weight.data[tokens.long()]


@misconception("layers.Embedding.forward", ask="How often may a token occur?")
def repeated_token_learns_once(self, tokens):
    """A token that occurs several times passes back one gradient alone."""
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError("no whole numbers")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= self.weight.shape[0]):
        raise ValueError("no such token")
    flat, out = tokens.long().flatten(), self.weight.detach()[tokens.long()].flatten(0, -2 if tokens.ndim else -1).clone()
    if tokens.ndim == 0:
        return self.weight[tokens.long()]
    for token in flat.unique():
        first = int((flat == token).nonzero()[0])
        out = torch.cat([out[:first], self.weight[token][None], out[first + 1 :]])
    return out.view(*tokens.shape, -1)


@misconception("layers.Embedding.__init__", ask="What is `std` for?")
def table_starts_at_deviation_one(self, vocab_size, d_model, std=1.0, generator=None):
    """The table starts with deviation 1, whatever was asked for."""
    nn.Module.__init__(self)
    self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
    truncated_normal_(self.weight, 1.0, generator=generator)


@misconception("layers.Embedding.__init__", ask="Which initialisation does the table name?")
def table_starts_with_tails(self, vocab_size, d_model, std=1.0, generator=None):
    """The table starts from plain normal numbers, whose tails are not cut off."""
    nn.Module.__init__(self)
    self.weight = nn.Parameter(torch.randn(vocab_size, d_model, generator=generator) * std)
