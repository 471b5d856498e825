"""The reference against code that others wrote: torch.nn, torch.nn.functional, complex numbers; and `given` alike.

Everything runs in float64, where two right computations agree to about 1e-15 and a wrong one cannot hide in rounding. Gradients
are compared like values. Where the `transformers` library is installed, a whole model is compared with its LLaMA and Mistral.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytestmark = pytest.mark.usefixtures("float64")
MODULES = ("norm", "scaling", "rope", "ffn", "attention", "cache", "model", "generate")


@pytest.fixture(scope="module")
def reference(load):
    return load("reference", "a03_modern", MODULES, sample="given.a02_training.sample")


@pytest.fixture(scope="module")
def given(load):
    return load("assignments", "given.a03_modern", MODULES, sample="given.a02_training.sample")


@pytest.fixture(params=["reference", "given"])
def solution(request):
    return request.getfixturevalue(request.param)


def fill(module: nn.Module) -> nn.Module:
    """No parameter at 0 or 1, so that each of them matters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.4)
    return module


def gradients(out, inputs):
    return torch.autograd.grad(out, inputs, torch.cos(torch.arange(out.numel()).to(out)).view_as(out))


def assert_same(ours, theirs, tolerance=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def model(solution, **rest):
    """A small model with parameters that matter."""
    config = {"vocab_size": 29, "n_positions": 32, "d_model": 24, "n_heads": 6, "n_layers": 2} | rest
    return fill(solution.model.Transformer(solution.model.ModelConfig(**config)))


# norm, ffn


def test_rms_norm_is_torchs(solution):
    ours, theirs = solution.norm.RMSNorm(9, 1e-3), fill(nn.RMSNorm(9, 1e-3))
    ours.load_state_dict(theirs.state_dict())
    x = (0.03 * torch.randn(2, 4, 9) + 0.01).requires_grad_()  # mean square near eps, so that it matters where eps is added
    assert_same(ours(x), theirs(x))
    assert_same(gradients(ours(x), [x, ours.weight]), gradients(theirs(x), [x, theirs.weight]), 1e-10)
    half = 300 * torch.randn(3, 9).to(torch.float16)  # squares overflow float16
    assert_same(ours.float()(half), theirs.float()(half.float()).half(), 2e-3)


def test_silu_is_torchs(solution):
    x = torch.linspace(-900, 900, 181, requires_grad=True)
    assert_same(solution.ffn.silu(x), F.silu(x))
    assert_same(gradients(solution.ffn.silu(x), x), gradients(F.silu(x), x), 1e-11)


def test_swiglu_holds_as_many_weights_as_the_old_mlp(solution):
    for d in (48, 96, 384, 768):
        mlp = solution.ffn.SwiGLU(d)
        assert sum(p.numel() for p in mlp.parameters()) == 8 * d * d
    mlp, x = fill(solution.ffn.SwiGLU(10)), torch.randn(3, 10)
    gate, up, down = (getattr(mlp, name).weight for name in ("gate", "up", "down"))
    assert_same(mlp(x), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


# rope


def as_complex(x):
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())


def test_rotation_is_multiplication_by_a_unit_complex_number(solution):
    x, positions = torch.randn(3, 7, 10), torch.tensor([0, 1, 2, 90, 3000, 40_000, 7])
    theta = torch.tensor([10_000.0 ** (-2 * i / 10) for i in range(5)])
    out = solution.rope.rotate(x, solution.rope.RotaryEmbedding(10)(positions, torch.float64))
    expected = as_complex(x) * torch.polar(torch.ones(7, 5), positions[:, None] * theta)
    assert_same(as_complex(out), expected, 1e-11)
    assert_same(out.norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 2e-5), (torch.bfloat16, 0.3)])
