"""These are other right versions of parts of device.py. The tolerances allow for all of these routes."""

import os
import random

import numpy as np
import torch

from tools.author.cases import alternate

from .device import device_counts


@alternate("device.pick_device")
def list_of_all_names(wish=None, counts=None):
    """All names that can be met are listed, best first, and the wish is looked up among them."""
    counts = device_counts() if counts is None else counts
    kinds = [kind for kind in ("cuda", "mps", "cpu") if counts.get(kind)]
    if wish is None:
        return torch.device(kinds[0])
    names = kinds + [f"{kind}:{i}" for kind in kinds for i in range(counts[kind])]
    if wish not in names:
        raise ValueError(f"there is no {wish}; there are {names}")
    return torch.device(wish)


@alternate("device.autocast_dtype")
def by_compute_capability(device, cuda_has_bfloat16=None):
    """CUDA is asked for its compute capability, 8.0 and later being Ampere."""
    kind = str(device).partition(":")[0]
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    dtypes = {"cpu": torch.bfloat16, "mps": torch.float16, "cuda": torch.bfloat16 if cuda_has_bfloat16 else torch.float16}
    if kind not in dtypes:
        raise ValueError(f"unknown device {device}")
    return dtypes[kind]


@alternate("device.seed_everything")
def seeds_in_another_order(seed):
    """NumPy first, whose own ValueError refuses most bad seeds; CUDA by name, and one switch more for cuDNN."""
    if type(seed) is not int or seed < 0 or seed >= 1 << 32:
        raise ValueError(f"bad seed {seed!r}")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(mode=True)
