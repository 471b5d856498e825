"""The reference against code that others wrote: torch.nn.functional, torch.autograd, torch.finfo, torch.amp; and `given` alike.

Where a number depends on a clock or on the allocator's mood, a device of our own or tensors of known size stand in.
"""

import itertools
import json
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

pytestmark = pytest.mark.usefixtures("one_thread")
MODULES = ("device", "numerics", "layers", "precision", "profiling")
INF = math.inf


@pytest.fixture(scope="module")
def reference(load):
    return load("reference", "a00_foundations", MODULES)


@pytest.fixture(scope="module")
def given(load):
    return load("assignments", "given.a00_foundations", MODULES)


@pytest.fixture(params=["reference", "given"])
def solution(request):
    return request.getfixturevalue(request.param)


def assert_same(ours, theirs, tolerance=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=False)


def gradient(out, x):
    return torch.autograd.grad(out, x, torch.cos(torch.arange(out.numel()).to(out)).view_as(out))[0]


# device


def test_every_wish_on_every_machine(solution):
    for cuda, mps in itertools.product((0, 1, 3), (0, 1)):
        counts = {"cuda": cuda, "mps": mps, "cpu": 1}
        there = [kind for kind in counts if counts[kind]]
        assert solution.device.pick_device(None, counts) == torch.device(there[0])
        for kind, number in itertools.product(counts, (None, 0, 1, 2, 3)):
            wish = kind if number is None else f"{kind}:{number}"
            if (number or 0) < counts[kind]:
                assert solution.device.pick_device(wish, counts) == torch.device(wish)
            else:
                with pytest.raises(ValueError, match=there[-1]):
                    solution.device.pick_device(wish, counts)


def test_seeded_training_repeats_bit_for_bit(solution):
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark

    def weights(seed: int) -> tuple[torch.Tensor, float, float]:
        solution.device.seed_everything(seed)
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(5, 6)).square().sum().backward()
            optimizer.step()
        return nn.utils.parameters_to_vector(model.parameters()).detach(), random.random(), float(np.random.random())

    try:
        first, again, other = weights(5), weights(5), weights(6)
        assert torch.equal(first[0], again[0]) and first[1:] == again[1:]
        assert not torch.equal(first[0], other[0]) and first[1] != other[1] and first[2] != other[2]
        with pytest.raises(RuntimeError, match="deterministic"):
            F.max_unpool1d(torch.ones(1, 1, 2), torch.tensor([[[0, 2]]]), 2)  # a kernel that is not
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark


# numerics


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_four_functions_are_torchs(solution, scale, dim):
    x = (torch.randn(3, 5, 4, dtype=torch.float64) * scale).requires_grad_()
    pairs = [
        (solution.numerics.softmax(x, dim), x.softmax(dim)),
        (solution.numerics.log_softmax(x, dim), x.log_softmax(dim)),
        (solution.numerics.logsumexp(x, dim), x.logsumexp(dim)),
        (solution.numerics.logsumexp(x, dim, keepdim=True), x.logsumexp(dim, keepdim=True)),
    ]
    for ours, theirs in pairs:
        assert_same(ours, theirs)
        assert_same(gradient(ours, x), gradient(theirs, x), 1e-11 if scale < 1e3 else 1e-10)
    assert_same(solution.numerics.row_shift(x, dim), x.detach().amax(dim, keepdim=True))


def test_loss_is_torchs(solution):
    for shape in ((4, 7), (2, 3, 7)):
        logits, targets = (torch.randn(*shape, dtype=torch.float64) * 9).requires_grad_(), torch.randint(7, shape[:-1])
        ours = solution.numerics.cross_entropy(logits, targets)
        theirs = F.cross_entropy(logits.reshape(-1, 7), targets.reshape(-1))
        assert_same(ours, theirs)
        assert_same(gradient(ours, logits), gradient(theirs, logits))


