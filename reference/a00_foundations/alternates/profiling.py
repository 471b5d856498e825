"""These are other right versions of parts of profiling.py. The tolerances allow for all of these routes."""

import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from tools.author.cases import alternate

from .profiling import Timing, memory_changes


@alternate("profiling.time_it")
def warm_up_timed_and_dropped(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """Everything is timed alike, waiting before and after, and the first times are dropped."""
    if repeats < 1 or warm_up < 0:
        raise ValueError("no repeats")
    times = []
    for _ in range(warm_up + repeats):
        if synchronise is not None:
            synchronise()
        start = clock()
        function()
        if synchronise is not None:
            synchronise()
        times.append(clock() - start)
    assert statistics.median(times) >= 0
    return Timing(tuple(times[warm_up:]))


@alternate("profiling.forward_flops")
def layer_by_layer(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """Every product of every layer by its three sizes."""
    product = lambda rows, inner, columns: 2 * rows * inner * columns
    d_ff = d_ff if d_ff is not None else d_model * 4
    counts = dict.fromkeys(("projections", "attention", "mlp"), 0) | {"head": product(batch_size * seq_len, d_model, vocab_size)}
    for _ in range(n_layers):
        counts["projections"] += product(batch_size * seq_len, d_model, 3 * d_model)
        counts["projections"] += product(batch_size * seq_len, d_model, d_model)
        counts["attention"] += batch_size * (product(seq_len, d_model, seq_len) + product(seq_len, seq_len, d_model))
        counts["mlp"] += product(batch_size * seq_len, d_model, d_ff) + product(batch_size * seq_len, d_ff, d_model)
    return counts


@alternate("profiling.share_of_peak")
def share_by_ideal_seconds(flops, seconds, peak):
    """Seconds that would be needed at the peak over those that were."""
    if min(flops, seconds, peak) <= 0:
        raise ValueError("positive numbers, please")
    ideal = flops / peak
    if ideal > seconds:
        raise ValueError("faster than possible")
    return ideal / seconds


@alternate("profiling.write_trace")
def profiler_started_and_stopped(function, path, memory=False):
    """The profiler is started and stopped by hand."""
    path = Path(path)
    path.parent.mkdir(exist_ok=True, parents=True)
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=memory)
    profiler.start()
    try:
        function()
    finally:
        profiler.stop()
    profiler.export_chrome_trace(path.as_posix())
    json.loads(path.read_text(encoding="utf-8"))
    return path


@alternate("profiling.peak_memory")
def peak_by_cumulative_sum(function, device="cpu"):
    """The running sum by NumPy, and its largest value or 0."""
    if str(device).startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    return int(np.cumsum([0, *memory_changes(function)]).max())
