"""Checks of parallel.py: two or three ranks are threads of one worker, over a collective that stands here."""

import contextlib
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import all_of, at_most, matches_reference, needs, part, same, satisfies

IGNORE = -100
STEP = (
    *("accumulate.split_batch", "accumulate.count_targets", "accumulate.summed_loss", "accumulate.accumulate_gradients"),
    *("amp.Scaler", "amp.apply_gradients", "schedule.Scheduler", "parallel.global_count", "parallel.reduce_gradients"),
)


class Apart(RuntimeError):
    """The ranks do not do the same thing."""


class Ranks:
    """What one rank sees of the others, which are threads: a meeting for each call, where all must come with the same."""

    def __init__(self, rank, size, meeting, table):
        self.rank, self.size, self.meeting, self.table, self.calls = rank, size, meeting, table, []

    def all_reduce(self, tensor):
        self.calls.append(tensor.nbytes)
        given = self.meet(f"all_reduce of {tuple(tensor.shape)} {tensor.dtype}", tensor.detach().clone())
        with torch.no_grad():
            tensor.copy_(torch.stack(given).sum(0))

    def broadcast(self, tensor, source=0):
        self.calls.append(tensor.nbytes)
        given = self.meet(f"broadcast of {tuple(tensor.shape)} {tensor.dtype}", tensor.detach().clone())
        with torch.no_grad():
            tensor.copy_(given[source])

    def meet(self, what, tensor=None):
        """The tensors of all ranks. Apart if one of them does something else."""
        self.table[self.rank] = what, tensor
        self.meeting.wait(15)
        doing, tensors = zip(*[self.table[rank] for rank in range(self.size)], strict=True)
        self.meeting.wait(15)
        if len(set(doing)) > 1:
            raise Apart("; ".join(f"rank {rank}: {one}" for rank, one in enumerate(doing)))
        return list(tensors)


def on_ranks(size, work):
    """What `work(collective)` gives on each rank; the error of the lowest rank that has one is raised."""
    meeting, table, results, errors = threading.Barrier(size), {}, {}, {}

    def run(rank):
        torch.set_num_threads(1)
        collective = Ranks(rank, size, meeting, table)
        try:
            results[rank] = work(collective)
            collective.meet("is done")
        except Apart as error:
            errors.setdefault(rank, error)
        except BaseException as error:
            errors[rank] = error
            with contextlib.suppress(Apart):
                collective.meet(f"has failed: {type(error).__name__}")

    with ThreadPoolExecutor(size) as pool:
        list(pool.map(run, range(size)))
    for error in sorted(errors.values(), key=lambda error: isinstance(error, Apart)):
        raise error
    return [results[rank] for rank in range(size)]


def batch(draw, lengths, seq_len=5):
    """Sequences with these many targets that count."""
    inputs, targets = draw.integers(0, 11, len(lengths), seq_len), draw.integers(0, 11, len(lengths), seq_len)
    return inputs, targets.masked_fill(torch.arange(seq_len) >= torch.tensor(lengths)[:, None], IGNORE)


def small_model(draw):
    """Vectors, a layer, and logits of 11 tokens."""
    return draw.fill_(nn.Sequential(nn.Embedding(11, 6), nn.Tanh(), nn.Linear(6, 11)))


