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
    # BEGIN SOLUTION
    there = [kind for kind in KINDS if counts.get(kind, 0) > 0]
    if wish is None:
        return torch.device(there[0])
    kind, _, number = wish.partition(":")
    if kind not in KINDS or (":" in wish and not (number.isascii() and number.isdigit())):
        raise ValueError(f'a device is one of {", ".join(KINDS)}, perhaps with a number ("cuda:1"); got {wish!r}')
    if int(number or 0) >= counts.get(kind, 0):
        found = ", ".join(f"{counts[kind]} × {kind}" for kind in there)
        raise ValueError(f"{wish!r} was asked for, and there is only: {found}; leave the wish out to get the best of these")
    return torch.device(wish)
    # END SOLUTION


def autocast_dtype(device: torch.device | str, cuda_has_bfloat16: bool | None = None) -> torch.dtype:
    """The 16-bit format in which `torch.autocast` should compute on this device.

    bfloat16 on a CPU and on CUDA that computes in it natively (Ampere, 2020, and later); float16 on older CUDA and on
    MPS. cuda_has_bfloat16: asked of PyTorch when None. ValueError for any other kind of device.
    """
    # TODO: the format for each kind (handout: device, step 2).
    # Watch: older GPUs emulate bfloat16 and call it supported.
    # BEGIN SOLUTION
    kind = torch.device(device).type
    if kind == "cuda":
        if cuda_has_bfloat16 is None:
            cuda_has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if cuda_has_bfloat16 else torch.float16
    if kind not in KINDS:
        raise ValueError(f"a device is one of {', '.join(KINDS)}; got {kind!r}")
    return torch.float16 if kind == "mps" else torch.bfloat16
    # END SOLUTION


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
    # BEGIN SOLUTION
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # every device, CUDA and MPS included
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # END SOLUTION
