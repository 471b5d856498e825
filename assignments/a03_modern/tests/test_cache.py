"""Checks of cache.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import all_of, fits_in_memory, keeps_pace, limits, matches_reference, needs, part, refusal, same, satisfies


def tokens(draw, seq_len, batch_size=2, heads=2, head_dim=3):
    """Keys and values of some tokens."""
    return draw.normal(batch_size, heads, seq_len, head_dim), draw.normal(batch_size, heads, seq_len, head_dim)


def real():
    """The dtype of this run."""
    return torch.get_default_dtype()


def in_order(seen, first, window, sinks):
    """What tokens from position `first` on may see of what was returned, by position: keys, values, positions. One sequence."""
    keys, values, positions = (part[0] for part in seen)
    order = [i for i in positions.argsort().tolist() if positions[i] > first - window or 0 <= positions[i] < sinks]
    order = [i for i in order if positions[i] >= 0]
    return {"keys": keys[:, order], "values": values[:, order], "positions": positions[order]}


def stream(cache, draw, chunks, start=0, batch_size=1, heads=2, head_dim=3):
    """Feed a sequence in chunks of these sizes, and return what the last one was shown."""
    for seq_len in chunks:
        seen = cache.append(
            *tokens(draw, seq_len, batch_size, heads, head_dim), torch.arange(start, start + seq_len).unsqueeze(0)
        )
        start += seq_len
    return seen


@part("cache.KVCache")
@weight(1)
@matches_reference
def test_cache_hands_out_all_that_it_has(solution, draw):
    """What was appended comes back in its order along the axis of tokens, the new tokens last, each with its position."""
    cache = solution.cache.KVCache(2, 2, 3, 9, dtype=real())
    first = cache.append(*tokens(draw, 4), torch.tensor([[-1, 0, 1, 2], [0, 1, 2, 3]]))
    shown = [part * 1 for part in first]
    second = cache.append(*tokens(draw, 1), torch.tensor([[3], [4]]))
    third = cache.append(*tokens(draw, 3), torch.tensor([[4, 5, 6], [5, 6, 7]]))
    return {"first": shown, "second": list(second), "third": list(third), "length": cache.length}


@part("cache.KVCache")
@weight(1)
@matches_reference
def test_room_is_taken_once(solution, draw):
    """Keys, values and positions lie in the tensors that the cache began with, and what is returned is a view of them."""
    cache = solution.cache.KVCache(2, 2, 3, 6, dtype=real())
    before = [part.data_ptr() for part in (cache.keys, cache.values, cache.positions)]
    cache.append(*tokens(draw, 2), torch.tensor([[0, 1]]))
    seen = cache.append(*tokens(draw, 1), torch.tensor([[2]]))
    after = [part.data_ptr() for part in (cache.keys, cache.values, cache.positions)]
    return {
        "in place": before == after,
        "views": [part.data_ptr() for part in seen] == after,
        "keys": cache.keys,
        "values": cache.values,
        "positions": cache.positions,
        "bytes": [solution.cache.KVCache(2, 2, 3, 6, dtype=kind).n_bytes for kind in (torch.float32, torch.bfloat16)],
    }


@part("cache.KVCache")
@weight(1)
@matches_reference
def test_a_full_cache_takes_no_more(solution, draw):
    """The last slot can be used; one token beyond it is a ValueError, and what was there is still there."""
    cache = solution.cache.KVCache(1, 1, 2, 4, dtype=real())
    kept = cache.append(*tokens(draw, 3, 1, 1, 2), torch.arange(3).unsqueeze(0))
    beyond = refusal(lambda: cache.append(*tokens(draw, 2, 1, 1, 2), torch.tensor([[3, 4]])))
    last = cache.append(*tokens(draw, 1, 1, 1, 2), torch.tensor([[3]]))
    return {"beyond": beyond, "kept": list(kept), "last": list(last), "length": cache.length}


@part("cache.KVCache")
@weight(1)
@matches_reference
def test_one_row_of_positions_may_stand_for_all(solution, draw):
    """Positions (1, seq_len) are those of every sequence; other sizes (one sequence, head or channel) are no special case."""
    shared = solution.cache.KVCache(3, 1, 1, 5, dtype=real())
    shared.append(*tokens(draw, 2, 3, 1, 1), torch.tensor([[4, 5]]))
    single = solution.cache.KVCache(1, 2, 1, 1, dtype=torch.float64)
    seen = single.append(*(part.double() for part in tokens(draw, 1, 1, 2, 1)), torch.tensor([[70]]))
    return {"shared": list(shared.append(*tokens(draw, 1, 3, 1, 1), torch.tensor([[6]]))), "single": list(seen)}


@part("cache.KVCache")
@weight(1)
@matches_reference
def test_caches_know_nothing_of_each_other(solution, draw):
    """Two caches of the same sizes share nothing, and the tokens that were appended are not changed later."""
    one, two = (solution.cache.KVCache(1, 2, 3, 4, dtype=real()) for _ in range(2))
    keys, values = tokens(draw, 2, 1)
    one.append(keys, values, torch.tensor([[0, 1]]))
    other = two.append(*tokens(draw, 3, 1), torch.tensor([[7, 8, 9]]))
    own = one.append(*tokens(draw, 1, 1), torch.tensor([[2]]))
    return {"own": list(own), "other": list(other), "lengths": [one.length, two.length]}


@part("cache.RollingCache")
@weight(1)
@matches_reference
def test_each_position_has_its_slot(solution, draw):
    """After a long stream the sinks stand in front, and each slot of the window holds the latest position that belongs there."""
    found = {}
    for name, window, sinks, chunks in (
        ("one by one", 5, 2, [1] * 19),
        ("in chunks", 5, 2, [4, 3, 6, 1, 5]),
        ("no sinks", 3, 0, [2, 2, 2, 2]),
        ("at once", 4, 1, [15]),
    ):
        cache = solution.cache.RollingCache(1, 2, 3, window, sinks, dtype=real())
        stream(cache, draw, chunks)
        found[name] = {"positions": cache.positions, "keys": cache.keys, "values": cache.values}
    return found


@part("cache.RollingCache")
@weight(1)
@matches_reference
def test_a_single_token_sees_window_and_sinks(solution, draw):
    """A token that comes alone is shown itself, the rest of its window and the sinks, with their keys and values."""
    cache = solution.cache.RollingCache(1, 2, 3, 4, 2, dtype=real())
    return {
        f"after {n}": in_order(stream(cache, draw, [1] * n, start), start + n - 1, 4, 2) for start, n in ((0, 1), (1, 3), (4, 8))
    }


@part("cache.RollingCache")
@weight(1)
@matches_reference
def test_a_chunk_still_sees_what_it_pushes_out(solution, draw):
    """Several tokens at once are shown what was there before them and each other: the first still sees what the last pushes out."""
    cache = solution.cache.RollingCache(1, 2, 3, 4, 1, dtype=real())
    return {
        f"after {n}": in_order(stream(cache, draw, [n], start), start, 4, 1) for start, n in ((0, 6), (6, 3), (9, 7), (16, 2))
    }


@part("cache.RollingCache")
@weight(1)
@satisfies(all_of(same("positions", "of one by one"), same("keys", "keys of one by one")))
def test_chunks_leave_what_single_tokens_leave(solution, draw):
    """However a sequence is cut into chunks, the same keys and values are left, also of a chunk longer than the window."""
    keys, values = tokens(draw, 24, 1)
    left = []
    for chunks in ([1] * 24, [10, 1, 13], [24], [3, 2, 11, 8]):
        cache, start = solution.cache.RollingCache(1, 2, 3, 5, 3, dtype=real()), 0
        for seq_len in chunks:
            part = slice(start, start + seq_len)
            cache.append(keys[:, :, part], values[:, :, part], torch.arange(24)[part].unsqueeze(0))
            start += seq_len
        left.append((cache.positions, cache.keys, cache.values))
    one, *others = left
    return {
        "positions": torch.stack([o[0] for o in others]),
        "of one by one": torch.stack([one[0]] * 3),
        "keys": torch.stack([torch.stack(o[1:]) for o in others]),
        "keys of one by one": torch.stack([torch.stack(one[1:])] * 3),
    }


@part("cache.RollingCache")
@weight(1)
@matches_reference
def test_rows_stand_at_their_own_positions(solution, draw):
    """Padding is not stored and pushes nothing out; rows at different positions use different slots in the same step."""
    cache = solution.cache.RollingCache(2, 1, 2, 3, 1, dtype=real())
    cache.append(*tokens(draw, 5, 2, 1, 2), torch.tensor([[-1, -1, -1, 0, 1], [0, 1, 2, 3, 4]]))
    after_prompt = cache.positions * 1
    for step in range(4):
        cache.append(*tokens(draw, 1, 2, 1, 2), torch.tensor([[2 + step], [5 + step]]))
    after_steps = cache.positions * 1
    cache.append(*tokens(draw, 2, 2, 1, 2), torch.tensor([[6, 7], [9, 10]]))
    return {
        "after prompt": after_prompt,
        "after steps": after_steps,
        "positions": cache.positions,
        "keys": cache.keys,
        "values": cache.values,
        "refused": [refusal(lambda a=a: solution.cache.RollingCache(1, 1, 2, *a)) for a in ((0, 2), (3, -1))],
    }


@part("cache.RollingCache")
@needs("cache.KVCache")
@weight(0.5)
@limits(seconds=100)
@fits_in_memory(growth=3 << 20)
def test_memory_does_not_grow_with_the_stream(solution, draw):
    """From 1,000 to 100,000 tokens neither the bytes of the cache nor the memory of the process grow."""
    cache, start = solution.cache.RollingCache(1, 2, 32, 128, 4, dtype=torch.float32), 0
    chunk = [part.float() for part in tokens(draw, 50, 1, 2, 32)]
    yield
    for upto in (1_000, 100_000):
        with torch.no_grad():
            while start < upto:
                cache.append(*chunk, torch.arange(start, start + 50).unsqueeze(0))
                start += 50
        yield {"bytes": cache.n_bytes, "positions": cache.positions}


def one_by_one(source, draw, start):
    """A cache that holds `start` tokens, and then 200 more of them in each round, one by one."""
    cache, position = source.cache.RollingCache(1, 2, 32, 128, 4, dtype=torch.float32), 0
    chunk = [part.float() for part in tokens(draw, 50, 1, 2, 32)]
    while position < start:
        cache.append(*chunk, torch.arange(position, position + 50).unsqueeze(0))
        position += 50
    yield
    while True:
        keys, values = (part.float() for part in tokens(draw, 200, 1, 2, 32))
        for i in range(200):
            cache.append(keys[:, :, i : i + 1], values[:, :, i : i + 1], torch.tensor([[position]]))
            position += 1
        yield {"keys": cache.keys, "positions": cache.positions}


def a_young_cache(draw):
    """The given cache at the beginning of a sequence."""
    from given import a03_modern
    from given.a03_modern import cache

    yield from one_by_one(a03_modern, draw, 200)


@part("cache.RollingCache")
@needs("cache.KVCache")
@weight(0.5)
@limits(seconds=60)
@keeps_pace(full=5.0, none=20.0, repeats=15, probe=a_young_cache)  # the reference 1.3, one that sorts 2.4, one that keeps all 94
def test_a_late_token_costs_what_an_early_one_does(solution, draw):
    """After 20,000 tokens another one takes no longer than at the beginning."""
    yield from one_by_one(solution, draw, 20_000)
