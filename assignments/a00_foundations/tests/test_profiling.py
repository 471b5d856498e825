"""Checks of profiling.py."""

import json
from pathlib import Path

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, on_device, part, refusal


class Device:
    """A device with a clock of its own, so that timings are exact: work is queued, and done when someone waits for it.

    launch, work: seconds that a call takes at once, and that it leaves to the device; slow: the first calls leave 16 times
    as much.
    """

    def __init__(self, launch: float, work: float, slow: int = 0):
        self.launch, self.work, self.slow, self.now, self.queued, self.calls = launch, work, slow, 0.0, 0.0, 0

    def __call__(self) -> None:
        self.calls += 1
        self.now += self.launch
        self.queued += self.work * (16 if self.calls <= self.slow else 1)

    def wait(self) -> None:
        self.now, self.queued = self.now + self.queued, 0.0

    def clock(self) -> float:
        return self.now


def eighths(draw, low: int, high: int) -> float:
    """Drawn seconds in whole eighths, whose sums are exact."""
    return int(draw.integers(low, high)) / 8


@part("profiling.time_it")
@weight(1)
@matches_reference
def test_each_repeat_is_timed_on_its_own(solution, draw):
    """There is one time for each repeat, in their order, and the median of them, which a single slow one does not move."""
    drawn = [eighths(draw, 8, 800) for _ in range(4)]
    device, seconds = Device(launch=eighths(draw, 1, 80), work=0.0), iter([5000.0, 700.0, *drawn[:3], 10_000.0, drawn[3]])

    def uneven():
        device.now += next(seconds)

    timing = solution.profiling.time_it(uneven, repeats=5, warm_up=2, clock=device.clock)
    usual = solution.profiling.time_it(device, clock=device.clock)
    return {
        "seconds": list(timing.seconds),
        "median": timing.median,
        "usual": list(usual.seconds),
        "calls": device.calls,
    }


@part("profiling.time_it")
@weight(1)
@matches_reference
def test_warm_up_does_not_count(solution, draw):
    """The slow first calls are made before the first that counts, as many as asked for, and they have ended by then."""
    seen, launch, work = {}, eighths(draw, 1, 80), eighths(draw, 8, 80)
    for warm_up in (0, 1, 4):
        device = Device(launch, work, slow=3)
        timing = solution.profiling.time_it(device, repeats=4, warm_up=warm_up, synchronise=device.wait, clock=device.clock)
        seen[f"after {warm_up}"] = {"seconds": list(timing.seconds), "calls": device.calls}
    return seen


@part("profiling.time_it")
@weight(1)
@matches_reference
def test_device_is_at_rest_when_the_clock_starts_and_stops(solution, draw):
    """What was queued before does not count, and what the repeat itself has queued does."""
    device = Device(launch=eighths(draw, 1, 80), work=eighths(draw, 8, 800))
    device.queued = 1000.0  # someone else's work
    timing = solution.profiling.time_it(device, repeats=3, warm_up=0, synchronise=device.wait, clock=device.clock)
    return {"seconds": list(timing.seconds), "left to do": device.queued}


@part("profiling.time_it")
@weight(1)
@matches_reference
def test_time_without_repeats_is_refused(solution, draw):
    """Less than one repeat and a negative warm-up are a ValueError; one repeat without warm-up is enough."""
    time_it, device = solution.profiling.time_it, Device(launch=eighths(draw, 8, 10_000), work=0.0)
    return {
        "no repeat": refusal(lambda: time_it(device, repeats=0)),
        "negative": refusal(lambda: time_it(device, warm_up=-1)),
        "one": list(time_it(device, 1, 0, clock=device.clock).seconds),
        "calls": device.calls,
    }


@part("profiling.forward_flops")
@weight(2)
@matches_reference
def test_operations_of_each_kind_of_product(solution, draw):
    """Projections, attention, MLP and head each have their count: two operations for each multiplication and addition."""
    batch_size, seq_len, d_model, n_layers, vocab_size = draw.integers(2, 200, 5).tolist()
    return {
        "drawn": solution.profiling.forward_flops(batch_size, seq_len, d_model, n_layers, vocab_size),
        "small": solution.profiling.forward_flops(batch_size=2, seq_len=3, d_model=5, n_layers=7, vocab_size=11),
        "GPT-2": solution.profiling.forward_flops(8, 1024, 768, 12, 50_257),
    }


@part("profiling.forward_flops")
@weight(2)
@matches_reference
def test_operations_at_other_sizes(solution, draw):
    """The MLP is as wide as it is said to be, one token and one layer are no special case, and a longer sequence costs its square."""
    count, (seq_len, d_ff) = solution.profiling.forward_flops, draw.integers(10, 500, 2).tolist()
    return {
        "narrow": count(3, seq_len, 12, 2, 100, d_ff=d_ff),
        "one token": count(1, 1, 2, 1, 2),
        "without MLP": count(1, 4, 2, 3, 5, d_ff=0),
        "long": count(1, 4096, 64, 2, 300),
    }


