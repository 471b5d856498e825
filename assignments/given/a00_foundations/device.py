"""Working choice of a device, of a 16-bit format, and of a seed. Names and errors are those of the assignment."""

import os
import random

import numpy as np
import torch


def device_counts() -> dict[str, int]:
    """How many devices of each kind PyTorch finds here."""
    return {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}


def pick_device(wish: str | None = None, counts: dict[str, int] | None = None) -> torch.device:
    """The device that is wished for, or else the best kind there is.

    ValueError: the wish is no device, or cannot be met. The message says what there is.
    """
    counts = device_counts() if counts is None else counts
    every = [
        f"{kind}{number}" for kind in ("cuda", "mps", "cpu") for number in ["", *(f":{i}" for i in range(counts.get(kind, 0)))]
    ]
    usable = [name for name in every if counts.get(name.partition(":")[0], 0)]
    if wish is not None and wish not in usable:
        raise ValueError(f"{wish!r} is no device that is there; there are: {', '.join(usable)}")
    return torch.device(wish or usable[0])


def autocast_dtype(device: torch.device | str, cuda_has_bfloat16: bool | None = None) -> torch.dtype:
    """bfloat16 where the device computes in it natively, else float16.

    ValueError: the device is neither cuda, mps nor cpu.
    """
    formats, kind = {"cpu": torch.bfloat16, "mps": torch.float16, "cuda": torch.bfloat16}, torch.device(device).type
    if kind not in formats:
        raise ValueError(f"a device is one of {', '.join(formats)}; got {device}")
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.float16 if kind == "cuda" and not cuda_has_bfloat16 else formats[kind]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, and allow deterministic kernels only.

    ValueError: the seed is not a whole number from 0 to 2³² − 1.
    """
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2³² − 1; got {seed!r}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for start in (random.seed, np.random.seed, torch.random.manual_seed):
        start(seed)
    torch.set_deterministic_debug_mode("error")
    torch.backends.cudnn.benchmark = False
