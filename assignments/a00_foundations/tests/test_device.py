"""Checks of device.py."""

import os
import random
from types import SimpleNamespace

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, on_device, part, refusal

LAPTOP, MAC, SERVER = ({"cuda": cuda, "mps": mps, "cpu": 1} for cuda, mps in ((0, 0), (0, 1), (4, 0)))


@part("device.pick_device")
@weight(1)
@matches_reference
def test_best_kind_is_picked_without_a_wish(solution, draw):
    """Without a wish it is CUDA where there is one, else MPS, else the CPU; and without counts, PyTorch is asked for them."""
    pick, both = solution.device.pick_device, {"cuda": 1, "mps": 1, "cpu": 1}
    picked = {"laptop": LAPTOP, "mac": MAC, "server": SERVER, "both": both}
    here = pick() == pick(counts=solution.device.device_counts())
    drawn = [str(pick(counts={"cuda": cuda, "mps": mps, "cpu": 1})) for cuda, mps in draw.integers(0, 2, 12, 2).tolist()]
    return {name: str(pick(counts=counts)) for name, counts in picked.items()} | {"counts of this machine": here, "drawn": drawn}


@part("device.pick_device")
@weight(1)
@matches_reference
def test_wish_is_met_as_it_was_said(solution, draw):
    """A wish that can be met is what comes back, also when there is something better, and with its number if it has one."""
    pick = solution.device.pick_device
    wishes = {"cuda": SERVER, "cuda:0": SERVER, "cuda:3": SERVER, "cpu": SERVER, "cpu:0": LAPTOP, "mps": MAC, "mps:0": MAC}
    drawn = [repr(pick(f"cuda:{number}", {**SERVER, "cuda": 1000})) for number in draw.integers(0, 1000, 3).tolist()]
    met = {wish: repr(pick(wish, counts)) for wish, counts in wishes.items()}
    return met | {"cpu here": repr(pick("cpu")), "drawn": drawn}


@part("device.pick_device")
@weight(1)
@matches_reference
def test_wish_that_cannot_be_met_is_refused(solution, draw):
    """A device that is not there is a ValueError that says what there is; nothing else is taken in its place."""
    pick, messages = solution.device.pick_device, []
    wishes = {"cuda": MAC, "cuda:4": SERVER, "cuda:0": LAPTOP, "mps": LAPTOP, "mps:1": MAC, "cpu:1": LAPTOP, "cuda:10": SERVER}
    try:
        pick("cuda:1", MAC)
    except ValueError as error:
        messages.append(str(error))
    refused = {wish: refusal(lambda wish=wish, counts=counts: pick(wish, counts)) for wish, counts in wishes.items()}
    return refused | {
        "names what there is": "mps" in "".join(messages) and "cpu" in "".join(messages),
        "last": str(pick("cuda:3", SERVER)),
        "drawn": [refusal(lambda n=n: pick(f"cuda:{n}", SERVER)) for n in draw.integers(0, 8, 12).tolist()],
    }


@part("device.pick_device")
@weight(1)
@matches_reference
def test_wish_that_is_no_device_is_refused(solution, draw):
    """What is none of the three kinds, or no whole number behind the colon, is a ValueError, also where PyTorch knows it."""
    pick = solution.device.pick_device
    wishes = ("gpu", "meta", "xpu", "", "CPU", "cuda:", "cuda:one", "cuda:-1", "cuda:1:2", "cuda1", "cpu:0.0", "cuda:²")
    some = ("gpu", "cuda", "cuda:", "cuda:1", "cuda:-1", "cpu")
    drawn = [refusal(lambda wish=some[i]: pick(wish, SERVER)) for i in draw.integers(0, len(some), 12).tolist()]
    refused = {wish or "nothing": refusal(lambda wish=wish: pick(wish, SERVER)) for wish in wishes}
    return refused | {"good": str(pick("cpu", MAC)), "drawn": drawn}