def test_rows_of_minus_infinity_are_as_if_they_were_not_there(solution):
    x = torch.tensor([[0.3, -INF, 2.0], [-INF] * 3, [-INF, 4.0, -INF]], dtype=torch.float64, requires_grad=True)
    sound = x[::2].softmax(-1)
    shares = solution.numerics.softmax(x)
    assert_same(shares[::2], sound)
    assert (shares[1] == 0).all()
    assert (solution.numerics.log_softmax(x)[1] == -INF).all()
    assert solution.numerics.logsumexp(x)[1] == -INF
    for out in (shares.square().sum(), solution.numerics.logsumexp(x)[::2].sum()):
        slope = torch.autograd.grad(out, x)[0]
        assert slope.isfinite().all() and (slope[1] == 0).all()


def test_narrow_formats_are_computed_in_float32(solution):
    for dtype in (torch.float16, torch.bfloat16):
        x = (torch.randn(6, 300) * 3).to(dtype)
        for ours, theirs in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
            out = getattr(solution.numerics, ours)(x)
            assert out.dtype == dtype
            assert_same(out, theirs(x.double(), -1).to(dtype), torch.finfo(dtype).eps)
        loss = solution.numerics.cross_entropy(x, torch.arange(6))
        assert loss.dtype == torch.float32
        assert_same(loss, F.cross_entropy(x.float(), torch.arange(6)), 1e-6)


def test_gradient_check_agrees_with_torchs(solution):
    x, y = (torch.randn(3, 4, dtype=torch.float64) for _ in range(2))
    right = lambda x, y: (x.softmax(-1) * y.sin()).sum()

    class Doubled(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    wrong = lambda x, y: (Doubled.apply(x) * y).sum()
    leaves = [t.clone().requires_grad_() for t in (x, y)]
    assert torch.autograd.gradcheck(right, leaves)
    assert solution.numerics.gradient_check(right, [x, y]) < 1e-8
    assert not torch.autograd.gradcheck(wrong, leaves, raise_exception=False)
    assert 0.4 < solution.numerics.gradient_check(wrong, [x, y]) < 0.6  # the doubled one is the largest
    found = solution.numerics.central_difference(right, [x, y])
    for ours, theirs in zip(found, torch.func.grad(right, (0, 1))(x, y), strict=True):
        assert_same(ours, theirs, 1e-9)


# layers


@pytest.mark.parametrize(("std", "cut"), [(1.0, 2.0), (0.02, 2.0), (3.0, 0.7), (0.5, 3.5)])
def test_truncated_normal_has_the_density_of_a_bell_that_was_cut(solution, std, cut):
    """Twenty equal shares of the distribution, by torch's own quantiles; six deviations of a count (4e-8 for all twenty)."""
    bell, n = torch.distributions.Normal(0.0, 1.0), 100_000
    grid = torch.linspace(-cut, cut, 200_001, dtype=torch.float64)
    density = bell.log_prob(grid).exp()
    wide = std / math.sqrt((grid.square() * density).sum() / density.sum())  # by quadrature, not by formula
    values = solution.layers.truncated_normal_(torch.empty(n), std, cut) / wide
    assert values.abs().max() <= cut * (1 + 1e-6)
    low = bell.cdf(torch.tensor(-cut))
    edges = bell.icdf(low + (1 - 2 * low) * torch.arange(1, 20) / 20)
    counts = torch.bincount(torch.bucketize(values, edges), minlength=20)
    assert (counts - n / 20).abs().max() < 6 * math.sqrt(n * 0.05 * 0.95)


def test_kaiming_is_torchs_for_relu(solution):
    ours = solution.layers.kaiming_normal_(torch.empty(40, 70), generator=torch.Generator().manual_seed(3))
    theirs = nn.init.kaiming_normal_(torch.empty(40, 70), nonlinearity="relu", generator=torch.Generator().manual_seed(3))
    assert_same(ours, theirs, 1e-6)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 1, 3, 4), (0, 4)])
def test_linear_is_torchs(solution, shape):
    for bias in (False, True):
        ours, theirs = solution.layers.Linear(4, 6, bias=bias).double(), nn.Linear(4, 6, bias=bias).double()
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        assert_same(ours(x), theirs(x))
        assert_same(gradient(ours(x), x), gradient(theirs(x), x))
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_same(gradient(ours(x), a), gradient(theirs(x), b))


