"""Checks of data.py."""

import tracemalloc
from pathlib import Path

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import fits_in_memory, frequencies, matches_reference, needs, part, refusal, satisfies


def batch(pair):
    """Inputs and targets by name."""
    inputs, targets = pair
    return {"inputs": inputs, "targets": targets}


def stored(draw, low, high, count, dtype):
    """Drawn tokens as they lie in a file."""
    return draw.integers(low, high, count).numpy().astype(dtype)


@part("data.save_tokens")
@weight(1)
@matches_reference
def test_tokens_take_the_smallest_type_that_holds_them(solution, draw):
    """A file has uint8 up to 256 tokens, uint16 up to 65,536, and uint32 beyond."""
    types, drawn = {}, draw.integers(0, 256, 4).tolist()
    for size in (256, 257, 65_536, 65_537):
        solution.data.save_tokens(f"{size}.npy", [0, size - 1, 7, *drawn], size)
        types[f"{size:,} tokens"] = str(np.load(f"{size}.npy").dtype)
    return types | {"tokens": torch.from_numpy(np.load("65537.npy").astype(np.int64))}


@part("data.save_tokens")
@weight(1)
@matches_reference
def test_the_file_has_the_name_asked_for(solution, draw):
    """The name is taken as it is, with or without .npy; a token outside the vocabulary is a ValueError."""
    solution.data.save_tokens("some.tokens", draw.integers(0, 200, 5).tolist(), 200)
    files = sorted(Path().iterdir())
    return {
        "files": [path.name for path in files],
        "tokens": torch.from_numpy(np.load(files[0]).astype(np.int64)),
        "too large": refusal(lambda: solution.data.save_tokens("other", [3, 256], 256)),
        "negative": refusal(lambda: solution.data.save_tokens("other", [-1, 2], 256)),
    }


@part("data.open_tokens")
@weight(1)
@matches_reference
def test_the_file_is_mapped_and_read_only(solution, draw):
    """What comes back is mapped into memory, cannot be written to, and keeps the type of the file."""
    np.save("tokens.npy", stored(draw, 40_000, 65_536, 7, np.uint16))
    tokens = solution.data.open_tokens("tokens.npy")
    return {
        "mapped": isinstance(tokens, np.memmap),
        "can be written": tokens.flags.writeable,
        "type": str(tokens.dtype),
        "tokens": torch.from_numpy(tokens.astype(np.int64)),
    }


@part("data.open_tokens")
@weight(1)
@matches_reference
def test_files_that_hold_something_else_are_refused(solution, draw):
    """Fractions, negative numbers or two axes are a ValueError; a single token is not."""
    np.save("fractions.npy", np.zeros(4, np.float32))
    np.save("signed.npy", np.zeros(4, np.int16))
    np.save("table.npy", np.zeros((2, 2), np.uint8))
    np.save("one.npy", stored(draw, 0, 2**31, 1, np.uint32))
    names = ("fractions", "signed", "table")
    refused = {name: refusal(lambda name=name: solution.data.open_tokens(f"{name}.npy")) for name in names}
    return refused | {"one": int(solution.data.open_tokens("one.npy")[0])}


@part("data.random_batch")
@weight(2)
@matches_reference
def test_targets_are_the_inputs_one_token_later(solution, draw):
    """Every row is a window of neighbours, its targets are one token further, and both are int64."""
    first = int(draw.integers(40_000, 60_000))
    data = np.arange(first, first + 100, dtype=np.uint16)
    inputs, targets = solution.data.random_batch(data, 6, 5, torch.Generator().manual_seed(draw.seed))
    return {
        "steps in inputs": inputs - inputs[:, :1],
        "targets ahead": targets - inputs,
        "least": bool((inputs >= first).all()),
        "only": batch(solution.data.random_batch(data[:8], 3, 7, torch.Generator())),  # there is but one window
    }


STARTS = 8  # positions for windows of 4 among 12 tokens: 0 … 12 − 4 − 1


@part("data.random_batch")
@weight(2)
@satisfies(frequencies("pairs", np.full((STARTS, STARTS), 1 / STARTS**2), false_alarms=1e-6), random=("pairs",))
def test_every_start_is_as_likely_as_any_other(solution, draw):
    """Starts reach from 0 to N − L − 1, both included, and the rows of a batch are drawn independently."""
    generator = torch.Generator().manual_seed(draw.seed)
    inputs, targets = solution.data.random_batch(np.arange(12, dtype=np.uint8), 20_000, 4, generator)
    pairs = STARTS * inputs[::2, 0] + inputs[1::2, 0]
    counts = torch.bincount(pairs, minlength=STARTS**2)[: STARTS**2].reshape(STARTS, STARTS)
    return {"pairs": counts.float(), "largest target": int(targets.max()), "first target": int(targets.min())}


