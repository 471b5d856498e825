"""These are other right versions of parts of block.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate


@alternate("block.Block.forward")
def branches_named(self, x, mask=None):
    """Each branch has a name, and the stream stands second in the sum."""
    gathered = self.dropout(self.attention(self.norm_attention(x), mask=mask))
    stream = torch.add(gathered, x)
    thought = self.mlp(self.norm_mlp(stream))
    return thought + stream
