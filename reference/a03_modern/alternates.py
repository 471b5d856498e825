"""Other right versions of parts of this assignment, each by another route, so that tolerances allow for all of them.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import math
import statistics
from dataclasses import replace

import torch
from given.a01_transformer.layers import MLP
from given.a02_training.sample import next_token_probabilities
from given.a02_training.train import evaluating
from torch import nn

from tools.author.cases import alternate

from .ablation import Summary, steps_to
from .attention import GroupedQueryAttention, grouped_attention, window_mask
from .cache import KVCache, RollingCache
from .ffn import SwiGLU, silu
from .generate import AS_IT_IS, pad_left
from .model import make_norm
from .rope import frequencies, rotate
from .scaling import linear


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


@alternate("rope.frequencies")
def rates_by_exponential(head_dim, base=10_000.0):
    """Exponentials of a logarithm."""
    if head_dim <= 0 or head_dim % 2 == 1:
        raise ValueError(f"an even width is needed; got {head_dim}")
    return torch.exp(torch.arange(head_dim // 2, dtype=torch.float64) * (-2 * math.log(base) / head_dim))


@alternate("rope.rotate")
def one_complex_product(x, rotation, layout="interleaved"):
    """Each pair is a complex number, and the turn is one multiplication."""
    if layout not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {layout!r}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = wide.unflatten(-1, (-1, 2)) if layout == "interleaved" else wide.unflatten(-1, (2, -1)).transpose(-1, -2)
    turn = torch.complex(*(part.to(wide.dtype) for part in rotation))
    out = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    return (out if layout == "interleaved" else out.transpose(-1, -2)).flatten(-2).to(x.dtype)


@alternate("rope.rotate")
def rotate_half_with_doubled_tables(x, rotation, layout="interleaved"):
    """Tables as wide as a head, and x · cos + rotated(x) · sin, as released code has it."""
    if layout not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {layout!r}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if layout == "interleaved":
        cos, sin = (part.repeat_interleave(2, dim=-1) for part in rotation)
        other = torch.stack([-wide[..., 1::2], wide[..., ::2]], dim=-1).reshape(wide.shape)
    else:
        cos, sin = (torch.cat([part, part], dim=-1) for part in rotation)
        middle = x.shape[-1] // 2
        other = torch.cat([-wide[..., middle:], wide[..., :middle]], dim=-1)
    return (wide * cos + other * sin).to(x.dtype)


@alternate("rope.half_order")
def even_channels_then_odd_ones(head_dim):
    """Even channels, then odd ones."""
    if head_dim % 2:
        raise ValueError(f"an even width is needed; got {head_dim}")
    return torch.cat([torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)])


@alternate("rope.reorder_projection")
def by_view_and_transpose(weight, n_heads, to):
    """A view as (heads, pairs, 2) and a transpose, or the other way round."""
    if n_heads < 1 or len(weight) % n_heads:
        raise ValueError(f"{n_heads} heads do not divide {len(weight)} rows")
    if to not in ("interleaved", "half"):
        raise ValueError(f"no such layout: {to!r}")
    pairs = weight.shape[0] // (2 * n_heads)
    shape = (n_heads, pairs, 2) if to == "half" else (n_heads, 2, pairs)
    return weight.reshape(*shape, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


@alternate("rope.RotaryEmbedding")
class ComplexTable(nn.Module):
    """One table of complex numbers that grows by as much as is needed, and by a fixed step."""

    longest_table = 4096

    def __init__(self, head_dim, base=10_000.0, scaling=None):
        super().__init__()
        self.theta, self.magnitude = frequencies(head_dim, base), 1.0
        if scaling is not None:
            self.theta, self.magnitude = scaling.scale(self.theta), scaling.magnitude
        self.table = None

    def compute(self, positions):
        angles = torch.einsum("...t,p->...tp", positions.double().cpu(), self.theta)
        return torch.cos(angles) * self.magnitude, torch.sin(angles) * self.magnitude

    def forward(self, positions, dtype=torch.float32):
        places, wide = positions.cpu().clamp(min=0), torch.promote_types(dtype, torch.float32)
        last = int(places.max()) if places.numel() else 0
        if last >= self.longest_table:
            cos, sin = self.compute(places)
        else:
            if self.table is None or last >= len(self.table):
                self.table = torch.complex(*self.compute(torch.arange(last + 256)))
            cos, sin = self.table[places].real, self.table[places].imag
        return tuple(part.to(wide).to(positions.device) for part in (cos, sin))


@alternate("rope.decay_bound")
def lengths_by_pythagoras(distances, theta):
    """Cosines and sines are summed on their own, and the length is the root of their squares."""
    angles = torch.outer(distances.to(theta.dtype), theta)
    across, up = torch.cumsum(torch.cos(angles), 1), torch.cumsum(torch.sin(angles), 1)
    return torch.sqrt(across * across + up * up).sum(dim=1) / theta.numel()


@alternate("scaling.linear")
def times_the_inverse(theta, factor):
    """Multiplied by the inverse."""
    return theta * (1.0 / factor)


@alternate("scaling.ntk")
def rates_of_the_larger_base(theta, factor):
    """The exponent as it stands in the source, 2i / (d − 2), by exponential and logarithm."""
    d = 2 * theta.shape[0]
    if d == 2:
        return theta.clone()
    i = torch.arange(0, d, 2, dtype=theta.dtype) / (d - 2)
    return torch.exp(torch.log(theta) - i * math.log(factor))


@alternate("scaling.yarn")
def ramp_over_wavelengths(theta, factor, trained_length, slow=1.0, fast=32.0):
    """Turns as the trained length over the wavelength, and an interpolation."""
    turns = trained_length / (2 * math.pi / theta)
    share = torch.clamp((turns - slow) / (fast - slow), min=0.0, max=1.0)
    return torch.lerp(linear(theta, factor), theta, share)


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


@alternate("attention.window_mask")
def mask_by_distance(queries, keys, window=None, sinks=0):
    """Distances first, and the window as a bound on them."""
    if sinks < 0 or (window is not None and window <= 0):
        raise ValueError(f"no such window or sinks: {window}, {sinks}")
    distance = queries[..., :, None] - keys[..., None, :]
    near = torch.ones_like(distance, dtype=torch.bool) if window is None else distance <= window - 1
    sink = (keys < sinks)[..., None, :]
    return torch.logical_and(torch.logical_and(distance >= 0, keys[..., None, :] > -1), torch.logical_or(near, sink))


@alternate("attention.grouped_attention")
def einsum_with_an_additive_mask(q, k, v, mask):
    """Einsum over groups; the query is scaled beforehand, the mask is added as −∞, and the softmax is written out."""
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(f"{k.shape[-3]} heads of keys do not divide {q.shape[-3]}")
    dtype = torch.promote_types(q.dtype, torch.float32)
    grouped = q.to(dtype).unflatten(-3, (k.shape[-3], -1)) * q.shape[-1] ** -0.5
    scores = torch.einsum("...hgqd,...hkd->...hgqk", grouped, k.to(dtype))
    scores = scores + torch.zeros(mask.shape, dtype=dtype, device=q.device).masked_fill(~mask, -math.inf)[..., None, None, :, :]
    highest = scores.amax(dim=-1, keepdim=True).detach().clamp_min(torch.finfo(dtype).min)
    powers = torch.exp(scores - highest)
    total = powers.sum(dim=-1, keepdim=True)
    weights = (powers / torch.where(total == 0, torch.ones_like(total), total)).to(q.dtype)
    return torch.einsum("...hgqk,...hkv->...hgqv", weights, v).flatten(-4, -3)


@alternate("attention.grouped_attention")
def keys_repeated_for_every_head(q, k, v, mask):
    """Keys and values are repeated for every head of queries, and scores divided before the softmax."""
    heads, kv_heads = q.size(-3), k.size(-3)
    if heads % kv_heads != 0:
        raise ValueError(f"{kv_heads} heads of keys do not divide {heads}")
    k, v = (part.repeat_interleave(heads // kv_heads, dim=-3) for part in (k, v))
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = torch.matmul(q.to(dtype), k.to(dtype).transpose(-1, -2)) / math.sqrt(q.size(-1))
    visible = mask.unsqueeze(-3)
    blind = ~visible.any(dim=-1, keepdim=True)
    weights = torch.where(visible | blind, scores, torch.full_like(scores, -math.inf)).softmax(dim=-1) * ~blind
    return torch.matmul(weights.to(q.dtype), v)


@alternate("attention.GroupedQueryAttention.forward")
def three_slices_of_one_matrix(self, x, positions=None, rotation=None, cache=None):
    """Queries, keys and values from slices of the projection, heads by view and transpose."""
    batch, time, _ = x.shape
    if positions is None:
        positions = torch.arange(time, device=x.device)[None]
    widths = [n * self.head_dim for n in (self.n_heads, self.n_kv_heads, self.n_kv_heads)]
    q, k, v = (part.reshape(batch, time, -1, self.head_dim).transpose(1, 2) for part in torch.split(self.qkv(x), widths, dim=-1))
    if rotation is not None:
        both = rotate(torch.cat([q, k], dim=1), tuple(part[:, None] for part in rotation), self.layout)
        q, k = both[:, : self.n_heads], both[:, self.n_heads :]
    seen = (k, v, positions) if cache is None else cache.append(k, v, positions)
    mask = window_mask(positions, seen[2], window=self.window, sinks=self.sinks)
    out = grouped_attention(q, seen[0], seen[1], mask).permute(0, 2, 1, 3).contiguous()
    return self.proj(out.view(batch, time, -1))


@alternate("attention.linear_attention")
def triangle_of_products(q, k, v, rotation=None):
    """The same numbers from a triangle of products, at a cost that grows with the square."""
    q, k = (torch.where(part > 0, part + 1, part.clamp(max=0).exp()) for part in (q, k))
    total = torch.tril(q @ k.mT).sum(dim=-1, keepdim=True)
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    return torch.tril(torch.einsum("...qd,...kd->...qk", q, k)) @ v / total


@alternate("cache.KVCache.append")
def copied_with_narrow(self, keys, values, positions):
    """Copies into narrowed views."""
    count, room = keys.size(2), self.keys.size(2)
    if self.length + count > room:
        raise ValueError(f"room for {room} tokens, and {self.length + count} are there")
    for store, new, axis in ((self.keys, keys, 2), (self.values, values, 2), (self.positions, positions, 1)):
        store.narrow(axis, self.length, count).copy_(new)
    self.length += count
    return self.keys.narrow(2, 0, self.length), self.values.narrow(2, 0, self.length), self.positions.narrow(1, 0, self.length)


@alternate("cache.RollingCache.append")
def only_what_is_there_is_shown(self, keys, values, positions):
    """Always what was there and what is new, also for a single token, sorted by position."""
    positions = positions.expand(keys.shape[0], -1)
    there = torch.cat([self.positions, positions], 1)
    order = there.argsort(dim=1)
    pick = order[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
    seen = [torch.cat([old, new], 2).gather(2, pick) for old, new in ((self.keys, keys), (self.values, values))]
    self._store(keys, values, positions)
    return seen[0], seen[1], there.gather(1, order)


@alternate("cache.RollingCache._store")
def one_token_after_the_other(self, keys, values, positions):
    """Row by row and token by token, so that the later one wins."""
    for row, places in enumerate(positions.tolist()):
        first = max((i for i, place in enumerate(places) if place < self.sinks), default=-1) + 1
        for i in [*range(first), *range(max(first, len(places) - self.window), len(places))]:
            if places[i] >= 0:
                slot = places[i] if places[i] < self.sinks else (places[i] - self.sinks) % self.window + self.sinks
                self.keys[row, :, slot] = keys[row, :, i]
                self.values[row, :, slot] = values[row, :, i]
                self.positions[row, slot] = places[i]


@alternate("model.Block.__init__")
def parts_by_name(self, config):
    """Parts chosen from tables, arguments by name."""
    nn.Module.__init__(self)
    mlps = {"swiglu": lambda: SwiGLU(config.d_model), "gelu": lambda: MLP(config.d_model, bias=config.bias)}
    shape = {name: getattr(config, name) for name in ("n_kv_heads", "window", "sinks", "bias", "layout")}
    self.attention = GroupedQueryAttention(config.d_model, config.n_heads, **shape)
    self.mlp = mlps[config.mlp]()
    self.norm_attention, self.norm_mlp = make_norm(config), make_norm(config)


@alternate("model.Transformer.forward")
def by_the_kind_of_positions(self, tokens, positions=None, caches=None):
    """Vectors or rotations by the kind that the model has, and blocks counted."""
    if tokens.ndim != 2 or tokens.dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ValueError("tokens must be whole numbers (batch, time)")
    if tokens.numel() and ((tokens < 0) | (tokens >= self.config.vocab_size)).any():
        raise ValueError("a token lies outside the vocabulary")
    if positions is None:
        if caches is not None:
            raise ValueError("caches need positions")
        positions = torch.arange(tokens.shape[-1], device=tokens.device).expand(tokens.shape)
    x = self.token_embedding(tokens)
    rotation = None
    if hasattr(self, "rotary"):
        rotation = self.rotary(positions, x.dtype)
    elif (positions >= self.config.n_positions).any():
        raise ValueError("a position lies beyond the table")
    else:
        x = torch.add(self.positions(positions.relu()), x)
    for number, block in enumerate(self.blocks):
        x = block(x, positions, rotation, None if caches is None else caches[number])
    return self.norm(x) @ self.token_embedding.weight.T


@alternate("model.Transformer.new_caches")
def caches_from_the_layers(self, batch, capacity=None):
    """Sizes are asked of the layers themselves."""
    if capacity is None and self.config.window is None:
        raise ValueError("a window or a capacity is needed")
    caches = []
    for block in self.blocks:
        layer, weight = block.attention, block.attention.qkv.weight
        sizes = (batch, layer.n_kv_heads, layer.head_dim)
        if capacity is None:
            caches.append(RollingCache(*sizes, layer.window, layer.sinks, dtype=weight.dtype, device=weight.device))
        else:
            caches.append(KVCache(*sizes, capacity, dtype=weight.dtype, device=weight.device))
    return caches


@alternate("generate.pad_left")
def filled_up_as_lists(prompts):
    """Lists are filled up, and positions are columns less the padding."""
    if len(prompts) == 0 or any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt is empty, or there is none")
    time = max(len(prompt) for prompt in prompts)
    missing = torch.tensor([[time - len(prompt)] for prompt in prompts])
    tokens = torch.tensor([[0] * (time - len(prompt)) + list(prompt) for prompt in prompts])
    return tokens, (torch.arange(time) - missing).clamp(min=-1)


@alternate("generate.prefill")
def by_ranges(model, tokens, positions, caches, chunk=None):
    """Ranges of columns, and the last column of the last logits."""
    if chunk is not None and chunk <= 0:
        raise ValueError(f"no such chunk: {chunk}")
    time = tokens.shape[1]
    step, logits = time if chunk is None else min(chunk, time), None
    for start in range(0, time, step):
        logits = model(tokens[:, start : start + step], positions=positions[:, start : start + step], caches=caches)
    return logits[:, -1, :]


@alternate("generate.generate")
def prefill_apart_from_decoding(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The prompt is read before the loop, and the loop calls the model itself; rows that are done go on unseen."""
    tokens, positions = pad_left(prompts)
    place, texts = next(model.parameters()).device, [list(prompt) for prompt in prompts]
    done, last = [False] * len(prompts), positions[:, -1:]
    if max_new_tokens < 1:
        return [[] for _ in prompts]
    with torch.inference_mode(), evaluating(model):
        caches = model.new_caches(len(prompts), None if rolling else positions.shape[1] + max_new_tokens - 1)
        size = chunk or tokens.shape[1]
        for start in range(0, tokens.shape[1], size):
            part = slice(start, start + size)
            logits = model(tokens[:, part].to(place), positions[:, part].to(place), caches)[:, -1].cpu()
        for step in range(max_new_tokens):
            rows = [row for row, over in enumerate(done) if not over]
            present = torch.zeros(len(rows), logits.shape[-1], dtype=torch.bool)
            for i, row in enumerate(rows):
                present[i, texts[row]] = True
            drawn = torch.multinomial(next_token_probabilities(logits[rows], sampling, present), 1, generator=generator)
            for row, token in zip(rows, drawn[:, 0].tolist(), strict=True):
                if token == stop_token:
                    done[row] = True
                else:
                    texts[row].append(token)
            if all(done) or step == max_new_tokens - 1:
                break
            last = last + 1
            column = torch.tensor([[text[-1]] for text in texts])
            logits = model(column.to(place), last.to(place), caches)[:, -1].cpu()
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


