"""Working measurements, built from timeit, torch.utils.flop_counter and torch.profiler."""

import json
import os
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


def synchroniser(device: torch.device | str) -> Callable[[], None]:
    """A function that waits until the device has done all that it was asked to."""
    return {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(torch.device(device).type, lambda: None)


@dataclass(frozen=True)
class Timing:
    """Seconds of every repeat, in their order, without the warm-up."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the repeats, in seconds."""
        return float(np.median(self.seconds))


def time_it(
    function: Callable[[], object],
    repeats: int = 10,
    warm_up: int = 3,
    synchronise: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """How long `function` takes, by timeit with one call a repeat. The device is at rest before and after each.

    ValueError: there is less than one repeat, or warm_up is negative.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(f"needed: at least 1 repeat and no negative warm-up; got {repeats} and {warm_up}")
    wait = synchronise or (lambda: None)
    timer = timeit.Timer(lambda: (function(), wait()), setup=wait, timer=clock)
    _ = [function() for _ in range(warm_up)]
    return Timing(tuple(timer.repeat(repeats, number=1)))


def forward_flops(
    batch_size: int, seq_len: int, d_model: int, n_layers: int, vocab_size: int, d_ff: int | None = None
) -> dict[str, int]:
    """Operations of the matrix products in one forward pass of a GPT. PyTorch counts them on tensors without memory."""
    from torch.utils.flop_counter import FlopCounterMode

    def counted(shape: tuple[int, ...], d_out: int) -> int:
        with FlopCounterMode(display=False) as counter:
            torch.empty(*shape, device="meta") @ torch.empty(*shape[:-2], shape[-1], d_out, device="meta")
        return counter.get_total_flops()

    tokens, d_ff = (batch_size * seq_len, d_model), 4 * d_model if d_ff is None else d_ff
    scores, values = counted((batch_size, seq_len, d_model), seq_len), counted((batch_size, seq_len, seq_len), d_model)
    return {
        "projections": n_layers * (counted(tokens, 3 * d_model) + counted(tokens, d_model)),
        "attention": n_layers * (scores + values),
        "mlp": n_layers * (counted(tokens, d_ff) + counted((batch_size * seq_len, d_ff), d_model)),
        "head": counted(tokens, vocab_size),
    }


def training_flops(forward: int, recompute: bool = False) -> int:
    """Operations of a training step. A backward pass is worth two forward passes, and recomputing one more."""
    return sum([forward] * (3 + recompute))


def share_of_peak(flops: int, seconds: float, peak: float) -> float:
    """Operations per second that were achieved, over those that are possible.

    ValueError: an argument is not positive, or the result is above 1.
    """
    if min(flops, seconds, peak) <= 0 or flops > peak * seconds:
        raise ValueError(f"needed: all positive, and no more than the peak; got {flops}, {seconds}, {peak}")
    return flops / (peak * seconds)


def matmul_rate(size: int = 1024, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> float:
    """Operations per second of one large matrix product."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(time_it(lambda: a @ b, synchronise=synchroniser(device)).seconds)


def write_trace(function: Callable[[], object], path: str | Path, memory: bool = False) -> Path:
    """Run `function` once under torch.profiler and write a Chrome trace. Returns the path."""
    path = Path(path)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler announces every start on stderr
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(profile_memory=memory, on_trace_ready=lambda p: p.export_chrome_trace(str(path))):
        function()
    return path


def memory_changes(function: Callable[[], object]) -> list[int]:
    """Bytes of each allocation (positive) and release (negative) on the CPU while `function` runs, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        trace = json.loads(write_trace(function, Path(folder) / "trace.json", memory=True).read_text(encoding="utf-8"))
    events = [event for event in trace["traceEvents"] if event.get("name") == "[memory]"]
    return [event["args"]["Bytes"] for event in sorted(events, key=lambda e: e["ts"]) if event["args"]["Device Type"] == 0]


def peak_memory(function: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Bytes that tensors take at the worst moment while `function` runs, beyond those taken when it starts.

    On CUDA they come from the allocator's counters, elsewhere from the running sum of `memory_changes`.
    """
    if torch.device(device).type != "cuda":
        return max(0, int(np.cumsum([0, *memory_changes(function)]).max()))
    start = torch.cuda.memory_stats(device)["allocated_bytes.all.current"]
    torch.cuda.reset_peak_memory_stats(device)
    function()
    return torch.cuda.memory_stats(device)["allocated_bytes.all.peak"] - start
