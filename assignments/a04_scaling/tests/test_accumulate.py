"""Checks of accumulate.py."""

import torch
import torch.nn.functional as F
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import all_of, fits_in_memory, limits, matches_reference, needs, part, refusal, same, satisfies

IGNORE = -100
PARTS = ("accumulate.count_targets", "accumulate.summed_loss")


def padded(draw, batch_size, seq_len, lengths, vocab=11):
    """Inputs and targets whose sequences have these many targets that count. The rest is IGNORE."""
    inputs, targets = draw.integers(0, vocab, batch_size, seq_len), draw.integers(0, vocab, batch_size, seq_len)
    return inputs, targets.masked_fill(torch.arange(seq_len) >= torch.tensor(lengths)[:, None], IGNORE)


def small_model(draw):
    """Vectors, a layer, and logits of 11 tokens."""
    return draw.fill_(nn.Sequential(nn.Embedding(11, 6), nn.Tanh(), nn.Linear(6, 11)))


def gradients(model):
    """The gradient of each parameter by name, None where there is none."""
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@part("accumulate.split_batch")
@weight(1)
@matches_reference
def test_rows_are_shared_out(solution, draw):
    """All sequences in their order, in as many micro-batches as asked for, sizes that differ by one at most, the larger first."""
    split = solution.accumulate.split_batch
    batch = draw.integers(0, 50, 9, 3), draw.integers(0, 50, 9, 3)
    return {
        "seven in three": [list(micro_batch) for micro_batch in split(tuple(x[:7] for x in batch), 3)],
        "nine in four": [list(micro_batch) for micro_batch in split(batch, 4)],
        "sizes": [[len(micro_batch[0]) for micro_batch in split(batch, n)] for n in (1, 2, 5, 6, 9)],
        "refused": [refusal(lambda n=n: split(batch, n)) for n in (0, 10)],
    }


@part("accumulate.count_targets")
@weight(1)
@matches_reference
def test_targets_that_count(solution, draw):
    """Targets of all micro-batches that are not IGNORE; token 0 counts, and a micro-batch may hold none that does."""
    count, batch = solution.accumulate.count_targets, padded(draw, 4, 6, [6, 1, 0, 3])
    zeros = torch.zeros(2, 3, dtype=torch.int64)
    micro_batches = [tuple(x[:3] for x in batch), tuple(x[3:] for x in batch)]
    total = count(micro_batches)
    drawn = padded(draw, 8, 60, draw.integers(0, 61, 8).tolist())
    return {
        "total": total,
        "drawn": [count([tuple(x[i : i + 1] for x in drawn)]) for i in range(8)],
        "kind": type(total).__name__,
        "zeros": count([(zeros, zeros)]),
        "none": [count([]), count([tuple(x[2:3] for x in batch)])],
    }


@part("accumulate.summed_loss")
@weight(1)
@matches_reference
def test_sum_over_targets(solution, draw):
    """The sum, not the mean, of −ln p over targets that count, with its gradient; for any leading axes."""
    logits, targets = draw.normal(3, 4, 7, scale=3.0).requires_grad_(), padded(draw, 3, 4, [4, 0, 2], 7)[1]
    loss = solution.accumulate.summed_loss(logits, targets)
    flat = solution.accumulate.summed_loss(draw.normal(5, 7), draw.integers(0, 7, 5))
    deep = solution.accumulate.summed_loss(draw.normal(2, 2, 3, 7), draw.integers(0, 7, 2, 2, 3))
    return {"loss": loss, "grad": draw.backward(loss), "one axis": flat, "three axes": deep}


@part("accumulate.summed_loss")
@weight(1)
@matches_reference
def test_padding_alone_is_zero(solution, draw):
    """Where no target counts the sum is 0 and its gradient 0, not NaN, whatever the logits are."""
    logits = draw.normal(2, 3, 5, scale=1e4).requires_grad_()
    loss = solution.accumulate.summed_loss(logits, torch.full((2, 3), IGNORE))
    beside = solution.accumulate.summed_loss(draw.normal(1, 2, 5), torch.tensor([[2, IGNORE]]))
    return {"loss": loss, "grad": draw.backward(loss), "beside a target": beside}


@part("accumulate.summed_loss")
@weight(1)
@matches_reference
def test_sixteen_bits_are_summed_in_thirty_two(solution, draw):
    """Logits of 16 bits give a float32 sum that is exact to float32; float64 stays float64."""
    targets = draw.integers(0, 9, 40, 50)
    half = draw.normal(40, 50, 9, scale=4.0, dtype=torch.float16)
    brain = draw.normal(40, 50, 9, scale=4.0, dtype=torch.bfloat16).requires_grad_()
    loss = solution.accumulate.summed_loss(brain, targets)
    loss.backward()
    real = torch.get_default_dtype()
    return {
        "float16": solution.accumulate.summed_loss(half, targets),
        "bfloat16": loss,
        "float64": solution.accumulate.summed_loss(half.double(), targets),
        "grad keeps its dtype": brain.grad.dtype == brain.dtype,
        "grad of the first": brain.grad[0, :3].to(real),
    }