@alternate("ablation.ablation_rows")
def rows_from_flags(config):
    """Each row from three yes or no."""
    flags = {"baseline": "", "norm": "n", "mlp": "m", "positions": "p", "norm + mlp": "nm", "all": "nmp"}
    return {
        row: replace(
            config,
            norm="rmsnorm" if "n" in letters else "layernorm",
            mlp="swiglu" if "m" in letters else "gelu",
            positions="rope" if "p" in letters else "learned",
        )
        for row, letters in flags.items()
    }


@alternate("ablation.steps_to")
def by_a_loop(run, target):
    """A loop that returns from its middle."""
    for i in range(len(run.losses)):
        if not run.losses[i] > target:
            return run.steps[i]
    return None


@alternate("ablation.summarise")
def row_by_row_with_dictionaries(runs, baseline="baseline"):
    """Runs by row and seed, and deviations by their formula."""
    if len(runs) == 0:
        raise ValueError("there are no runs")
    by_row: dict[str, list] = {}
    for run in runs:
        by_row.setdefault(run.row, []).append(run)
    theirs, out = {run.seed: run for run in by_row.get(baseline, [])}, []
    for row, mine in by_row.items():
        with_anchor = [] if row == baseline else [run for run in mine if run.seed in theirs]
        last = torch.tensor([run.losses[-1] for run in mine], dtype=torch.float64)
        gaps = torch.tensor([run.losses[-1] - theirs[run.seed].losses[-1] for run in with_anchor], dtype=torch.float64)
        shares = []
        for run in with_anchor:
            step = steps_to(run, theirs[run.seed].losses[-1])
            shares.append(None if step is None else step / theirs[run.seed].steps[-1])
        norms = sorted(norm for run in mine for norm in run.gradient_norms)
        out.append(
            Summary(
                row=row,
                seeds=len(mine),
                parameters=mine[0].parameters,
                final=last.mean().item(),
                spread=last.std().item() if len(last) > 1 else None,
                difference=gaps.mean().item() if len(gaps) else None,
                difference_spread=gaps.std().item() if len(gaps) > 1 else None,
                worst=gaps.max().item() if len(gaps) else None,
                share_of_steps=tuple(shares),
                gradient_norm=statistics.median(norms),
                largest_gradient=norms[-1],
                seconds_per_step=statistics.median([run.seconds_per_step for run in mine]),
            )
        )
    return out
