"""These are wrong versions of parts of profiling.py, one mistake each. A docstring is the hint that a student reads."""

import time
from pathlib import Path

import torch

from tools.author.cases import misconception

from .profiling import Timing, memory_changes


def check_counts(repeats, warm_up):
    """The argument checks of time_it, which every version keeps."""
    if repeats < 1 or warm_up < 0:
        raise ValueError("no repeats")


@misconception("profiling.time_it", pitfall=1, ask="What is the device still doing when the clock stops?")
def clock_stops_before_the_device(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The device is waited for before the clock starts and not before it stops, so only the launch is timed."""
    check_counts(repeats, warm_up)
    seconds = []
    for i in range(warm_up + repeats):
        if synchronise:
            synchronise()
        start = clock()
        function()
        stop = clock()
        if i >= warm_up:
            seconds.append(stop - start)
    if synchronise:
        synchronise()
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=1, ask="What is the device still doing when the clock starts?")
def clock_starts_while_the_device_works(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The device is waited for before the clock stops and not before it starts, so earlier work counts."""
    check_counts(repeats, warm_up)
    for _ in range(warm_up):
        function()
    seconds = []
    for _ in range(repeats):
        start = clock()
        function()
        if synchronise:
            synchronise()
        seconds.append(clock() - start)
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=2, ask="How many times should there be?")
def warm_up_is_timed_too(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The slow first calls are among the times."""
    check_counts(repeats, warm_up)
    wait, seconds = synchronise or (lambda: None), []
    for _ in range(warm_up + repeats):
        wait()
        start = clock()
        function()
        wait()
        seconds.append(clock() - start)
    return Timing(tuple(seconds))


@misconception("profiling.time_it", pitfall=2, ask="How many times should there be?")
def warm_up_takes_the_place_of_repeats(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The warm-up is part of the repeats, so that fewer times are left."""
    check_counts(repeats, warm_up)
    wait, seconds = synchronise or (lambda: None), []
    for _ in range(repeats):
        wait()
        start = clock()
        function()
        wait()
        seconds.append(clock() - start)
    return Timing(tuple(seconds[warm_up:] or seconds[-1:]))


@misconception("profiling.time_it", pitfall=3, ask="What does one slow repeat do to a mean?")
def one_reading_for_all_repeats(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """All repeats are timed in one go and divided, which is a mean and hides the slow ones."""
    check_counts(repeats, warm_up)
    wait = synchronise or (lambda: None)
    for _ in range(warm_up):
        function()
    wait()
    start = clock()
    for _ in range(repeats):
        function()
    wait()
    return Timing(((clock() - start) / repeats,) * repeats)


@misconception("profiling.time_it", ask="Where is the unit of the clock written down?")
def seconds_of_another_clock(function, repeats=10, warm_up=3, synchronise=None, clock=time.perf_counter):
    """The clock that was given is not read, but the usual one."""
    check_counts(repeats, warm_up)
    wait = synchronise or (lambda: None)
    for _ in range(warm_up):
        function()
    seconds = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        function()
        wait()
        seconds.append(round(time.perf_counter() - start))
    return Timing(tuple(float(s) for s in seconds))


def counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff):
    """The counts as they should be."""
    tokens = batch_size * seq_len
    return {
        "projections": n_layers * 8 * tokens * d_model**2,
        "attention": n_layers * 4 * tokens * seq_len * d_model,
        "mlp": n_layers * 4 * tokens * d_model * (4 * d_model if d_ff is None else d_ff),
        "head": 2 * tokens * d_model * vocab_size,
    }


@misconception("profiling.forward_flops", pitfall=4, ask="How many operations is a · b + c?")
def one_operation_for_two(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """A multiplication and an addition are counted as one operation."""
    return {name: n // 2 for name, n in counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff).items()}


@misconception("profiling.forward_flops", pitfall=5, ask="How many scores has a sequence of T tokens?")
def attention_forgets_the_square(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """Attention is counted as if each token looked at one token alone."""
    counts = counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff)
    return counts | {"attention": counts["attention"] // seq_len}


@misconception("profiling.forward_flops", pitfall=5, ask="How often are logits made?")
def head_in_every_layer(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """The head is counted once for each layer."""
    counts = counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff)
    return counts | {"head": counts["head"] * n_layers}


@misconception("profiling.forward_flops", pitfall=6, ask="What is d_ff for?")
def mlp_is_always_four_times_as_wide(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """The MLP is counted as four times as wide as d_model, whatever d_ff says."""
    return counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, None)


@misconception("profiling.forward_flops", ask="What does a width of 0 mean?")
def no_width_means_the_usual(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """A width of 0 is taken for none given, because both are false."""
    return counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff or 4 * d_model)


@misconception("profiling.forward_flops", ask="Which matrix follows attention?")
def three_projections(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """The projection that follows attention is not counted."""
    counts = counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff)
    return counts | {"projections": counts["projections"] // 4 * 3}


@misconception("profiling.forward_flops", ask="Which two products does attention have?")
def scores_without_the_weighted_values(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff=None):
    """Only the scores of attention are counted, and not the weighted values."""
    counts = counts_of(batch_size, seq_len, d_model, n_layers, vocab_size, d_ff)
    return counts | {"attention": counts["attention"] // 2}


@misconception("profiling.training_flops", ask="How many matrix products does the backward pass of one product take?")
def backward_costs_as_much_as_forward(forward, recompute=False):
    """The backward pass is counted as one forward pass, though it has two products for each."""
    return forward * (3 if recompute else 2)


@misconception("profiling.training_flops", pitfall=7, ask="How often are activations computed when they are not kept?")
def recomputing_is_free(forward, recompute=False):
    """The second forward pass of a step that keeps no activations is not counted."""
    return forward * 3


@misconception("profiling.share_of_peak", ask="What is a share of one half?")
def share_in_per_cent(flops, seconds, peak):
    """The share is given in per cent."""
    if flops <= 0 or seconds <= 0 or peak <= 0 or flops / seconds > peak:
        raise ValueError("impossible")
    return 100 * flops / seconds / peak


@misconception("profiling.share_of_peak", ask="What does a share of 1.2 say?")
def more_than_all_is_accepted(flops, seconds, peak):
    """A share above 1 is returned, though it means that something was measured wrongly."""
    if flops <= 0 or seconds <= 0 or peak <= 0:
        raise ValueError("not positive")
    return flops / seconds / peak


@misconception("profiling.share_of_peak", ask="Which of the three is divided by which?")
def seconds_are_multiplied(flops, seconds, peak):
    """Operations are multiplied by seconds instead of divided."""
    if flops <= 0 or seconds <= 0 or peak <= 0 or flops / seconds > peak:
        raise ValueError("impossible")
    return flops * seconds / peak


@misconception("profiling.write_trace", pitfall=9, ask="When is the profiler done?")
def exported_while_it_runs(function, path, memory=False):
    """The trace is exported while the profiler still runs."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        function()
        profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="How often did the trace see the function?")
def function_runs_before_the_trace(function, path, memory=False):
    """The function runs before the profiler has started, and the trace is empty."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    function()
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        pass
    profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="What if the folder is not there yet?")
def folders_are_not_made(function, path, memory=False):
    """The folders on the way are not made, and nothing is written where they are missing."""
    path = Path(path)
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), profile_memory=memory) as profile:
        function()
    if path.parent.exists():
        profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.write_trace", ask="What is `memory` for?")
def allocations_are_not_recorded(function, path, memory=False):
    """Allocations are not in the trace, also when asked for."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.profiler.profile(activities=torch.profiler.supported_activities()) as profile:
        function()
    profile.export_chrome_trace(str(path))
    return path


@misconception("profiling.peak_memory", pitfall=8, ask="What has been released by then?")
def sum_of_all_allocations(function, device="cpu"):
    """All allocations are added up, though some were released before others came."""
    return sum(change for change in memory_changes(function) if change > 0)


@misconception("profiling.peak_memory", pitfall=8, ask="What was there in the middle?")
def what_is_left_at_the_end(function, device="cpu"):
    """What is left at the end is taken for the peak."""
    return max(0, sum(memory_changes(function)))


@misconception("profiling.peak_memory", pitfall=8, ask="How many allocations can be there at once?")
def largest_single_piece(function, device="cpu"):
    """The largest single allocation is taken for the peak."""
    return max(memory_changes(function), default=0)


@misconception("profiling.peak_memory", ask="What does a run before the measurement cost?")
def function_runs_twice(function, device="cpu"):
    """The function is run once to warm up and once to measure, and the caller's state changes twice."""
    function()
    total, peak = 0, 0
    for change in memory_changes(function):
        total += change
        peak = max(peak, total)
    return peak


@misconception("profiling.peak_memory", ask="Can a function that only releases memory have a negative peak?")
def peak_may_be_negative(function, device="cpu"):
    """The worst moment is sought after the start alone, so a function that only releases has a peak below 0."""
    total, seen = 0, []
    for change in memory_changes(function):
        total += change
        seen.append(total)
    return max(seen, default=-1)