def values(module):
    """The parameters by name, as they are now."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def joined(module):
    """All parameters in one vector."""
    return torch.cat([value.flatten() for value in values(module).values()])


@part("parallel.shard_batch")
@weight(1)
@matches_reference
def test_each_row_is_one_ranks(solution, draw):
    """Shards are consecutive sequences, their sizes differ by one at most, the larger come first, and the last may be empty."""
    shard, whole = solution.parallel.shard_batch, (draw.integers(0, 50, 8, 2), draw.integers(0, 50, 8, 2))
    cut = lambda n: tuple(tensor[:n] for tensor in whole)
    return {
        "seven on three": [list(shard(cut(7), rank, 3)) for rank in range(3)],
        "eight on two": [list(shard(whole, rank, 2)) for rank in range(2)],
        "two on four": [list(shard(cut(2), rank, 4)) for rank in range(4)],
        "alone": list(shard(cut(3), 0, 1)),
    }


@part("parallel.broadcast_parameters")
@weight(1)
@matches_reference
def test_all_ranks_start_from_rank_0(solution, draw):
    """Parameters and buffers of all ranks are those of rank 0, in the tensors that were there; parameters still ask for gradients."""
    models = [nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(3)]
    for rank, model in enumerate(models):
        draw.fill_(model)
        model[0].weight.requires_grad_(rank < 3)
        with torch.no_grad():
            for tensor in (*model.parameters(), model[1].running_mean, model[1].running_var):
                tensor.add_(rank)
            model[1].num_batches_tracked.fill_(5 + rank)
    models[0][0].bias.requires_grad_(False)
    before = [[tensor.data_ptr() for tensor in (*m.parameters(), *m.buffers())] for m in models]
    on_ranks(3, lambda collective: solution.parallel.broadcast_parameters(models[collective.rank], collective))
    return {
        "state": [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models],
        "in place": [[t.data_ptr() for t in (*m.parameters(), *m.buffers())] for m in models] == before,
        "trained": [[parameter.requires_grad for parameter in model.parameters()] for model in models],
    }


@part("parallel.global_count")
@weight(1)
@matches_reference
def test_counts_are_summed_exactly(solution, draw):
    """Every rank gets the sum as a whole number, exact far beyond what float32 can count."""
    count, own = solution.parallel.global_count, draw.integers(1, 10**6, 3).tolist()
    small = on_ranks(3, lambda collective: count(own[collective.rank], collective))
    large = on_ranks(2, lambda collective: count(2**40 + 1 + collective.rank, collective))
    return {"small": small, "large": large, "kind": type(small[0]).__name__}


@part("parallel.reduce_gradients")
@weight(2)
@matches_reference
def test_gradients_are_summed(solution, draw):
    """Each rank has the sums, also of what one of them had no gradient for; frozen parameters are passed over."""
    shapes = [(3, 2), (4,), (), (2, 2), (5,)]
    models = [nn.ParameterList([nn.Parameter(torch.zeros(shape)) for shape in shapes]) for _ in range(2)]
    for rank, model in enumerate(models):
        model[3].requires_grad_(False)
        for number, parameter in enumerate(model):
            if number != 3 and (rank, number) not in ((0, 1), (1, 2)) and number != 4:
                parameter.grad = (
                    draw.normal(*reversed(parameter.shape)).clone().mT
                    if parameter.ndim == 2
                    else draw.normal(*parameter.shape).clone()
                )
    on_ranks(2, lambda collective: solution.parallel.reduce_gradients(models[collective.rank].parameters(), collective, 24))
    return {
        "gradients": [[None if parameter.grad is None else parameter.grad.clone() for parameter in model] for model in models],
        "kinds": all(p.grad is None or (p.grad.dtype, p.grad.shape) == (p.dtype, p.shape) for model in models for p in model),
    }


@part("parallel.reduce_gradients")
@weight(1)
@matches_reference
def test_rank_without_rows_takes_part(solution, draw):
    """A rank that computed nothing makes the same calls as the others, and has the sums afterwards; so do three ranks."""
    models = [nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)]
    for model in models[::2]:
        model.weight.grad, model.bias.grad = draw.normal(2, 3).clone(), draw.normal(2).clone()
    calls = on_ranks(3, lambda c: solution.parallel.reduce_gradients(iter(models[c.rank].parameters()), c) or len(c.calls))
    return {"gradients": [[p.grad for p in model.parameters()] for model in models], "same calls": len(set(calls))}


@part("parallel.reduce_gradients")
@weight(1)
@satisfies(
    all_of(at_most("calls", 1), at_most("calls of two dtypes", 2), at_most("bytes of the largest small bucket", 2400)),
    random=("calls", "calls of two dtypes", "bytes of the largest small bucket"),
)
def test_gradients_travel_in_buckets(solution, draw):
    """Forty small gradients are one call, those of two dtypes two; where buckets are small none is much larger than asked for."""
    reduce, seen = solution.parallel.reduce_gradients, {}
    for name, dtypes, size in (
        ("calls", [torch.float32] * 40, {}),
        ("calls of two dtypes", [torch.float32] * 3 + [torch.float64] * 3, {}),
        ("bytes of the largest small bucket", [torch.float32] * 40, {"bucket_bytes": 1200}),
    ):
        models = [nn.ParameterList([nn.Parameter(torch.zeros(100, dtype=dtype)) for dtype in dtypes]) for _ in range(2)]
        for model in models:
            for parameter in model:
                parameter.grad = draw.normal(100).clone().to(parameter.dtype)
        sizes = on_ranks(2, lambda c, models=models, size=size: reduce(models[c.rank].parameters(), c, **size) or list(c.calls))
        seen[name] = max(sizes[0]) if size else len(sizes[0])
        seen[f"sums {len(seen)}"] = torch.stack([parameter.grad.double() for parameter in models[1]])
    return seen


def together(solution, draw, batches, size, n_micro_batches, **settings):
    """Weights and steps of each rank after steps with its share of these batches, and calls of the collective."""
    models = [small_model(draw) for _ in range(size)]

    def work(collective):
        model = models[collective.rank]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        scheduler = solution.schedule.Scheduler(optimizer, lambda number: 0.5 / number)
        steps = []
        for whole in batches:
            shard = tuple(tensor.tensor_split(size)[collective.rank] for tensor in whole)
            split = zip(*(tensor.tensor_split(n_micro_batches) for tensor in shard), strict=True)
            micro_batches = list(split) if len(shard[0]) else []
            scaler = solution.amp.Scaler(scale=8.0)
            step = solution.parallel.parallel_step(
                model, optimizer, micro_batches, collective, scaler, scheduler=scheduler, **settings
            )
            steps.append([step.loss, step.grad_norm, step.skipped])
        return {"weights": joined(model), "steps": steps, "done": scheduler.done, "calls": len(collective.calls)}

    return on_ranks(size, work)


@part("parallel.parallel_step")
@needs(*STEP, "amp.training_step")
@weight(1.5)
@satisfies(all_of(same("rank 0", "alone"), same("rank 1", "alone")))
def test_two_ranks_do_what_one_does(solution, draw):
    """Weights after three steps are those of one process with the global batch, uneven padding and clipping included."""
    batches = [batch(draw, [5, 1, 2, 5, 1, 1, 3]) for _ in range(3)]
    alone = small_model(draw)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.5, momentum=0.9)
    scheduler = solution.schedule.Scheduler(optimizer, lambda number: 0.5 / number)
    steps = [
        solution.amp.training_step(alone, optimizer, [one], solution.amp.Scaler(scale=8.0), max_norm=0.3, scheduler=scheduler)
        for one in batches
    ]
    ranks = together(solution, draw, batches, 2, 1, max_norm=0.3)
    return {
        "alone": joined(alone),
        "rank 0": ranks[0]["weights"],
        "rank 1": ranks[1]["weights"],
        "steps": [rank["steps"] for rank in ranks],
        "losses alone": [step.loss for step in steps],
        "done": [rank["done"] for rank in ranks],
    }


@part("parallel.parallel_step")
@needs(*STEP)
@weight(1)
@satisfies(at_most("calls", 6), random=("calls",))
def test_parts_cost_no_calls(solution, draw):
    """However many micro-batches a rank has, counts, gradients and losses are summed once a step; ranks may have different ones."""
    batches = [batch(draw, [5, 1, 2, 5, 4, 3]) for _ in range(2)]
    ranks = together(solution, draw, batches, 2, 3)
    once = together(solution, draw, batches, 2, 1)
    return {
        "calls": ranks[1]["calls"],
        "micro-batches": ranks[0]["weights"],
        "one micro-batch": once[0]["weights"],
        "steps": ranks[1]["steps"],
    }


@part("parallel.parallel_step")
@needs(*STEP)
@weight(0.75)
@matches_reference
def test_rank_without_a_row_steps_along(solution, draw):
    """A last batch with fewer sequences than ranks: the one without any makes the same calls and step, and has the loss."""
    ranks = together(solution, draw, [batch(draw, [4, 2]), batch(draw, [3])], 3, 1)
    return {str(number): {"weights": rank["weights"], "steps": rank["steps"]} for number, rank in enumerate(ranks)}


@part("parallel.parallel_step")
@needs(*STEP)
@weight(0.75)
@matches_reference
def test_all_ranks_skip_alike(solution, draw):
    """Infinity on one rank skips the update on all; what stood in .grad before does not count; the next step is done by all."""
    whole = batch(draw, [5, 3, 2, 4])
    models = [small_model(draw) for _ in range(2)]
    for model in models:
        model[2].bias.grad = torch.ones(11)
    hook = models[1][2].bias.register_hook(lambda gradient: gradient / 0.0)

    def work(collective):
        model, seen = models[collective.rank], []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = solution.amp.Scaler(scale=4.0)
        for _ in range(2):
            shard = tuple(tensor.tensor_split(2)[collective.rank] for tensor in whole)
            step = solution.parallel.parallel_step(model, optimizer, [shard], collective, scaler, max_norm=10.0)
            seen.append(
                {
                    "skipped": step.skipped,
                    "loss": step.loss,
                    "finite": math.isfinite(step.grad_norm),
                    "scale": float(scaler.scale),
                }
            )
            collective.meet("between steps")
            hook.remove()
        return {"steps": seen, "weights": joined(model)}

    return {str(rank): seen for rank, seen in enumerate(on_ranks(2, work))}