@part("device.autocast_dtype")
@weight(1)
@matches_reference
def test_each_kind_has_its_16_bit_format(solution, draw):
    """bfloat16 on a CPU and on CUDA that has it, float16 elsewhere; other kinds of device are a ValueError."""
    dtype = solution.device.autocast_dtype
    found = {"cpu": dtype("cpu"), "mps": dtype(torch.device("mps")), "cpu:0": dtype(torch.device("cpu", 0))}
    found |= {f"cuda, bfloat16 {there}": dtype("cuda:1", there) for there in (True, False)}
    drawn = [str(dtype("cuda", there)) for there in draw.bernoulli(0.5, 12).tolist()]
    return {name: str(kind) for name, kind in found.items()} | {"other": refusal(lambda: dtype("meta", True)), "drawn": drawn}


@part("device.autocast_dtype")
@weight(1)
@matches_reference
def test_emulated_bfloat16_does_not_count(solution, draw):
    """PyTorch is asked whether CUDA has bfloat16, and a GPU of 2018, which only emulates it, gets float16."""

    def of_gpu(new):
        major, minor = (9, 0) if new else (7, 5)
        torch.cuda.is_bf16_supported = lambda including_emulation=True: new or including_emulation  # what such a GPU answers
        torch.cuda.get_device_capability = lambda device=None: (major, minor)
        torch.cuda.get_device_properties = lambda device=None: SimpleNamespace(major=major, minor=minor)
        return str(solution.device.autocast_dtype("cuda"))

    return {
        "2018": of_gpu(new=False),
        "2022": of_gpu(new=True),
        "drawn": [of_gpu(new) for new in draw.bernoulli(0.5, 12).tolist()],
        "cpu": str(solution.device.autocast_dtype("cpu")),
    }


def numbers(device: str) -> tuple[float, ...]:
    """One number from each generator."""
    return (
        random.random(),
        float(np.random.random()),
        torch.rand((), dtype=torch.float64).item(),
        torch.rand(3, device=device).sum().item(),
    )


@part("device.seed_everything")
@weight(2)
@matches_reference
def test_same_seed_gives_the_same_numbers(solution, draw):
    """Python, NumPy and PyTorch each repeat their numbers after the same seed, and give others after another one."""
    seen = []
    for seed in [3, 3, 4, *draw.integers(3, 5, 12).tolist()]:
        solution.device.seed_everything(seed)
        seen.append(numbers(draw.device))
    names = ("python", "numpy", "torch", "torch on this device")
    return {
        name: {"again": a == b, "other seed": a == c, "drawn seeds": [a == one for one in rest]}
        for name, (a, b, c, *rest) in zip(names, zip(*seen, strict=True), strict=True)
    }


@part("device.seed_everything")
@on_device("cuda")
@weight(1)
@matches_reference
def test_same_seed_gives_the_same_numbers_on_cuda(solution, draw):
    """Python, NumPy and PyTorch repeat their numbers after the same seed on a CUDA device too."""
    return test_same_seed_gives_the_same_numbers(solution, draw)


@part("device.seed_everything")
@on_device("mps")
@weight(1)
@matches_reference
def test_same_seed_gives_the_same_numbers_on_mps(solution, draw):
    """Python, NumPy and PyTorch repeat their numbers after the same seed on Apple's GPU too."""
    return test_same_seed_gives_the_same_numbers(solution, draw)


@part("device.seed_everything")
@weight(1)
@matches_reference
def test_only_deterministic_kernels_are_left(solution, draw):
    """An operation without a deterministic kernel raises, and cuDNN does not pick its kernels by a race."""
    torch.backends.cudnn.benchmark = True
    solution.device.seed_everything(7)
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warns only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "workspace of cuBLAS": os.environ.get("CUBLAS_WORKSPACE_CONFIG") in (":4096:8", ":16:8"),
    }


@part("device.seed_everything")
@weight(1)
@matches_reference
def test_seeds_of_every_size_are_taken(solution, draw):
    """0 and 2³² − 1 are seeds; what is negative, larger or no whole number is a ValueError."""
    seed = solution.device.seed_everything
    bad = {"negative": -1, "too large": 2**32, "fraction": 1.5, "boolean": True, "text": "7", "nothing": None}
    return {name: refusal(lambda value=value: seed(value)) for name, value in bad.items()} | {
        "drawn": [refusal(lambda n=n: seed(2**32 + n)) for n in draw.integers(-2, 2, 12).tolist()],
        "smallest": seed(0),
        "largest": seed(2**32 - 1),
    }
