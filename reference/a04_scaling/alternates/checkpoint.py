"""These are other right versions of parts of checkpoint.py. The tolerances allow for all of these routes."""

import copy
import json
import math
import os
import random
import struct
from os import fsync
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from tools.author.cases import alternate

from .checkpoint import FORMAT, NO_GENERATORS, _packed, _unpacked, random_state, restore_random_state


@alternate("checkpoint.snapshot")
def deep_copies(parts, generators=NO_GENERATORS):
    """copy.deepcopy of everything, without its history."""

    def bare(tree):
        if isinstance(tree, torch.Tensor):
            return copy.deepcopy(tree.detach()).cpu()
        if hasattr(tree, "items"):
            return dict((key, bare(value)) for key, value in tree.items())
        return [bare(value) for value in tree] if isinstance(tree, list) else copy.deepcopy(tree)

    states = {name: bare(part.state_dict()) for name, part in parts.items()}
    chances = {name: generator.get_state().clone() for name, generator in generators.items()}
    return {"parts": states, "generators": chances, "random": bare(random_state())}


@alternate("checkpoint.restore")
def from_a_deep_copy(state, parts, generators=NO_GENERATORS):
    """Each state is copied deeply just before it is handed over."""
    if set(parts) != set(state["parts"]) or set(generators) != set(state["generators"]):
        raise ValueError("parts or generators of another run")
    restore_random_state(state["random"])
    for name in parts:
        parts[name].load_state_dict(copy.deepcopy(state["parts"][name]))
    for name in generators:
        generators[name].set_state(state["generators"][name].clone())


@alternate("checkpoint.random_state")
def numpys_state_as_a_list():
    """NumPy's table as a list of numbers."""
    now = np.random.get_state(legacy=False)
    table = torch.tensor([int(number) for number in now["state"]["key"]])
    inner = {"key": table, "pos": int(now["state"]["pos"])}
    numpy = {"bit_generator": now["bit_generator"], "state": inner, "has_gauss": now["has_gauss"], "gauss": now["gauss"]}
    cuda = [torch.cuda.get_rng_state(device) for device in range(torch.cuda.device_count())]
    return {"torch": torch.get_rng_state().clone(), "cuda": cuda, "numpy": numpy, "python": random.getstate()}


@alternate("checkpoint.write")
def bytes_written_by_hand(path, state):
    """The bytes are made first, then written and synced through one descriptor, and the folder through another."""
    tensors = {}
    tree = json.dumps(_packed(state, tensors))
    data = safetensors.torch.save(tensors, metadata={"tree": tree, "format": FORMAT})
    target = os.fspath(path)
    with open(target + ".part", "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        fsync(file)
    os.rename(target + ".part", target)  # noqa: PTH104
    folder = os.open(os.path.dirname(target) or ".", os.O_RDONLY)  # noqa: PTH120
    fsync(folder)
    os.close(folder)


@alternate("checkpoint.read")
def header_read_by_hand(path, map_location="cpu"):
    """The header is read as the format of the file says, and the tensors from the bytes."""
    data = Path(path).read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        tensors = safetensors.torch.load(data)
        if header["__metadata__"]["format"] != FORMAT:
            raise ValueError("of another format")
        tree = json.loads(header["__metadata__"]["tree"])
    except Exception as error:
        raise ValueError(f"{path}: no whole checkpoint ({error})") from error
    return _unpacked(tree, lambda name: tensors[name].to(map_location))


@alternate("checkpoint.expected_seconds")
def cost_of_a_segment(work, interval, save, restart, mean_time_between_failures):
    """A first try and, with the chance of a failure, a second one that includes the restart."""
    m, t = mean_time_between_failures, interval + save
    fails = -math.expm1(-t / m)
    once = m * fails + fails * m * math.expm1((restart + t) / m)
    return once * work / interval


@alternate("checkpoint.simulated_seconds")
def each_try_on_its_own(work, interval, save, restart, mean_time_between_failures, generator):
    """Exponential times have no memory, so each try draws its own failure; PyTorch draws it."""
    seconds = 0.0
    for _ in range(round(work / interval)):
        needed = interval + save
        while True:
            failure = torch.empty(1, dtype=torch.float64).exponential_(1 / mean_time_between_failures, generator=generator).item()
            if failure >= needed:
                break
            seconds += failure
            needed = restart + interval + save
        seconds += needed
    return seconds
