"""Other right versions of parts of this assignment, each by another route, so that tolerances allow for all of them.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import math

import torch
from torch import nn

from tools.author.cases import alternate

from .attention import causal_mask, scaled_dot_product_attention
from .layers import gelu, gelu_tanh


@alternate("positions.sinusoidal_positions")
def rates_by_exponential(n_positions, d_model, base=10_000.0, dtype=None):
    """The rates are exponentials of a logarithm, and the table is filled slice by slice."""
    if d_model % 2:
        raise ValueError(f"d_model must be even; got {d_model}")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    wide = torch.promote_types(dtype, torch.float32)
    rates = torch.exp(torch.arange(0, d_model, 2, dtype=wide) * (-math.log(base) / d_model))
    table = torch.empty(n_positions, d_model, dtype=wide)
    table[:, 0::2] = torch.sin(torch.arange(n_positions, dtype=wide).unsqueeze(1) * rates)
    table[:, 1::2] = torch.cos(torch.arange(n_positions, dtype=wide).unsqueeze(1) * rates)
    return table.to(dtype)


@alternate("positions.LearnedPositions.forward")
def rows_by_lookup(self, x, offset=0):
    """The rows are looked up one by one, as those of an embedding are."""
    time = x.shape[-2]
    if offset < 0 or offset + time > self.n_positions:
        raise ValueError(f"the table has no positions {offset} to {offset + time - 1}")
    return self.weight.index_select(0, torch.arange(offset, offset + time, device=x.device)).expand_as(x) + x


@alternate("attention.causal_mask")
def mask_by_tril(n_queries, n_keys=None, device=None):
    """Ones below a shifted diagonal."""
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"more queries than keys: {n_queries} and {n_keys}")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


@alternate("attention.scaled_dot_product_attention")
def einsum_with_an_additive_mask(q, k, v, mask=None):
    """Einsum; the query is scaled beforehand, the mask is added as −∞, and the softmax is written out."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("inputs do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = torch.einsum("...qd,...kd->...qk", q.to(dtype) * q.shape[-1] ** -0.5, k.to(dtype))
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=dtype, device=q.device).masked_fill(~mask, -math.inf)
    highest = scores.amax(dim=-1, keepdim=True).detach().clamp_min(torch.finfo(dtype).min)
    powers = torch.exp(scores - highest)
    total = powers.sum(dim=-1, keepdim=True)
    weights = (powers / torch.where(total == 0, torch.ones_like(total), total)).to(q.dtype)
    return torch.einsum("...qk,...kv->...qv", weights, v), weights


@alternate("attention.scaled_dot_product_attention")
def softmax_from_logsumexp(q, k, v, mask=None):
    """Queries and keys each take half of the scale; weights are the exponential of score minus logsumexp."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("inputs do not fit")
    dtype = torch.promote_types(q.dtype, torch.float32)
    root = q.shape[-1] ** 0.25
    scores = torch.matmul(q.to(dtype) / root, (k.to(dtype) / root).transpose(-1, -2))
    if mask is not None:
        blind = ~mask.any(dim=-1, keepdim=True)
        scores = torch.where(mask | blind, scores, torch.full_like(scores, -math.inf))
    weights = torch.exp(scores - scores.logsumexp(dim=-1, keepdim=True))
    if mask is not None:
        weights = weights * ~blind
    return torch.matmul(weights, v.to(dtype)).to(q.dtype), weights.to(q.dtype)


@alternate("attention.SingleHeadAttention.forward")
def one_matrix_for_three(self, x):
    """The three projections are one product with the matrices on top of each other."""
    q, k, v = torch.split(
        x @ torch.cat([self.query.weight, self.key.weight, self.value.weight]).mT, self.query.out_features, dim=-1
    )
    time = x.shape[-2]
    return scaled_dot_product_attention(q, k, v, causal_mask(time, time, x.device))[0]


@alternate("attention.MultiHeadAttention.forward")
def thirds_by_chunk(self, x, mask=None, return_weights=False):
    """Thirds by chunk, heads by view and transpose, contiguous copies, and dropout on the weights whatever the mode."""
    time, shape = x.shape[-2], (*x.shape[:-1], self.n_heads, self.head_dim)
    q, k, v = (third.reshape(shape).transpose(-2, -3).contiguous() for third in self.qkv(x).chunk(3, dim=-1))
    mask = causal_mask(time, device=x.device) if mask is None else mask
    _, weights = scaled_dot_product_attention(q, k, v, mask[..., None, :, :])
    out = self.dropout(weights) @ v
    out = self.proj(out.transpose(-2, -3).reshape(x.shape))
    return (out, weights) if return_weights else out


@alternate("attention.MultiHeadAttention")
class ThreeSlicesOfOneMatrix(nn.Module):
    """Queries, keys and values come from three slices of the matrix, and the heads by einsum."""

    def __init__(self, d_model, n_heads, dropout=0.0, bias=True):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"{n_heads} heads do not divide {d_model} channels")
        self.n_heads, self.p = n_heads, dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias)
        self.proj = nn.Linear(d_model, d_model, bias)

    def forward(self, x, mask=None, return_weights=False):
        *_, time, d = x.shape
        thirds = []
        for i in range(3):
            third = x @ self.qkv.weight[i * d : (i + 1) * d].T
            if self.qkv.bias is not None:
                third = third + self.qkv.bias[i * d : (i + 1) * d]
            thirds.append(third.reshape(*x.shape[:-1], self.n_heads, d // self.n_heads))
        q, k, v = thirds
        mask = causal_mask(time, device=x.device) if mask is None else mask
        heads = [q.movedim(-2, -3), k.movedim(-2, -3), v.movedim(-2, -3)]
        _, weights = scaled_dot_product_attention(*heads, mask.unsqueeze(-3))
        kept = nn.functional.dropout(weights, self.p, self.training)
        out = self.proj(torch.einsum("...hqk,...khd->...qhd", kept, v).reshape(x.shape))
        return (out, weights) if return_weights else out


@alternate("layers.LayerNorm.forward")
def statistics_by_var(self, x):
    """Variance by torch.var with correction 0, and a division by its root."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    out = (wide - wide.mean(-1, keepdim=True)) / torch.sqrt(wide.var(-1, correction=0, keepdim=True) + self.eps)
    out = self.weight * out
    if self.bias is not None:
        out = out + self.bias
    return out.to(x.dtype)