@part("profiling.training_flops")
@weight(1)
@matches_reference
def test_operations_of_a_training_step(solution, draw):
    """A training step is worth three forward passes, and four if it makes its activations twice."""
    count, forward = solution.profiling.training_flops, int(draw.integers(1000, 10**9))
    return {"kept": count(forward), "recomputed": count(forward, recompute=True), "large": count(7 * 10**18)}


@part("profiling.share_of_peak")
@weight(1)
@matches_reference
def test_share_of_what_is_possible(solution, draw):
    """The share is operations per second over the peak; one above 1, and whatever is not positive, is a ValueError."""
    share, percent = solution.profiling.share_of_peak, int(draw.integers(1000, 90_000))
    return {
        "share": share(percent * 10**9, 0.25, 4e14),
        "all": share(100, 2.0, 50.0),
        "too much": refusal(lambda: share(101, 2.0, 50.0)),
        "less than one a second": share(1, 4.0, 0.5),
        "none": [refusal(lambda bad=bad: share(*bad)) for bad in ((0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, 0.0))],
        "negative": [refusal(lambda bad=bad: share(*bad)) for bad in ((-1, -1.0, 2.0), (1, -1.0, 1.0), (1, 1.0, -1.0))],
    }


@part("profiling.write_trace")
@weight(1)
@matches_reference
def test_trace_shows_what_was_run(solution, draw):
    """The trace is a file of JSON that names the operations that were run, once; the path comes back."""
    calls, a, (products, exponentials) = [], draw.normal(4, 4), draw.integers(1, 60, 2).tolist()

    def function():
        calls.append(1)
        for _ in range(products):
            a @ a
        for _ in range(exponentials):
            a.exp()

    path = solution.profiling.write_trace(function, "trace.json")
    events = [event.get("name") for event in json.loads(Path(path).read_text())["traceEvents"]]
    return {
        "calls": len(calls),
        "products": events.count("aten::mm"),
        "exponentials": events.count("aten::exp"),
        "path": Path(path).name,
        "memory": "[memory]" in events,
    }


@part("profiling.write_trace")
@weight(1)
@matches_reference
def test_trace_makes_its_folders(solution, draw):
    """Folders on the way are made, a path may be text or Path, and with memory=True allocations are in the trace."""
    folder = f"run {draw.integers(0, 10**6).item()}"
    path = solution.profiling.write_trace(lambda: torch.ones(1000), Path(folder) / "one" / "trace.json", memory=True)
    file = Path(f"{folder}/one/trace.json")
    text = file.read_text() if file.exists() else '{"traceEvents": []}'
    events = [event.get("name") for event in json.loads(text)["traceEvents"]]
    again = solution.profiling.write_trace(lambda: torch.ones(10), f"{folder}/one/trace.json")
    both = isinstance(path, Path) and isinstance(again, Path)
    return {"written": file.exists(), "memory": "[memory]" in events, "a path": both, "name": Path(path).as_posix()}


def block(kib: int, device: str) -> torch.Tensor:
    """A tensor of so many KiB; a multiple of 512 bytes, which is what allocators round to."""
    return torch.empty(kib * 256, dtype=torch.float32, device=device)


def measured(solution, draw) -> dict[str, int]:
    """Peaks of functions that allocate and release; the same on every device."""
    more = draw.integers(0, 400, 7).tolist()

    def in_turn():
        for kib in (3000 + more[0], 5000 + more[1], 2000 + more[2]):
            block(kib, draw.device)

    def stairs():
        first, second = block(1000 + more[3], draw.device), block(4000 + more[4], draw.device)
        del first
        third = block(2500 + more[5], draw.device)
        del second
        return third, block(1500 + more[6], draw.device)

    peak = lambda function: solution.profiling.peak_memory(function, draw.device)
    return {"in turn": peak(in_turn), "stairs": peak(stairs), "nothing": peak(lambda: None)}


@part("profiling.peak_memory")
@weight(2)
@matches_reference
def test_peak_is_what_is_there_at_once(solution, draw):
    """The peak is the most that was there at one moment: not the sum, not the largest allocation, and not what is left."""
    return measured(solution, draw)


@part("profiling.peak_memory")
@on_device("cuda")
@weight(1)
@matches_reference
def test_peak_is_what_is_there_at_once_on_cuda(solution, draw):
    """The peak on a CUDA device is the most that was there at one moment too."""
    return measured(solution, draw)


@part("profiling.peak_memory")
@weight(1)
@matches_reference
def test_peak_is_counted_from_the_start(solution, draw):
    """Memory from before does not count, its release neither, and earlier peaks are forgotten; the function runs once."""
    before, after, small = draw.integers(1000, 3000, 3).tolist()
    peak, kept, calls = solution.profiling.peak_memory, [block(before + 2000, draw.device)], []

    def swap():
        calls.append(1)
        kept.clear()
        kept.append(block(after, draw.device))

    return {
        "swap": peak(swap, draw.device),
        "release": peak(kept.clear, draw.device),
        "small": peak(lambda: block(small, draw.device), draw.device),
        "usual device": peak(lambda: torch.empty(256, dtype=torch.float32, device="cpu")),
        "calls": len(calls),
    }
