"""Checks of precision.py."""

import math

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import exactly_zero, matches_reference, needs, part, refusal, satisfies


def all_limits(solution, draw, *bits: tuple[int, int]) -> dict[str, dict[str, str]]:
    """The limits of these formats and of three drawn ones as text, every digit of them, because one unit in the last place is a mistake here."""
    precision = solution.precision
    found = {f"e{e}m{m}": precision.limits(precision.FloatFormat(e, m)) for e, m in bits}
    drawn = zip(draw.integers(3, 10, 3).tolist(), draw.integers(2, 40, 3).tolist(), strict=True)
    found |= {f"drawn {i}": precision.limits(precision.FloatFormat(e, m)) for i, (e, m) in enumerate(drawn)}
    names = ("largest", "smallest_normal", "smallest_subnormal", "epsilon")
    return {name: {field: repr(float(getattr(limits, field))) for field in names} for name, limits in found.items()}


@part("precision.limits")
@weight(2)
@matches_reference
def test_limits_of_the_formats_in_use(solution, draw):
    """float32, float16 and bfloat16 end where torch.finfo says, to the last digit."""
    return all_limits(solution, draw, (8, 23), (5, 10), (8, 7))


@part("precision.limits")
@weight(2)
@matches_reference
def test_limits_of_other_formats(solution, draw):
    """From two exponent bits and one of mantissa up to ten and fifty, the bits alone say what a format holds."""
    return all_limits(solution, draw, (5, 2), (4, 3), (2, 1), (10, 50), (6, 9))


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_numbers_go_to_their_nearest_neighbour(solution, draw):
    """Each number is rounded to the nearest that the format holds, whatever its size and sign; the result is float64."""
    round_to, formats = solution.precision.round_to, solution.precision
    x = draw.normal(3, 5, scale=3, dtype=torch.float64)
    rounded = {name: round_to(x, getattr(formats, name.upper())) for name in ("float32", "float16", "bfloat16")}
    return rounded | {
        "e5m2": round_to(x, formats.FloatFormat(5, 2)),
        "large": round_to(x * 2.0**90, formats.BFLOAT16),
        "small": round_to(x * 2.0**-90, formats.BFLOAT16),
    }


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_what_the_format_holds_stays(solution, draw):
    """Numbers that the format holds stay as they are, next to a power of two as well; float32, a number and a column will do."""
    round_to, formats = solution.precision.round_to, solution.precision
    powers = 2.0 ** torch.tensor([-3.0, 0, 1, 5, 12], dtype=torch.float32)
    below = torch.nextafter(powers, torch.zeros_like(powers))  # log2 of these in float32 is a whole number
    return {
        "below powers of two": round_to(below, formats.FLOAT32) - below.double(),
        "powers of two": round_to(powers, formats.FloatFormat(5, 2)) - powers.double(),
        "number": round_to(draw.tensor(2.71), formats.FLOAT16),
        "column": round_to(draw.normal(3, 4, dtype=torch.float64)[:, 1], formats.FLOAT16),
        "none": round_to(draw.normal(0, 2), formats.FLOAT16),
    }


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_halves_go_to_the_even_mantissa(solution, draw):
    """Between two neighbours lies a half, and it goes to the one whose last bit is 0: up as often as down."""
    halves = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 2 + 2**-7, 2 + 3 * 2**-7, 511.0, 513.0, -515.0, 1 + 2**-8 + 2**-30]
    halves += [n + 0.5 for n in draw.integers(128, 256, 8).tolist()]  # here neighbours in bfloat16 lie 1 apart
    return {"rounded": solution.precision.round_to(draw.tensor(halves, dtype=torch.float64), solution.precision.BFLOAT16)}


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_what_is_too_large_becomes_infinite(solution, draw):
    """What rounds beyond the largest number is ±inf, and what rounds to it is not; infinities and NaN stay what they are."""
    round_to, float16 = solution.precision.round_to, solution.precision.FLOAT16
    edge = [65504.0, 65519.99, -65519.99, 65520.0, -65520.0, 65536.0, -1e9, 1e300, math.inf, -math.inf]
    edge += draw.integers(33_000, 65_000, 4).tolist()
    return {
        "edge": round_to(draw.tensor(edge, dtype=torch.float64), float16),
        "largest of bfloat16": round_to(
            draw.tensor([3.389e38, 3.39e38, 3.396e38, 3.4e38], dtype=torch.float64), solution.precision.BFLOAT16
        ),
        "NaN": round_to(torch.tensor([math.nan, 1.0, math.inf]), float16).isnan(),
    }