@alternate("layers.LayerNorm.forward")
def mean_of_squares_in_double(self, x):
    """Mean square minus squared mean, in float64, where that is no loss."""
    if x.shape[-1] != len(self.weight):
        raise ValueError(f"expected {len(self.weight)} channels; got shape {tuple(x.shape)}")
    wide = x.double()
    mean = wide.mean(-1, keepdim=True)
    variance = (wide.pow(2).mean(-1, keepdim=True) - mean.pow(2)).clamp_min(0)
    out = (wide - mean) * (variance + self.eps).pow(-0.5)
    out = out * self.weight + (0 if self.bias is None else self.bias)
    return out.to(x.dtype)


@alternate("layers.gelu")
def gelu_by_ndtr(x):
    """The distribution function as torch.special has it."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.special.ndtr(wide)).to(x.dtype)


@alternate("layers.gelu_tanh")
def tanh_as_sigmoid(x):
    """(1 + tanh u) / 2 is the sigmoid of 2u, and the cube is factored out."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid((8 / math.pi) ** 0.5 * wide * (1 + 0.044715 * wide * wide))).to(x.dtype)


@alternate("layers.MLP.forward")
def products_written_out(self, x):
    """The linear layers as products with their transposed weights."""
    hidden = x @ self.expand.weight.T
    if self.expand.bias is not None:
        hidden = hidden + self.expand.bias
    hidden = {"tanh": gelu_tanh, "none": gelu}[self.approximate](hidden)
    out = hidden @ self.contract.weight.T
    return self.dropout(out if self.contract.bias is None else out + self.contract.bias)


@alternate("block.Block.forward")
def branches_named(self, x, mask=None):
    """Each branch has a name, and the stream stands second in the sum."""
    gathered = self.dropout(self.attention(self.norm_attention(x), mask=mask))
    stream = torch.add(gathered, x)
    thought = self.mlp(self.norm_mlp(stream))
    return thought + stream


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


@alternate("inspect.attention_maps")
def layer_by_layer(model, tokens):
    """The model's own pass, spelled out layer by layer; every mode is put back."""
    modes, maps = {module: module.training for module in model.modules()}, []
    model.eval()
    try:
        if tokens.ndim != 2 or tokens.shape[1] > model.config.n_positions:
            raise ValueError("tokens do not fit")
        with torch.inference_mode():
            x = model.positions(model.token_embedding(tokens))
            for block in model.blocks:
                maps.append(block.attention(block.norm_attention(x), return_weights=True)[1])
                x = block(x)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(maps)


@alternate("inspect.gradient_norms")
def one_long_vector(model):
    """The gradients of a layer as one long vector, and its norm."""
    layers = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(f"{name} has no gradient")
        first, second, *_ = [*name.split("."), ""]
        layer = {"blocks": f"blocks.{second}", "norm": "norm"}.get(first, "embedding")
        layers.setdefault(layer, []).append(
            parameter.grad.detach().flatten().to(torch.promote_types(parameter.grad.dtype, torch.float32))
        )
    return {layer: float(torch.linalg.vector_norm(torch.cat(gradients))) for layer, gradients in layers.items()}
