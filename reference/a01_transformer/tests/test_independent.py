"""The reference against code that others wrote: torch.nn, torch.nn.functional, Hugging Face's GPT-2; and `given` alike.

Everything runs in float64, where two right computations agree to about 1e-15 and a wrong one cannot hide in rounding;
float32 is looked at once, for attention. Gradients are compared like values.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytestmark = pytest.mark.usefixtures("float64")
MODULES = ("positions", "attention", "layers", "block", "model", "diagnostics")


@pytest.fixture(scope="module")
def reference(load):
    return load("reference", "a01_transformer", MODULES)


@pytest.fixture(scope="module")
def given(load):
    return load("assignments", "given.a01_transformer", MODULES)


@pytest.fixture(params=["reference", "given"])
def solution(request):
    return request.getfixturevalue(request.param)


def fill(module: nn.Module) -> nn.Module:
    """No parameter at 0 or 1, so that each of them matters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.4)
    return module


def copy(target: nn.Module, source: nn.Module, names: dict[str, str]) -> None:
    """Weights of `source` into `target`; names: key of target → key of source. None may be left."""
    state = source.state_dict()
    assert sorted(names.values()) == sorted(state)
    target.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})


def gradients(out, inputs, cotangent=None):
    cotangent = torch.cos(torch.arange(out.numel()).to(out)).view_as(out) if cotangent is None else cotangent
    return torch.autograd.grad(out, inputs, cotangent)