@part("precision.round_to")
@needs("precision.limits")
@weight(1)
@matches_reference
def test_subnormal_numbers_are_kept(solution, draw):
    """Below the smallest normal number the steps stop shrinking, the smallest half goes to 0, and 0 keeps its sign."""
    round_to, float16 = solution.precision.round_to, solution.precision.FLOAT16
    known = [1, 0.5, 0.51, 1.5, 2.5, -3.4, 700.3, 1023.5, 1023.4, -1024.6, 2049, 0.1]
    steps = draw.tensor([*known, *(n / 4 for n in draw.integers(-4000, 4000, 4).tolist())], dtype=torch.float64)
    out = round_to(steps * 2.0**-24, float16)
    zeros = round_to(draw.tensor([0.0, -0.0, -1e-9, 1e-300], dtype=torch.float64), float16)
    return {"in smallest steps": out * 2.0**24, "zeros": zeros, "negative": torch.signbit(zeros)}


@part("precision.LossScaler")
@weight(2)
@matches_reference
def test_scale_grows_after_good_steps_in_a_row(solution, draw):
    """After `interval` good steps in a row the scale grows, a bad one makes it smaller, and either starts the count again."""
    scaler, scales = solution.precision.LossScaler(scale=64.0, growth=8.0, backoff=0.25, interval=3), []
    known = (True, True, False, True, True, True, True, True, True, True, False, False, True, True, True)
    for finite in (*known, *draw.bernoulli(0.7, 25).tolist()):
        scaler.update(finite)
        scales.append(scaler.scale)
    return {"scales": scales}


@part("precision.LossScaler")
@weight(1)
@matches_reference
def test_scaler_has_the_usual_defaults(solution, draw):
    """It starts at 65,536, doubles after 2,000 good steps and halves after a bad one; what makes no sense is a ValueError."""
    build, scales = solution.precision.LossScaler, []
    scaler = build()
    for finite in [True] * 2000 + [False] + [True] * 2000:
        scaler.update(finite)
        scales.append(scaler.scale)
    bad = {"scale": 0, "growth": 1.0, "backoff": 1.0, "interval": 0}
    refused = {name: refusal(lambda name=name, value=value: build(**{name: value})) for name, value in bad.items()}
    return refused | {
        "drawn": build(scale=float(draw.integers(1, 2**20))).scale,
        "early": scales[0],
        "late": scales[1998:2002],
        "last": scales[3999:],
    }