def test_embedding_is_torchs(solution):
    ours, theirs = solution.layers.Embedding(9, 5), nn.Embedding(9, 5)
    ours.load_state_dict(theirs.state_dict())
    for tokens in (torch.randint(9, (2, 3, 4)), torch.tensor(8), torch.tensor([1, 1, 1], dtype=torch.int32)):
        assert_same(ours(tokens), theirs(tokens.long()))
        assert_same(gradient(ours(tokens), ours.weight), gradient(theirs(tokens.long()), theirs.weight), 1e-6)


# precision


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_limits_are_torchs(solution, dtype):
    bits = {torch.float32: (8, 23), torch.float16: (5, 10), torch.bfloat16: (8, 7), torch.float8_e5m2: (5, 2)}[dtype]
    found, info = solution.precision.limits(solution.precision.FloatFormat(*bits)), torch.finfo(dtype)
    assert found.largest == info.max and found.smallest_normal == info.tiny and found.epsilon == info.eps
    assert found.smallest_subnormal == info.tiny * info.eps


@pytest.mark.parametrize("name", ["FLOAT32", "FLOAT16", "BFLOAT16"])
def test_rounding_is_that_of_the_hardware(reference, name):
    """All 65,536 numbers of the format or of bfloat16, the halves between them, and numbers of every size."""
    layout, dtype = getattr(reference.precision, name), getattr(torch, name.lower())
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    held = every.view(torch.float16 if dtype == torch.float16 else torch.bfloat16).double()
    between = (held[1:] + held[:-1]) / 2
    # The hardware gets to 16 bits by way of float32, which would round twice what float32 does not hold.
    source = torch.float64 if dtype == torch.float32 else torch.float32
    scattered = torch.randn(40_000, dtype=source) * 2.0 ** torch.randint(-120, 120, (40_000,)).to(source)
    for sound in (held, between, scattered.double()):
        ours, theirs = reference.precision.round_to(sound, layout), sound.to(torch.float32).to(dtype).double()
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(ours[~ours.isnan()], theirs[~theirs.isnan()])
        assert torch.equal(torch.signbit(ours[~ours.isnan()]), torch.signbit(theirs[~theirs.isnan()]))


def test_scaler_is_torchs(solution):
    ours = solution.precision.LossScaler(1024.0, growth=4.0, backoff=0.25, interval=2)
    scale, good = torch.tensor(1024.0), torch.tensor(0, dtype=torch.int32)
    for finite in random.Random(0).choices((True, False), (4, 1), k=60):
        ours.update(finite)
        torch._amp_update_scale_(scale, good, torch.tensor(float(not finite)), 4.0, 0.25, 2)
        assert ours.scale == scale.item() and ours.good_steps == good.item()


def test_step_is_that_of_torch_amp(solution):
    models = [nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [torch.optim.AdamW(m.parameters(), lr=0.01) for m in models]
    ours = solution.precision.LossScaler(2.0**40, interval=3)  # so large that the first steps overflow
    theirs = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=3)
    skipped = 0
    for _ in range(30):
        x, y = torch.randn(16, 5), torch.randn(16, 3)
        loss_of = lambda model, x=x, y=y: F.mse_loss(model(x).float(), y)
        step = solution.precision.mixed_precision_step(
            models[0], lambda: loss_of(models[0]), optimizers[0], ours, torch.float16, 0.5
        )
        optimizers[1].zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = loss_of(models[1])
        theirs.scale(loss).backward()
        theirs.unscale_(optimizers[1])
        norm = nn.utils.clip_grad_norm_(models[1].parameters(), 0.5)
        theirs.step(optimizers[1])
        theirs.update()
        assert step.loss == loss.item() and step.skipped == (not norm.isfinite()) and ours.scale == theirs.get_scale()
        skipped += step.skipped
    assert 0 < skipped < 30
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert_same(a, b, 1e-6)


