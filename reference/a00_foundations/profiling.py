"""How fast, how much of what is possible, and how much memory: measured so that the figures mean something.

Left out: several devices, and reading a trace (open it in https://ui.perfetto.dev).
Source: PaLM, arXiv:2204.02311, appendix B (share of peak); Kaplan et al., arXiv:2001.08361, §2.1 (operations).
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch


def synchroniser(device: torch.device | str) -> Callable[[], None]:
    """A function that waits until the device has done all that it was asked to; a CPU never lags behind."""
    return {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(torch.device(device).type, lambda: None)


@dataclass(frozen=True)
class Timing:
    """Seconds of every repeat, in their order, without the warm-up."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def time_it(
    function: Callable[[], object],
    repeats: int = 10,
    warm_up: int = 3,
    synchronise: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """How long `function` takes, from a device at rest to a device at rest again; each repeat timed on its own.

    warm_up: calls before the first one that counts (they compile, fill caches, wake the clock rate). synchronise: waits
    for the device, as `synchroniser(device)` does; None for a function that computes on the CPU. clock: seconds now.
    ValueError for less than one repeat or a negative warm-up.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(f"needed: at least 1 repeat and no negative warm-up; got {repeats} and {warm_up}")
    synchronise = synchronise or (lambda: None)
    # TODO: seconds of each repeat (handout: profiling, step 1).
    # Watch: what is still running when the clock starts, and when it stops.
    # BEGIN SOLUTION
    for _ in range(warm_up):
        function()
    seconds = []
    for _ in range(repeats):
        synchronise()
        start = clock()
        function()
        synchronise()
        seconds.append(clock() - start)
    return Timing(tuple(seconds))
    # END SOLUTION


def forward_flops(
    batch_size: int, seq_len: int, d_model: int, n_layers: int, vocab_size: int, d_ff: int | None = None
) -> dict[str, int]:
    """Floating-point operations of the matrix products in one forward pass of a GPT. Its logits are (batch_size, seq_len, vocab_size).

    {"projections": queries, keys, values and the one that follows attention; "attention": scores and weighted values,
    over the full square of the context, as a plain causal kernel computes it; "mlp": two matrices, d_model × d_ff and
    back; "head": the logits}, each over all layers. d_ff: 4 · d_model when None. A multiplication and an addition are
    two operations. Norms, softmax and look-ups are left out: they are no matrix products, and below one per cent.
    """
    d_ff = 4 * d_model if d_ff is None else d_ff
    # TODO: the four counts (handout: profiling, step 2).
    # Watch: two operations, not one; which product grows with the square of the context; what there is only once.
    # BEGIN SOLUTION
    tokens = batch_size * seq_len
    return {
        "projections": n_layers * 2 * tokens * 4 * d_model**2,
        "attention": n_layers * 2 * tokens * 2 * seq_len * d_model,
        "mlp": n_layers * 2 * tokens * 2 * d_model * d_ff,
        "head": 2 * tokens * d_model * vocab_size,
    }
    # END SOLUTION


def training_flops(forward: int, recompute: bool = False) -> int:
    """Operations of a training step, forward and backward, from those of its forward pass.

    recompute: activations were not kept, so the backward pass begins with a second forward pass.
    """
    # TODO: how many forward passes a step is worth (handout: profiling, step 3).
    # BEGIN SOLUTION
    return forward * (4 if recompute else 3)
    # END SOLUTION


def share_of_peak(flops: int, seconds: float, peak: float) -> float:
    """Model FLOPs utilisation (MFU): operations per second that were achieved over those that are possible, 0 to 1.

    flops: what the model needs, so without anything computed twice. peak: operations per second. ValueError unless all
    are positive, and when the share is above 1, which means that a count, a time or the peak is wrong.
    """
    # TODO: the share, and its bad inputs (handout: profiling, step 4).
    # BEGIN SOLUTION
    if flops <= 0 or seconds <= 0 or peak <= 0:
        raise ValueError(f"flops, seconds and peak must be positive; got {flops}, {seconds} and {peak}")
    share = flops / seconds / peak
    if share > 1:
        raise ValueError(f"{share:.2f} of the peak is impossible: count, time (synchronised?) or peak is wrong")
    return share
    # END SOLUTION


def matmul_rate(size: int = 1024, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> float:
    """Operations per second of one large square matrix product: what this machine can do, where no data sheet says it."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    timing = time_it(lambda: a @ b, synchronise=synchroniser(device))
    return 2 * size**3 / min(timing.seconds)


def write_trace(function: Callable[[], object], path: str | Path, memory: bool = False) -> Path:
    """Run `function` once under `torch.profiler` and write what happened, and when, as a Chrome trace; returns the path.

    Records the CPU, and CUDA where there is one. memory: also every allocation. Folders on the way to `path` are made.
    """
    path = Path(path)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler announces every start on stderr
    # TODO: profile, then export (handout: profiling, step 5).
    # Watch: the export comes after the profiler has stopped.
    # BEGIN SOLUTION
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        function()
    profile.export_chrome_trace(str(path))
    return path
    # END SOLUTION


def memory_changes(function: Callable[[], object]) -> list[int]:
    """Bytes of each allocation (positive) and release (negative) on the CPU while `function` runs, in their order.

    The release of what was allocated before is not seen.
    """
    with tempfile.TemporaryDirectory() as folder:
        trace = json.loads(write_trace(function, Path(folder) / "trace.json", memory=True).read_text(encoding="utf-8"))
    events = [event for event in trace["traceEvents"] if event.get("name") == "[memory]"]
    ordered = sorted(events, key=lambda event: event["ts"])
    return [event["args"]["Bytes"] for event in ordered if event["args"]["Device Type"] == 0]


def peak_memory(function: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Bytes that tensors take at the worst moment while `function` runs, beyond those taken when it starts; at least 0.

    On CUDA by the allocator's own counters, elsewhere from `memory_changes`.
    """
    # TODO: the peak (handout: profiling, step 6).
    # Watch: all that is allocated is not all that is there at once; the counter remembers earlier peaks.
    # BEGIN SOLUTION
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    return max(accumulate(memory_changes(function), initial=0))
    # END SOLUTION