def assert_same(ours, theirs, tolerance=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_attention_formula_is_that_of_torch(solution):
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 6)
    leaves = [t.requires_grad_() for t in (q, k, v)]
    mask = torch.rand(2, 1, 5, 7) < 0.5
    mask[0, 0, 2] = False  # a query that may look at nothing
    for chosen in (None, mask, torch.ones(5, 7).tril(2).bool()):
        out, weights = solution.attention.scaled_dot_product_attention(q, k, v, chosen)
        expected = F.scaled_dot_product_attention(q, k, v, chosen)
        assert_same(out, expected)
        assert_same(weights @ v, expected)
        assert_same(gradients(out, leaves), gradients(expected, leaves))
        assert_same(solution.attention.causal_mask(5, 7), torch.ones(5, 7).tril(2).bool())


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 1, 3)])
def test_attention_takes_any_leading_axes_and_strides(solution, leading):
    q, k, v = torch.randn(*leading, 8, 5).mT, torch.randn(*leading, 8, 5).mT, torch.randn(*leading, 8, 5).mT
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v)
    assert weights.shape == (*leading, 5, 5)
    assert_same(out, F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_multi_head_attention_is_torchs_under_a_causal_mask(solution, bias, dtype, tolerance):
    theirs = fill(nn.MultiheadAttention(12, 3, bias=bias, batch_first=True)).to(dtype)
    ours = solution.attention.MultiHeadAttention(12, 3, bias=bias).to(dtype)
    names = {"qkv.weight": "in_proj_weight", "proj.weight": "out_proj.weight"}
    names |= {"qkv.bias": "in_proj_bias", "proj.bias": "out_proj.bias"} if bias else {}
    copy(ours, theirs, names)
    x = torch.randn(2, 7, 12, dtype=dtype, requires_grad=True)
    future = torch.ones(7, 7).triu(1).bool()  # torch's masks are True where a query may not look
    expected, expected_weights = theirs(x, x, x, attn_mask=future, average_attn_weights=False)
    out, weights = ours(x, return_weights=True)
    assert_same(out, expected, tolerance)
    assert_same(weights, expected_weights, tolerance)
    key = dict(theirs.named_parameters())
    assert_same(
        gradients(out, [x, *(dict(ours.named_parameters())[name] for name in names)]),
        gradients(expected, [x, *(key[name] for name in names.values())]),
        20 * tolerance,  # gradients of weights sum over 14 tokens
    )


def test_single_head_is_torchs_attention(solution):
    head = fill(solution.attention.SingleHeadAttention(6, 4))
    x = torch.randn(3, 5, 6)
    q, k, v = (x @ getattr(head, name).weight.T for name in ("query", "key", "value"))
    assert_same(head(x), F.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_layer_norm_is_torchs(solution):
    for bias in (True, False):
        ours, theirs = solution.layers.LayerNorm(9, 1e-3, bias), nn.LayerNorm(9, 1e-3, bias=bias)
        copy(ours, fill(theirs), {key: key for key in theirs.state_dict()})
        x = (0.03 * torch.randn(2, 4, 9) + 5).requires_grad_()  # variance near eps: its place shows
        assert_same(ours(x), theirs(x))
        assert_same(gradients(ours(x), [x, *ours.parameters()]), gradients(theirs(x), [x, *theirs.parameters()]), 1e-10)
        half = 300 * torch.randn(3, 9).to(torch.float16)  # squares overflow float16
        assert_same(ours.float()(half), theirs.float()(half.float()).half(), 2e-3)


def test_gelu_is_torchs_in_both_forms(solution):
    x = torch.linspace(-9, 9, 181, requires_grad=True)
    for ours, form in ((solution.layers.gelu, "none"), (solution.layers.gelu_tanh, "tanh")):
        assert_same(ours(x), F.gelu(x, approximate=form))
        assert_same(gradients(ours(x), x), gradients(F.gelu(x, approximate=form), x), 1e-11)
        half = torch.tensor([-200.0, -1.0, 0.5, 200.0], dtype=torch.float16)
        assert_same(ours(half), F.gelu(half.float(), approximate=form).half(), 1e-3)


@pytest.mark.parametrize("form", ["tanh", "none"])
def test_block_is_torchs_encoder_layer_with_norm_first(solution, form):
    theirs = nn.TransformerEncoderLayer(12, 3, 48, 0.0, lambda x: F.gelu(x, approximate=form), norm_first=True, batch_first=True)
    ours = solution.block.Block(12, 3)
    ours.mlp.approximate = form
    names = {"attention.qkv.weight": "self_attn.in_proj_weight", "attention.qkv.bias": "self_attn.in_proj_bias"}
    layers = {"attention.proj": "self_attn.out_proj", "norm_attention": "norm1", "norm_mlp": "norm2"}
    layers |= {"mlp.expand": "linear1", "mlp.contract": "linear2"}
    names |= {f"{us}.{kind}": f"{them}.{kind}" for us, them in layers.items() for kind in ("weight", "bias")}
    copy(ours, fill(theirs), names)
    x = torch.randn(2, 7, 12, requires_grad=True)
    expected = theirs(x, src_mask=torch.ones(7, 7).triu(1).bool())
    assert_same(ours(x), expected)
    ours_parameters, theirs_parameters = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert_same(
        gradients(ours(x), [x, *(ours_parameters[name] for name in names)]),
        gradients(expected, [x, *(theirs_parameters[name] for name in names.values())]),
        1e-10,
    )
    post = nn.TransformerEncoderLayer(12, 3, 48, 0.0, lambda x: F.gelu(x, approximate=form), batch_first=True)
    post.load_state_dict(theirs.state_dict())
    after = solution.block.PostNormBlock(12, 3)
    after.load_state_dict(ours.state_dict())
    after.mlp.approximate = form
    assert_same(after(x), post(x, src_mask=torch.ones(7, 7).triu(1).bool()))


def test_three_dropouts_act_in_a_block_and_none_in_evaluation(solution):
    block = fill(solution.block.Block(8, 2, dropout=0.25))
    probabilities = [module.p for module in block.modules() if isinstance(module, nn.Dropout)]
    assert probabilities == [0.25] * 3
    x = torch.randn(1, 5, 8)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
    _, weights = block.train().attention(x, return_weights=True)
    assert_same(weights.sum(-1), torch.ones(1, 2, 5))


def test_sinusoids_are_the_paper_read_entry_by_entry(solution):
    for base in (10_000.0, 50.0):
        expected = torch.tensor(
            [
                [(math.sin, math.cos)[c % 2](p / base ** (2 * (c // 2) / 6)) for c in range(6)]  # §3.5, word by word
                for p in range(40)
            ]
        )
        assert_same(solution.positions.sinusoidal_positions(40, 6, base), expected)
    half = solution.positions.sinusoidal_positions(400, 4, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert_same(half, solution.positions.sinusoidal_positions(400, 4).to(torch.bfloat16), 0.01)


def test_learned_positions_are_rows_added_to_every_text(solution):
    table = fill(solution.positions.LearnedPositions(9, 4))
    x = torch.randn(2, 3, 5, 4)
    assert_same(table(x, 4), x + table.weight[4:9].expand(2, 3, 5, 4))
    with pytest.raises(ValueError, match="table holds 0 to 8"):
        table(x, 5)


def gpt2_key(name: str) -> str:
    """Name of the same weight in Hugging Face's GPT-2."""
    parts = {"token_embedding": "wte", "positions": "wpe", "blocks": "h", "norm": "ln_f"}
    parts |= {"norm_attention": "ln_1", "norm_mlp": "ln_2", "attention": "attn", "qkv": "c_attn", "proj": "c_proj"}
    parts |= {"expand": "c_fc", "contract": "c_proj"}
    key = ".".join(parts.get(word, word) for word in name.split("."))
    return "lm_head.weight" if name == "head.weight" else f"transformer.{key}"


def test_gpt_is_hugging_faces_gpt2(solution):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=50, n_positions=16, n_embd=24, n_head=4, n_layer=3, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
            bos_token_id=0, eos_token_id=0, attn_implementation="eager",
        )
    ).double()  # fmt: skip
    model = fill(solution.model.GPT(solution.model.GPTConfig(50, 16, 24, 4, 3))).double()
    state = theirs.state_dict()
    assert set(map(gpt2_key, model.state_dict())) == set(state)
    for name, parameter in model.state_dict().items():
        conv1d = parameter.ndim == 2 and name.startswith("blocks")  # their linear layers keep (in, out)
        state[gpt2_key(name)].copy_(parameter.T if conv1d else parameter)
    tokens = torch.randint(50, (2, 16))
    out, expected = model(tokens), theirs(tokens, output_attentions=True)
    assert_same(out, expected.logits, 1e-11)
    assert_same(solution.diagnostics.attention_maps(model, tokens), torch.stack(expected.attentions))
    out.logsumexp(-1).sum().backward()
    expected.logits.logsumexp(-1).sum().backward()
    wanted = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in model.named_parameters():
        conv1d = parameter.ndim == 2 and name.startswith("blocks")
        assert_same(parameter.grad.T if conv1d else parameter.grad, wanted[gpt2_key(name)], 1e-10)
    assert model.n_parameters() == theirs.num_parameters()


def test_initialisation_is_gpt2s(solution):
    model = solution.model.GPT(solution.model.GPTConfig(300, 100, 96, 4, 8, init_std=0.05))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            std = 0.05 / 4 if name.endswith(("attention.proj.weight", "mlp.contract.weight")) else 0.05
            assert abs(parameter.std().item() / std - 1) < 6 / math.sqrt(2 * parameter.numel())  # six deviations
        else:
            assert (parameter == float("norm" in name and name.endswith("weight"))).all()
    assert model.head.weight is model.token_embedding.weight


def test_looking_inside_leaves_no_trace(solution):
    model = solution.model.GPT(solution.model.GPTConfig(11, 8, 8, 2, 2, dropout=0.5))
    model.blocks[0].mlp.eval()
    before = [module.training for module in model.modules()]
    tokens = torch.randint(11, (2, 6))
    maps = solution.diagnostics.attention_maps(model, tokens)
    assert maps.shape == (2, 2, 2, 6, 6)
    assert not maps.requires_grad
    assert_same(maps, solution.diagnostics.attention_maps(model, tokens))
    with pytest.raises(ValueError, match=r"in the vocabulary|must lie in"):
        solution.diagnostics.attention_maps(model, tokens + 11)
    assert [module.training for module in model.modules()] == before
    with pytest.raises(ValueError, match=r"token_embedding\.weight"):
        solution.diagnostics.gradient_norms(model)
    model(tokens).square().sum().backward()
    norms = solution.diagnostics.gradient_norms(model)
    assert list(norms) == ["embedding", "blocks.0", "blocks.1", "norm"]
    total = nn.utils.clip_grad_norm_(model.parameters(), math.inf).item()
    assert math.isclose(math.hypot(*norms.values()), total, rel_tol=1e-12)


def test_given_has_the_names_and_keys_of_the_reference(reference, given):
    for module in MODULES:
        ours, theirs = getattr(reference, module), getattr(given, module)
        for name, thing in vars(ours).items():
            if getattr(thing, "__module__", "").startswith("a01_transformer"):
                assert hasattr(theirs, name), f"given.{module} lacks {name}"
    config = (13, 8, 12, 3, 2)
    for bias in (True, False):
        models = [side.model.GPT(side.model.GPTConfig(*config, bias=bias)) for side in (reference, given)]
        models[1].load_state_dict(fill(models[0]).state_dict())
        tokens = torch.randint(13, (2, 8))
        assert_same(models[0](tokens), models[1](tokens))
        assert list(models[0].state_dict()) == list(models[1].state_dict())
        assert models[0].n_parameters(False) == models[1].n_parameters(False)
