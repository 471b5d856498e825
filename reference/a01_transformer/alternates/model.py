"""These are other right versions of parts of model.py. The tolerances allow for all of these routes."""

import math

import torch
from torch import nn

from tools.author.cases import alternate


@alternate("model.GPT.init_weights")
def start_module_by_module(self):
    """Module by module, by kind, and the ends of branches once more."""
    config = self.config
    for module in self.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=config.init_std)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        elif type(module).__name__ == "LayerNorm":
            module.weight.data.fill_(1)
            if module.bias is not None:
                module.bias.data.fill_(0)
    nn.init.normal_(self.positions.weight, std=config.init_std)
    with torch.no_grad():
        for block in self.blocks:
            block.attention.proj.weight.normal_(0, config.init_std / math.sqrt(2 * config.n_layers))
            block.mlp.contract.weight.normal_(0, config.init_std / math.sqrt(2 * config.n_layers))