def teacher(draw, size: int = 4) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A small model with known parameters, its inputs and what it should give."""
    model = nn.Sequential(nn.Linear(size, 5), nn.Tanh(), nn.Linear(5, 2))
    return draw.fill_(model), draw.normal(6, size), draw.normal(6, 2)


def parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(2)
@matches_reference
def test_step_is_that_of_plain_training(solution, draw):
    """In float32 the scale cancels: two steps do what backward, clipping and the optimiser do, and say what they did."""
    (model, x, y), precision = teacher(draw), solution.precision
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9), precision.LossScaler(1024.0, interval=2)
    loss_of = lambda: (model(x) - y).square().mean()
    steps = [precision.mixed_precision_step(model, loss_of, optimizer, scaler, torch.float32, 0.25) for _ in range(2)]
    done = [{"loss": s.loss, "gradient_norm": s.gradient_norm, "skipped": s.skipped} for s in steps]
    return {"steps": done, "parameters": parameters(model), "scale": scaler.scale}


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@matches_reference
def test_small_gradients_are_not_clipped(solution, draw):
    """Gradients that are small once the scale is off are left as they are, and the usual limit of their norm is 1."""
    (model, x, y), precision = teacher(draw), solution.precision
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    take = lambda factor, **rest: precision.mixed_precision_step(
        model, lambda: (model(x) - y).square().mean() * factor, optimizer, precision.LossScaler(4.0), torch.float32, **rest
    )
    norms = [take(0.01).gradient_norm, take(4.0).gradient_norm, take(4.0, max_norm=100.0).gradient_norm]
    return {"norms": norms, "parameters": parameters(model)}


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@satisfies(exactly_zero("moved"))
def test_step_with_an_infinite_gradient_is_skipped(solution, draw):
    """One gradient that is inf or NaN, and parameters, moments and decay stay as they are; the scaler hears of it."""
    (model, x, y), precision = teacher(draw), solution.precision
    optimizer, scaler = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5), precision.LossScaler(256.0, interval=3)
    bias, factor = model[0].bias, [1.0]
    loss_of = lambda: (model(x) - y).square().mean() + bias[0] * factor[0]
    step = lambda: precision.mixed_precision_step(model, loss_of, optimizer, scaler, torch.float32)
    first, kept = step(), parameters(model)
    moments = [{key: value.clone() for key, value in state.items()} for state in optimizer.state.values()]
    skipped, scales = [], [scaler.scale]
    for factor[0] in (math.inf, math.nan):
        skipped.append(step().skipped)
        scales.append(scaler.scale)
    now = [dict(state) for state in optimizer.state.values()]
    return {
        "moved": torch.cat([(value - kept[name]).flatten() for name, value in parameters(model).items()]),
        "moments kept": all(torch.equal(a[key], b[key]) for a, b in zip(moments, now, strict=True) for key in a),
        "skipped": [first.skipped, *skipped],
        "scales": scales,
        "parameters": parameters(model),
    }


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@matches_reference
def test_loss_is_scaled_before_backward(solution, draw):
    """A gradient of 2⁻³⁰ is 0 in float16, and arrives all the same, because it is 2¹⁶ times as large on its way."""
    model, x = nn.Linear(3, 2, bias=False).float(), draw.integers(-2, 3, 4, 3).float()
    nn.init.ones_(model.weight)
    optimizer, precision = torch.optim.SGD(model.parameters(), lr=2.0**28), solution.precision
    loss_of = lambda: model(x).float().sum() * 2.0**-30
    step = precision.mixed_precision_step(model, loss_of, optimizer, precision.LossScaler(), torch.float16)
    return {"parameters": parameters(model), "gradient_norm": step.gradient_norm * 2.0**30, "skipped": step.skipped}


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@matches_reference
def test_only_the_forward_pass_is_in_low_precision(solution, draw):
    """The loss is computed once, under autocast in the dtype asked for, and parameters and gradients stay float32."""
    model, x, events = nn.Linear(2, 3).float(), draw.integers(-3, 4, 5, 2).float(), []
    nn.init.constant_(model.weight, 0.5)
    nn.init.zeros_(model.bias)

    def loss_of():
        out = model(x)
        events.append(f"forward: {out.dtype}, autocast {torch.is_autocast_enabled('cpu')}")
        out.register_hook(lambda gradient: events.append(f"backward: autocast {torch.is_autocast_enabled('cpu')}"))
        return out.float().sum(-1).square().sum() / 4

    optimizer, precision = torch.optim.SGD(model.parameters(), lr=2**-10), solution.precision
    kinds = ({}, {"dtype": torch.float16}, {"dtype": torch.float32})
    for dtype in (*kinds, *(kinds[i] for i in draw.integers(0, 3, 7).tolist())):
        precision.mixed_precision_step(model, loss_of, optimizer, precision.LossScaler(scale=4.0), **dtype)
    found = {str(t.dtype) for parameter in model.parameters() for t in (parameter, parameter.grad)}
    return {"events": events, "kinds": sorted(found), "autocast is over": not torch.is_autocast_enabled("cpu")}


@part("precision.mixed_precision_step")
@needs("precision.LossScaler")
@weight(1)
@matches_reference
def test_gradients_of_earlier_steps_do_not_count(solution, draw):
    """What an earlier backward pass left is not added, and a parameter that the loss does not use stays where it is."""
    (model, x, y), precision = teacher(draw), solution.precision
    model.spare = draw.fill_(nn.Linear(2, 2, bias=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    loss_of = lambda: (model[2](model[1](model[0](x))) - y).square().mean()
    step = precision.mixed_precision_step(model, loss_of, optimizer, precision.LossScaler(8.0), torch.float32, max_norm=0.5)
    return {"parameters": parameters(model), "gradient_norm": step.gradient_norm, "loss": step.loss}


@part("precision.state_bytes")
@weight(1)
@matches_reference
def test_bytes_of_float32_training(solution, draw):
    """Weights, gradients and moments take four bytes for each parameter, and there are as many moments as the optimiser has."""
    count, n = solution.precision.state_bytes, int(draw.integers(100, 100_000))
    return {
        "AdamW": count(n),
        "momentum": count(n, moments=1),
        "SGD": count(7, moments=0),
        "float64": count(3, torch.float64, torch.float64),
    }


@part("precision.state_bytes")
@weight(1)
@matches_reference
def test_bytes_of_16_bit_training(solution, draw):
    """Weights of two bytes come with a float32 copy in the optimiser, whatever the gradients are."""
    count, n = solution.precision.state_bytes, int(draw.integers(100, 100_000))
    return {
        "bfloat16": count(n, torch.bfloat16, torch.bfloat16),
        "bfloat16, momentum": count(n, torch.bfloat16, moments=1),
        "float16, SGD": count(n, weights=torch.float16, gradients=torch.float16, moments=0),
        "float32 gradients": count(n, weights=torch.float16),
        "float16 gradients": count(n, gradients=torch.float16),
    }


@part("precision.activation_bytes")
@weight(1)
@matches_reference
def test_bytes_beyond_what_is_there_anyway(solution, draw):
    """Inputs and parameters, transposed ones too, are there anyway; what the backward pass needs besides them is counted."""
    rows = int(draw.integers(4, 1000))
    kept, x = solution.precision.activation_bytes, torch.ones(rows, 8, dtype=torch.float32)
    w, v = (torch.ones(8, 16, dtype=torch.float32, requires_grad=True) for _ in range(2))

    def function():
        return (((x @ w).relu() @ v.mT).exp() * x).sum()

    return {
        "all known": kept(function, [x, w, v]),
        "known by their ends": kept(function, [x[1:], w[3:], v]),
        "x unknown": kept(function, [w, v]),
        "nothing known": kept(function, []),
    }


@part("precision.activation_bytes")
@weight(1)
@matches_reference
def test_memory_that_is_shared_counts_once(solution, draw):
    """A result that is needed twice, and views of it, are one block of memory, which is kept as a whole."""
    rows = int(draw.integers(6, 1000))
    kept, x = solution.precision.activation_bytes, torch.ones(rows, 10, dtype=torch.float32, requires_grad=True)

    def function():
        y = x.exp()
        return (y * y + y.mT.sin().mT).sum() + y[2:4, ::5].cos().sum() + y[0].view(2, 5).tanh().sum()

    part_of_it = lambda: (x * 2)[0, :1].sin().sum()
    return {
        "bytes": kept(function, [x]),
        "one of many": kept(part_of_it, [x]),
        "generator": kept(function, iter([x])),
    }


@part("precision.activation_bytes")
@weight(1)
@matches_reference
def test_bytes_of_other_functions(solution, draw):
    """Sixteen bits take half of the memory, without gradients nothing is kept, and the function is run once."""
    kept, calls, rows = solution.precision.activation_bytes, [], int(draw.integers(3, 1000))
    wide, narrow = (torch.ones(rows, 5, 7, dtype=dtype, requires_grad=True) for dtype in (torch.float32, torch.bfloat16))
    twice = lambda x: (calls.append(1), x.exp().exp().sum())[1]
    return {
        "float32": kept(lambda: twice(wide), [wide]),
        "bfloat16": kept(lambda: twice(narrow), [narrow]),
        "without gradients": kept(lambda: twice(wide.detach()), [wide]),
        "two results": kept(lambda: (wide.exp(), narrow.exp()), [wide, narrow]),
        "calls": len(calls),
    }