@part("accumulate.accumulate_gradients")
@needs("accumulate.split_batch", *PARTS)
@weight(1.5)
@satisfies(
    all_of(*(same(f"micro-batches.{name}", f"whole.{name}") for name in ("0.weight", "2.weight", "2.bias")), same("mean", "loss"))
)
def test_parts_give_the_gradient_of_the_whole(solution, draw):
    """Uneven padding and all: gradients and loss of the micro-batches are those of PyTorch's mean over the whole batch."""
    model = small_model(draw)
    batch = padded(draw, 7, 5, [5, 1, 2, 0, 5, 3, 1])
    loss = F.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten(), ignore_index=IGNORE)
    loss.backward()
    whole = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    mean = solution.accumulate.accumulate_gradients(model, solution.accumulate.split_batch(batch, 3))
    return {"micro-batches": gradients(model), "whole": whole, "mean": mean, "loss": loss.item()}


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_one_part_may_be_all_padding(solution, draw):
    """Micro-batches of any sizes, one with a single target, one with none, are weighed by their targets; the mean is a number."""
    model = small_model(draw)
    micro_batches = [padded(draw, *sizes) for sizes in ((2, 4, [4, 4]), (1, 6, [1]), (3, 2, [0, 0, 0]), (1, 3, [3]))]
    mean = solution.accumulate.accumulate_gradients(model, micro_batches)
    nothing = refusal(lambda: solution.accumulate.accumulate_gradients(small_model(draw), micro_batches[2:3]))
    return {"gradients": gradients(model), "mean": mean, "kind": type(mean).__name__, "nothing to divide by": nothing}


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_gradients_that_are_there_stay(solution, draw):
    """What stands in .grad already stays in the sum; parameters themselves do not move; a frozen one gets no gradient."""
    model, micro_batches = small_model(draw), [padded(draw, 2, 3, [3, 1]), padded(draw, 1, 3, [2])]
    model[2].weight.requires_grad_(False)
    model[2].bias.grad = draw.normal(11).clone()
    mean = solution.accumulate.accumulate_gradients(model, micro_batches)
    once = model[0].weight.grad.clone()
    again = solution.accumulate.accumulate_gradients(model, micro_batches)
    return {
        "once": once,
        "gradients": gradients(model),
        "means": [mean, again],
        "parameters": [p * 1.0 for p in model.parameters()],
    }


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_total_is_what_is_divided_by(solution, draw):
    """With a total, gradients and the loss that comes back are this share of a batch with that many targets; 0 is a ValueError."""
    model, micro_batches = small_model(draw), [padded(draw, 2, 3, [3, 1]), padded(draw, 1, 3, [2])]
    share = solution.accumulate.accumulate_gradients(model, micro_batches, 15)
    seen = {"share": share, "gradients": {name: gradient.clone() for name, gradient in gradients(model).items()}}
    none = solution.accumulate.accumulate_gradients(small_model(draw), [], 4)
    return seen | {
        "no micro-batches": none,
        "zero": refusal(lambda: solution.accumulate.accumulate_gradients(model, micro_batches, 0)),
    }


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_scale_is_in_the_gradient_and_not_in_the_loss(solution, draw):
    """Gradients are those of scale times the loss, and what comes back is the loss without it."""
    model, micro_batches = small_model(draw), [padded(draw, 2, 3, [3, 1]), padded(draw, 1, 3, [2])]
    mean = solution.accumulate.accumulate_gradients(model, micro_batches, scale=1024.0)
    return {"gradients": gradients(model), "mean": mean}


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(0.5)
@matches_reference
def test_autocast_is_on_where_it_is_asked_for(solution, draw):
    """Each micro-batch runs under autocast of this dtype, and without for float32; gradients are the parameters' kind."""
    model, micro_batches, seen = small_model(draw), [padded(draw, 2, 3, [3, 1]), padded(draw, 1, 3, [2])], []
    model.register_forward_hook(lambda *_: seen.append(f"{torch.is_autocast_enabled('cpu')} {torch.get_autocast_dtype('cpu')}"))
    solution.accumulate.accumulate_gradients(model, micro_batches, dtype=torch.bfloat16)
    lower = list(seen)
    solution.accumulate.accumulate_gradients(model, micro_batches)
    full = list(seen[2:])
    for in_bfloat16 in draw.bernoulli(0.5, 10).tolist():
        solution.accumulate.accumulate_gradients(model, micro_batches, **({"dtype": torch.bfloat16} if in_bfloat16 else {}))
    return {
        "bfloat16": lower,
        "float32": [one.split()[0] for one in full],
        "drawn": [one.split()[0] for one in seen[4:]],
        "off afterwards": torch.is_autocast_enabled("cpu"),
        "kinds": all(p.grad.dtype == p.dtype for p in model.parameters()),
    }


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(0.5)
@matches_reference
def test_each_part_goes_back_before_the_next_one_comes(solution, draw):
    """Each micro-batch has its forward and backward pass before the next one, so one graph is in memory at a time."""
    model, order = small_model(draw), []
    model.register_forward_hook(lambda *_: order.append("forward"))
    model[2].bias.register_hook(lambda gradient: order.append("backward"))
    mean = solution.accumulate.accumulate_gradients(model, [padded(draw, 1, 3, [n]) for n in (3, 2, 1)])
    return {"order": " ".join(order), "mean": mean}


@part("accumulate.accumulate_gradients")
@needs(*PARTS)
@weight(0.5)
@limits(seconds=30)
@fits_in_memory(growth=4 << 20)
def test_more_parts_need_no_more_memory(solution, draw):
    """Sixteen micro-batches take the memory of two; each of them has logits of 2 MB."""
    model = nn.Sequential(nn.Embedding(512, 16), nn.Linear(16, 512)).to(torch.float32)
    draw.fill_(model)
    yield
    for n_micro_batches in (2, 16):
        model.zero_grad()
        micro_batches = [padded(draw, 8, 128, [128] * 8, 512) for _ in range(n_micro_batches)]
        yield {"mean": solution.accumulate.accumulate_gradients(model, micro_batches)}
