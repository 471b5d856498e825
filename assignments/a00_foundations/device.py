"""Where a program computes, in which number format, and how two runs of it come out equal bit for bit.

Left out: moving data (`.to(device)` is all there is to it) and several devices at once, which a later assignment adds.
Source: PyTorch's notes on reproducibility, and its reference of `torch.autocast`.
"""

import os
import random

import numpy as np
import torch

KINDS = ("cuda", "mps", "cpu")  # best first


def device_counts() -> dict[str, int]:
    """How many devices of each kind PyTorch finds here, best kind first: {"cuda": 0, "mps": 0, "cpu": 1}."""
    return {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}


def pick_device(wish: str | None = None, counts: dict[str, int] | None = None) -> torch.device:
    """The device to compute on: the one that is wished for, or else the best kind there is (CUDA, then MPS, then CPU).

    wish: "cpu", "mps", "cuda", or with a number, "cuda:1", counted from 0; None for the best. What is returned has a
    number only if the wish has one. counts: how many devices of each kind there are; asked of PyTorch when None.
    ValueError for a kind that is none of the three, and for a wish that cannot be met; it says what there is. A wish is
    never met by something else.
    """
    counts = device_counts() if counts is None else counts
    # TODO: the best device, or the one wished for (handout: device, step 1).
    # Watch: "cuda:1" on a machine with one GPU; a wish that is no device at all; what the message should tell.
    raise NotImplementedError("a00_foundations/device.py: pick_device() is yours to write (handout: device, step 1)")


def autocast_dtype(device: torch.device | str, cuda_has_bfloat16: bool | None = None) -> torch.dtype:
    """The 16-bit format in which `torch.autocast` should compute on this device.

    bfloat16 on a CPU and on CUDA that computes in it natively (Ampere, 2020, and later); float16 on older CUDA and on
    MPS. cuda_has_bfloat16: asked of PyTorch when None. ValueError for any other kind of device.
    """
    # TODO: the format for each kind (handout: device, step 2).
    # Watch: older GPUs emulate bfloat16 and call it supported.
    raise NotImplementedError("a00_foundations/device.py: autocast_dtype() is yours to write (handout: device, step 2)")


def seed_everything(seed: int) -> None:
    """From here on, all that is random or free to vary goes the same way in every run with the same `seed`.

    Seeds Python's `random`, NumPy's global generator, and PyTorch on every device; makes PyTorch use deterministic
    kernels (an operation that has none raises a RuntimeError) and switches cuDNN's search for the fastest kernel off.
    The same machine, versions and thread count are needed too.
    seed: 0 ≤ seed < 2³², which is what NumPy takes; anything else is a ValueError.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2³² − 1; got {seed!r}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it first starts
    # TODO: the three generators and the two switches (handout: device, step 3).
    # Watch: which of the three libraries you forgot; what a benchmark decides.
    raise NotImplementedError("a00_foundations/device.py: seed_everything() is yours to write (handout: device, step 3)")
