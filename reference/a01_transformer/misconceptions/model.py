"""These are wrong versions of parts of model.py, one mistake each. A docstring is the hint that a student reads."""

import math

import torch
from torch import nn

from tools.author.cases import misconception

from .block import Block
from .layers import LayerNorm


@misconception("model.GPT.forward", pitfall=1, ask="How large is the stream behind the last block?")
def final_norm_is_missing(self, tokens):
    """The head reads the stream as it is, without the last norm."""
    refuse(self, tokens)
    x = self.dropout(self.positions(self.token_embedding(tokens)))
    for block in self.blocks:
        x = block(x)
    return self.head(x)


def refuse(model, tokens):
    """The argument checks of GPT.forward, which every version keeps."""
    fits = tokens.ndim == 2 and not tokens.is_floating_point() and tokens.shape[1] <= model.config.n_positions
    if not fits or ((tokens < 0) | (tokens >= model.config.vocab_size)).any():
        raise ValueError("tokens do not fit")


@misconception("model.GPT.forward", pitfall=4, ask="Which parameters get no gradient?")
def positions_are_forgotten(self, tokens):
    """The position vectors are never added."""
    refuse(self, tokens)
    x = self.dropout(self.token_embedding(tokens))
    for block in self.blocks:
        x = block(x)
    return self.head(self.norm(x))


@misconception("model.GPT.forward", pitfall=4, ask="What is self.dropout for?")
def embedding_is_not_dropped(self, tokens):
    """There is no dropout on the sum of token and position vectors."""
    refuse(self, tokens)
    x = self.positions(self.token_embedding(tokens))
    for block in self.blocks:
        x = block(x)
    return self.head(self.norm(x))


@misconception("model.GPT.forward", ask="What does the handout's figure show behind the last block, and what between blocks?")
def norm_behind_every_block(self, tokens):
    """The last norm acts behind every block."""
    refuse(self, tokens)
    x = self.dropout(self.positions(self.token_embedding(tokens)))
    for block in self.blocks:
        x = self.norm(block(x))
    return self.head(x)


@misconception("model.GPT.__init__", pitfall=2, ask="Is it one tensor with two names, or two tensors with the same values?")
def head_is_a_copy_of_the_table(self, config):
    """The head starts with the numbers of the token table, but is a tensor of its own."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList(
        Block(config.d_model, config.n_heads, config.dropout, config.bias) for _ in range(config.n_layers)
    )
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.init_weights()
    self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())


@misconception("model.GPT.__init__", pitfall=8, ask="How many different blocks are there?")
def one_block_many_times(self, config):
    """The stack is one and the same block, many times."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList([Block(config.d_model, config.n_heads, config.dropout, config.bias)] * config.n_layers)
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.GPT.__init__", pitfall=7, ask="What does list(model.parameters()) show?")
def blocks_in_a_plain_list(self, config):
    """The blocks are in a plain list, so that the model does not know their parameters."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = [Block(config.d_model, config.n_heads, config.dropout, config.bias) for _ in range(config.n_layers)]
    self.norm = LayerNorm(config.d_model, bias=config.bias)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


@misconception("model.GPT.__init__", ask="Which arguments does a block take, besides its sizes?")
def configuration_stays_in_the_model(self, config):
    """Dropout and bias of the configuration do not reach the blocks."""
    nn.Module.__init__(self)
    self.config = config
    self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
    self.positions = LearnedPositions(config.n_positions, config.d_model)
    self.dropout = nn.Dropout(config.dropout)
    self.blocks = nn.ModuleList(Block(config.d_model, config.n_heads) for _ in range(config.n_layers))
    self.norm = LayerNorm(config.d_model)
    self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    self.head.weight = self.token_embedding.weight
    self.init_weights()


def start(model, residual_std, vectors=True):
    """GPT-2's start with another deviation where a branch ends."""
    for name, parameter in model.named_parameters():
        if name.endswith(("attention.proj.weight", "mlp.contract.weight")):
            nn.init.normal_(parameter, std=residual_std)
        elif parameter.ndim == 2:
            nn.init.normal_(parameter, std=model.config.init_std)
        elif vectors:
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)


@misconception("model.GPT.init_weights", pitfall=3, ask="How does the variance of the stream grow from block to block?")
def residual_scale_is_missing(self):
    """Where a branch ends, the weights start as large as everywhere."""
    start(self, self.config.init_std)


@misconception("model.GPT.init_weights", pitfall=3, ask="How many branches add to the stream in N blocks?")
def residual_scale_counts_blocks(self):
    """Where a branch ends, the deviation is init_std / √N."""
    start(self, self.config.init_std / math.sqrt(self.config.n_layers))


@misconception("model.GPT.init_weights", pitfall=6, ask="What does a norm with weight 0.02 do to what it reads?")
def norms_are_drawn_at_random(self):
    """Everything that is called weight is drawn at random, norms included."""
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers))
    for name, parameter in self.named_parameters():
        if parameter.ndim == 1 and name.endswith("weight"):
            nn.init.normal_(parameter, std=self.config.init_std)


@misconception("model.GPT.init_weights", ask="What are the biases of a fresh nn.Linear?")
def vectors_are_left_alone(self):
    """Biases and norms keep what they had before."""
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers), vectors=False)


@misconception("model.GPT.init_weights", pitfall=6, ask="What kind of module is self.positions?")
def positions_keep_their_own_start(self):
    """A loop over linear layers and embeddings does not meet the position table."""
    before = self.positions.weight.detach().clone()
    start(self, self.config.init_std / math.sqrt(2 * self.config.n_layers))
    with torch.no_grad():
        self.positions.weight.copy_(before)


@misconception("model.GPT.n_parameters", pitfall=5, ask="How many tensors are there for the two names?")
def shared_table_is_counted_twice(self, include_positions=True):
    """The shared table is counted under both of its names."""
    total = sum(parameter.numel() for _, parameter in self.named_parameters(remove_duplicate=False))
    return total if include_positions else total - self.positions.weight.numel()