def test_bytes_of_a_state_are_those_of_an_optimiser(solution):
    model = nn.Linear(30, 20)
    n = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 30)).sum().backward()
    optimizer.step()
    moments = sum(t.nbytes for state in optimizer.state.values() for t in state.values() if t.ndim)
    expected = {"weights": sum(p.nbytes for p in model.parameters()), "gradients": sum(p.grad.nbytes for p in model.parameters())}
    assert solution.precision.state_bytes(n) == expected | {"optimiser": moments}
    assert sum(solution.precision.state_bytes(n, torch.bfloat16, torch.bfloat16).values()) == 16 * n  # ZeRO, §3.1


def test_activations_are_what_the_products_need(reference):
    x, w, v = torch.randn(7, 5), torch.randn(5, 11, requires_grad=True), torch.randn(11, 3, requires_grad=True)
    kept = reference.precision.activation_bytes(lambda: (x @ w).relu() @ v, [x, w, v])
    assert kept == 7 * 11 * 4  # the output of the ReLU, which its own backward pass and the product share
    assert reference.precision.activation_bytes(lambda: x @ w, [x, w]) == 0


# profiling


def test_operations_are_those_that_torch_counts(solution):
    """A GPT on tensors without memory, every product counted by torch's own counter, forward and backward."""
    batch_size, seq_len, d_model, n_layers, vocab_size, d_ff = 2, 6, 8, 3, 17, 20

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = nn.Linear(d_model, 3 * d_model, bias=False), nn.Linear(d_model, d_model, bias=False)
            self.up, self.down = nn.Linear(d_model, d_ff, bias=False), nn.Linear(d_ff, d_model, bias=False)

        def forward(self, x):
            q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
            x = x + self.proj(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))
            return x + self.down(self.up(x).relu())

    with torch.device("meta"):
        model = nn.Sequential(*[Layer() for _ in range(n_layers)], nn.Linear(d_model, vocab_size, bias=False))
        x = torch.randn(batch_size, seq_len, d_model, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        out = model(x)
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    ours = sum(solution.profiling.forward_flops(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff).values())
    assert ours == forward.get_total_flops()
    assert solution.profiling.training_flops(ours) == forward.get_total_flops() + backward.get_total_flops()


def test_time_of_a_known_sleep(solution):
    import time

    timing = solution.profiling.time_it(lambda: time.sleep(0.02), repeats=3, warm_up=1)
    assert len(timing.seconds) == 3 and all(s > 0.019 for s in timing.seconds) and timing.median == sorted(timing.seconds)[1]


def test_trace_can_be_read_and_peak_is_that_of_known_tensors(solution, tmp_path):
    a = torch.randn(8, 8)
    path = solution.profiling.write_trace(lambda: a @ a, tmp_path / "deep" / "trace.json")
    assert "aten::mm" in {event.get("name") for event in json.loads(path.read_text())["traceEvents"]}

    def function():
        first = torch.empty(3 << 20, dtype=torch.uint8)
        second = torch.empty(2 << 20, dtype=torch.uint8)
        del first
        return torch.empty(1 << 20, dtype=torch.uint8), second

    assert solution.profiling.peak_memory(function) == 5 << 20


def test_share_of_peak_is_bounded(solution):
    assert solution.profiling.share_of_peak(10**12, 2.0, 10**12) == 0.5
    with pytest.raises(ValueError):
        solution.profiling.share_of_peak(10**12, 0.5, 10**12)


def test_given_has_the_names_of_the_reference(reference, given):
    left_out = {"precision.round_to", "precision.activation_bytes"}  # nothing builds on them
    for module in MODULES:
        for name, thing in vars(getattr(reference, module)).items():
            if getattr(thing, "__module__", "").startswith("a00_foundations") and f"{module}.{name}" not in left_out:
                assert hasattr(getattr(given, module), name), f"given.{module} lacks {name}"
    for bias in (False, True):
        assert list(reference.layers.Linear(2, 3, bias).state_dict()) == list(given.layers.Linear(2, 3, bias).state_dict())