def test_scores_see_the_distance_alone(solution, dtype, bound):
    """In bfloat16 the vectors are rounded after they are rotated: 64 products of numbers near 1, each 2⁻⁸ off, add up to 0.1."""
    q, k = torch.randn(64, 64).to(dtype), torch.randn(64, 64).to(dtype)
    m, n, rotary = torch.randint(512, (64,)), torch.randint(512, (64,)), solution.rope.RotaryEmbedding(64)
    scores = []
    for step in (0, 60_000):
        rotated = [solution.rope.rotate(x, rotary(positions + step, dtype)).double() for x, positions in ((q, m), (k, n))]
        scores.append((rotated[0] * rotated[1]).sum(-1))
    assert (scores[1] - scores[0]).abs().max() < bound


def test_half_layout_is_how_checkpoints_are_converted(solution):
    """The published conversion of LLaMA's weights: view as (heads, pairs, 2, in), swap the middle axes; and rotate_half."""
    w, x, n_heads = torch.randn(32, 12), torch.randn(1, 9, 12), 4
    theirs = w.view(n_heads, 32 // n_heads // 2, 2, 12).transpose(1, 2).reshape(32, 12)
    assert_same(solution.rope.reorder_projection(w, n_heads, "half"), theirs)
    assert_same(solution.rope.reorder_projection(theirs, n_heads, "interleaved"), w)
    heads = (x @ theirs.T).view(1, 9, n_heads, 8).transpose(1, 2)
    cos, sin = solution.rope.RotaryEmbedding(8)(torch.arange(9), torch.float64)
    wide_cos, wide_sin = (torch.cat([t, t], dim=-1) for t in (cos, sin))
    rotate_half = torch.cat([-heads[..., 4:], heads[..., :4]], dim=-1)
    expected = heads * wide_cos + rotate_half * wide_sin
    assert_same(solution.rope.rotate(heads, (cos, sin), "half"), expected)
    neighbours = solution.rope.rotate((x @ w.T).view(1, 9, n_heads, 8).transpose(1, 2), (cos, sin))
    assert_same(expected @ expected.mT, neighbours @ neighbours.mT)


def test_bound_bounds_every_score(solution):
    """Summation by parts: |Σ h_i e^{imθ_i}| ≤ max |h_{i+1} − h_i| · Σ_j |S_j(m)|, for whatever h, with h = 0 behind the last."""
    theta, distances = solution.rope.frequencies(32), torch.arange(400)
    bound = solution.rope.decay_bound(distances, theta) * 16
    for _ in range(20):
        h = torch.randn(16, dtype=torch.complex128)
        scores = (h * torch.exp(1j * distances[:, None] * theta)).sum(-1).abs()
        assert (scores <= (torch.cat([h[1:], torch.zeros(1)]) - h).abs().max() * bound + 1e-9).all()


def test_yarn_and_ntk_keep_what_they_promise(solution):
    theta = solution.rope.frequencies(64)
    ntk, yarn = solution.scaling.ntk(theta, 8.0), solution.scaling.yarn(theta, 8.0, 1024)
    assert_same((ntk[0], ntk[-1]), (theta[0], theta[-1] / 8))
    assert_same(ntk, solution.rope.frequencies(64, 10_000.0 * 8 ** (64 / 62)), 1e-11)
    rotations = 1024 * theta / math.tau
    assert_same(yarn[rotations >= 32], theta[rotations >= 32])
    assert_same(yarn[rotations <= 1], theta[rotations <= 1] / 8)
    between = (rotations > 1) & (rotations < 32)
    assert between.any() and ((yarn < theta) & (yarn > theta / 8))[between].all()


# attention


def test_grouped_attention_is_torchs(solution):
    q, k, v = torch.randn(2, 6, 5, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 3)
    leaves = [t.requires_grad_() for t in (q, k, v)]
    mask = torch.rand(2, 5, 7) < 0.5
    mask[0, 2] = False  # a query that may look at nothing
    out, expected = solution.attention.grouped_attention(q, k, v, mask), F.scaled_dot_product_attention(
        q, k.repeat_interleave(3, 1), v.repeat_interleave(3, 1), mask[:, None]
    )  # fmt: skip
    assert_same(out, expected)
    assert_same(gradients(out, leaves), gradients(expected, leaves))


def test_window_mask_is_the_sentence_read_pair_by_pair(solution):
    queries, keys = torch.tensor([[-1, 0, 3, 9]]), torch.tensor([[4, -1, 0, 9, 8, 1, 3, 2]])
    for window, sinks in ((None, 0), (1, 0), (2, 3), (5, 1), (100, 4)):
        mask = solution.attention.window_mask(queries, keys, window, sinks)
        for i, m in enumerate(queries[0].tolist()):
            for j, n in enumerate(keys[0].tolist()):
                assert mask[0, i, j] == (0 <= n <= m and (window is None or m - n < window or n < sinks)), (m, n, window, sinks)


def test_layer_without_groups_or_rotation_is_torchs(solution):
    ours = fill(solution.attention.GroupedQueryAttention(12, 3, bias=True))
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    keys = {"qkv.": "in_proj_", "proj.": "out_proj."}
    theirs.load_state_dict({keys[n[: n.index(".") + 1]] + n.split(".")[1]: p for n, p in ours.state_dict().items()})
    x = torch.randn(2, 7, 12)
    assert_same(ours(x), theirs(x, x, x, attn_mask=torch.ones(7, 7).triu(1).bool(), need_weights=False)[0])


def test_linear_attention_is_its_double_sum(solution):
    q, k, v, rotary = torch.randn(6, 4), torch.randn(6, 4), torch.randn(6, 3), solution.rope.RotaryEmbedding(4)
    rotation = rotary(torch.arange(6) + 20_000, torch.float64)
    phi = [F.elu(x) + 1 for x in (q, k)]
    rotated = [solution.rope.rotate(x, rotation) for x in phi]
    out = solution.attention.linear_attention(q, k, v, rotation)
    for m in range(6):
        total = sum(phi[0][m] @ phi[1][n] for n in range(m + 1))
        assert_same(out[m], sum((rotated[0][m] @ rotated[1][n]) * v[n] for n in range(m + 1)) / total)


# caches and generation


@pytest.mark.parametrize("chunks", [[1] * 40, [40], [7, 1, 12, 1, 1, 18], [3, 37]])
def test_rolling_cache_equals_a_mask(solution, chunks):
    net = model(solution, n_kv_heads=2, window=5, sinks=2, n_positions=8)
    tokens, positions = torch.randint(29, (3, 40)), torch.arange(40) - torch.tensor([[0], [3], [11]])
    positions = positions.clamp(min=-1)
    caches, outs, start = net.new_caches(3), [], 0
    sizes = [caches[0].n_bytes]
    with torch.no_grad():
        for seq_len in chunks:
            outs.append(net(tokens[:, start : start + seq_len], positions[:, start : start + seq_len], caches))
            start += seq_len
            sizes.append(caches[0].n_bytes)
        whole = net(tokens, positions)
    real = positions >= 0
    assert_same(torch.cat(outs, 1)[real], whole[real], 1e-10)
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("fields", [{}, {"n_kv_heads": 3}, {"window": 6, "sinks": 1}, {"norm": "layernorm", "mlp": "gelu"}])
@pytest.mark.parametrize("kind", [{}, {"chunk_size": 3}, {"rolling": True}, {"rolling": True, "chunk_size": 4}])
def test_cache_changes_no_token(solution, fields, kind):
    if kind.get("rolling") and "window" not in fields:
        fields = fields | {"window": 7, "sinks": 2}
    net, greedy = model(solution, **fields), solution.sample.Sampling(temperature=0.0)
    prompts = [torch.randint(29, (n,)).tolist() for n in (1, 9, 14, 4)]
    for stop in (None, 5):
        expected = solution.sample.generate(net, prompts, 25, greedy, stop, context=1000)
        assert solution.generate.generate(net, prompts, 25, greedy, stop, **kind) == expected
    equal = [torch.randint(29, (6,)).tolist() for _ in range(4)]
    generator = lambda: torch.Generator().manual_seed(3)
    setting = solution.sample.Sampling(1.3, 12, 0.9, 1.1)
    expected = solution.sample.generate(net, equal, 25, setting, 5, context=1000, generator=generator())
    assert solution.generate.generate(net, equal, 25, setting, 5, generator=generator(), **kind) == expected


def test_later_positions_leave_logits_as_they_are(solution):
    net, tokens = model(solution), torch.randint(29, (2, 12))
    assert_same(net(tokens), net(tokens, torch.arange(12)[None] + 50_000), 1e-9)


# whole models of others


def llama_state(net: nn.Module, theirs: nn.Module, width: int, kv_width: int) -> dict:
    """Our weights under the names of Hugging Face's LLaMA."""
    own, state = net.state_dict(), {}
    names = {"norm_attention": "input_layernorm", "norm_mlp": "post_attention_layernorm", "attention.proj": "self_attn.o_proj"}
    names |= {f"mlp.{name}": f"mlp.{name}_proj" for name in ("gate", "up", "down")}
    for layer in range(net.config.n_layers):
        for ours, there in names.items():
            state[f"model.layers.{layer}.{there}.weight"] = own[f"blocks.{layer}.{ours}.weight"]
        parts = own[f"blocks.{layer}.attention.qkv.weight"].split([width, kv_width, kv_width])
        for letter, part in zip("qkv", parts, strict=True):
            state[f"model.layers.{layer}.self_attn.{letter}_proj.weight"] = part
    state |= {"model.norm.weight": own["norm.weight"], "model.embed_tokens.weight": own["token_embedding.weight"]}
    return state | {"lm_head.weight": own["head.weight"]}


@pytest.mark.parametrize("window", [None, 4])
def test_modern_model_is_hugging_faces(solution, window):
    transformers = pytest.importorskip("transformers")
    kind = ("Llama", {}) if window is None else ("Mistral", {"sliding_window": window})
    config = getattr(transformers, f"{kind[0]}Config")(
        vocab_size=29, hidden_size=24, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        rms_norm_eps=1e-6, rope_theta=10_000.0, tie_word_embeddings=True, attn_implementation="eager", **kind[1],
    )  # fmt: skip
    theirs = getattr(transformers, f"{kind[0]}ForCausalLM")(config).double().eval()
    net = model(solution, n_kv_heads=2, layout="half", window=window)
    theirs.load_state_dict(llama_state(net, theirs, 24, 8))
    tokens = torch.randint(29, (2, 20))
    with torch.no_grad():
        assert_same(net(tokens), theirs(tokens).logits, 1e-5)  # their norm, angles and softmax are float32


def test_given_has_the_names_and_keys_of_the_reference(reference, given):
    for module in MODULES:
        ours, theirs = getattr(reference, module), getattr(given, module)
        for name, thing in vars(ours).items():
            if getattr(thing, "__module__", "").startswith("a03_modern") and not name.startswith("_"):
                assert hasattr(theirs, name), f"given.{module} lacks {name}"
    tokens, old = torch.randint(13, (2, 8)), {"norm": "layernorm", "mlp": "gelu", "positions": "learned"}
    for fields in ({}, old, {"n_kv_heads": 1, "bias": True, "window": 3, "sinks": 1, "layout": "half"}):
        models = [side.model.Transformer(side.model.ModelConfig(13, 8, 12, 3, 2, **fields)) for side in (reference, given)]
        models[1].load_state_dict(fill(models[0]).state_dict())
        assert_same(models[0](tokens), models[1](tokens))
        assert sorted(models[0].state_dict()) == sorted(models[1].state_dict())
        assert models[0].n_parameters() == models[1].n_parameters()