@part("data.random_batch")
@weight(1)
@matches_reference
def test_only_the_generator_decides(solution, draw):
    """The same generator gives the same batches, each unlike the one before. PyTorch's own random state is not touched."""
    data, before = np.arange(60_000, dtype=np.uint16), torch.get_rng_state()
    only = data[int(draw.integers(0, 50_000)) :][:5]
    draws = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(11)
        draws.append([solution.data.random_batch(data, 16, 3, generator)[0] for _ in range(2)])
    return {
        "again": all(torch.equal(a, b) for a, b in zip(*draws, strict=True)),
        "next one alike": torch.equal(*draws[0]),  # 16 starts of 59,997 agree by chance once in 10^76
        "random state untouched": torch.equal(before, torch.get_rng_state()),
        "too few": refusal(lambda: solution.data.random_batch(data[:3], 2, 3, torch.Generator())),
        "shape": str(tuple(draws[0][0].shape)),
        "of one window": solution.data.random_batch(only, 2, 4, torch.Generator())[0],
    }


@part("data.random_batch")
@weight(0.5)
@matches_reference
def test_only_the_windows_are_converted(solution, draw):
    """Of a million tokens a batch converts those of its windows to int64 and leaves the others what they are."""
    data, generator = np.arange(1_000_000, dtype=np.uint32), torch.Generator().manual_seed(1)
    random_batch = solution.data.random_batch  # the module is read now, and not under the watch
    tracemalloc.start()
    inputs, targets = random_batch(data, 4, 8, generator)
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first = int(draw.integers(0, 900_000))
    only = solution.data.random_batch(data[first : first + 9], 2, 8, generator)[0]
    return {"more than a megabyte made": made > 1_000_000, "ahead": targets - inputs, "of one window": only}


@part("data.random_batch")
@needs("data.open_tokens")
@weight(0.5)
@fits_in_memory(growth=8 << 20)  # the larger file has 24 MB, as int64 96 MB; 8 windows touch some pages of it
def test_a_batch_reads_only_its_windows(solution, draw):
    """A batch from a file of twelve million tokens takes no more memory than one from a small file."""
    sizes = {"small": 12_000, "large": 12_000_000}
    for name, size in sizes.items():
        np.lib.format.open_memmap(f"{name}.npy", mode="w+", dtype=np.uint16, shape=(size,)).flush()
    yield
    for name in sizes:
        tokens = solution.data.open_tokens(f"{name}.npy")
        yield batch(solution.data.random_batch(tokens, 8, 16, torch.Generator().manual_seed(1)))


@part("data.batches_in_order")
@weight(3)
@matches_reference
def test_every_token_but_the_first_is_a_target_once(solution, draw):
    """Windows follow each other without a gap; the last one is padded, the last batch has the rows that are left."""
    data = stored(draw, 0, 256, 30, np.uint8)
    batches = list(solution.data.batches_in_order(data, 3, 4))
    targets = torch.cat([targets.flatten() for _, targets in batches])
    return {"batches": [batch(pair) for pair in batches], "counted": targets[targets >= 0], "tokens": len(targets)}


@part("data.batches_in_order")
@weight(2)
@matches_reference
def test_windows_that_come_out_even(solution, draw):
    """When the last window is full there is no further one; windows of one token, or one window for all, are no special case."""
    data, in_order = stored(draw, 40_000, 65_536, 7, np.uint16), solution.data.batches_in_order
    return {
        "even": [batch(pair) for pair in in_order(data, 2, 3)],
        "one by one": [batch(pair) for pair in in_order(data[:4], 2, 1)],
        "all in one": [batch(pair) for pair in in_order(data[:3], 5, 9)],
        "one token": refusal(lambda: list(in_order(data[:1], 1, 1))),
        "batch size 0": refusal(lambda: list(in_order(data, 0, 3))),
    }


@part("data.document_rows")
@weight(2)
@matches_reference
def test_documents_are_read_from_their_start(solution, draw):
    """Each row predicts a whole document, its first token from `bos_token` alone. What pads it is no target."""
    rows, tokens = solution.data.document_rows, draw.integers(0, 50, 7).tolist()
    return {
        "three": batch(rows([tokens[:4], tokens[4:5], tokens[5:]], 50)),
        "as tensors": batch(rows([torch.tensor([2, 1]), torch.tensor([0, 0, 1])], 3)),
        "single": batch(rows([[4]], 0)),
    }


@part("data.document_rows")
@weight(1)
@matches_reference
def test_documents_that_are_not_there_are_refused(solution, draw):
    """No document, or an empty one, is a ValueError."""
    rows, document = solution.data.document_rows, draw.integers(0, 50, 3).tolist()
    return {
        "none": refusal(lambda: rows([], 1)),
        "empty": refusal(lambda: rows([[1], []], 1)),
        "one": batch(rows([document], 50)),
    }
