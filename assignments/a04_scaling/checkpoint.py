"""Checkpoints: everything that the next step depends on, in one file. It is either the old file or the new one, never half of each.

A file is safetensors: numbers, and JSON for everything else. So reading it runs no code. Left out: several files for one
checkpoint (sharded models), and a checksum (a flipped bit is not noticed, a missing end is).
Source: atomic replacement: POSIX rename(2), fsync(2); interval: Young 1974, doi:10.1145/361147.361115; Daly 2006,
doi:10.1016/j.future.2004.11.016, §3.
"""

import json
import math
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = "training checkpoint, 1"
NO_GENERATORS: Mapping[str, torch.Generator] = {}


class Stateful(Protocol):
    """Whatever can be saved and put back: a model, an optimiser, a scheduler, a scaler, a data loader."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...


def snapshot(parts: Mapping[str, Stateful], generators: Mapping[str, torch.Generator] = NO_GENERATORS) -> dict[str, Any]:
    """The state of all parts and of everything random, as it is now. What happens to them later does not change it.

    {"parts": {name: its state_dict}, "generators": {name: its state}, "random": as of `random_state`}. Tensors are copies on the CPU.

    parts: what the run consists of, such as model and optimiser.
    """
    # TODO: copies (handout: checkpoint, step 1).
    # Watch: state_dict() holds the live tensors; they lie deep inside dicts and lists; `_copied` goes through all of them.
    raise NotImplementedError("a04_scaling/checkpoint.py: snapshot() is yours to write (handout: checkpoint, step 1)")


def restore(
    state: Mapping[str, Any], parts: Mapping[str, Stateful], generators: Mapping[str, torch.Generator] = NO_GENERATORS
) -> None:
    """Put everything back as it was at the `snapshot`. The snapshot stays as it is, so that it can be restored again.

    ValueError: the parts or generators are not those of the snapshot. The message names both. Nothing is changed then.
    """
    for kind, given in (("parts", parts), ("generators", generators)):
        if given.keys() != state[kind].keys():
            raise ValueError(f"the checkpoint holds the {kind} {sorted(state[kind])}; to put back: {sorted(given)}")
    # TODO: everything back (handout: checkpoint, step 2).
    # Watch: an optimiser keeps the very tensors that it is given; states of generators belong on the CPU.
    raise NotImplementedError("a04_scaling/checkpoint.py: restore() is yours to write (handout: checkpoint, step 2)")


def random_state() -> dict[str, Any]:
    """What Python, NumPy and PyTorch will draw next: {"python", "numpy", "torch", "cuda": a state for each device}."""
    # TODO: four states (handout: checkpoint, step 3).
    # Watch: np.random.get_state(legacy=False) is a dict with an array in it; a file holds tensors, not arrays.
    raise NotImplementedError("a04_scaling/checkpoint.py: random_state() is yours to write (handout: checkpoint, step 3)")


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put the four states of `random_state` back.

    Those of CUDA are put back if there are as many devices as there were. Otherwise they are left out.
    """
    # TODO: four states (handout: checkpoint, step 3).
    raise NotImplementedError("a04_scaling/checkpoint.py: restore_random_state() is yours to write (handout: checkpoint, step 3)")


def write(path: Path | str, state: Any) -> None:
    """Write dicts, lists, tuples, tensors, texts, numbers, booleans and None into one file. The write is atomic.

    Whoever reads `path` finds the old file or the whole new one, also if this process is killed or the power fails at any moment.
    The new file is first written beside the old one, under the name of `path` with ".part" behind it. One process writes at a time.

    TypeError: there is something else in the tree. Nothing is written then.
    """
    # TODO: `_packed` and `save_file` beside it, then the rename (handout: checkpoint, step 4).
    # Watch: the same folder; a file is on the disk after os.fsync, and its name after os.fsync of the folder.
    raise NotImplementedError("a04_scaling/checkpoint.py: write() is yours to write (handout: checkpoint, step 4)")


def read(path: Path | str, map_location: torch.device | str = "cpu") -> Any:
    """What `write` wrote, with all tensors on one device. Nothing in the file is run.

    FileNotFoundError: there is no such file.
    ValueError: the file is cut short, or holds something else. The message says which.
    """
    # TODO: tensors and tree, or a clear error (handout: checkpoint, step 5).
    # Watch: safetensors has an error class of its own; a safetensors file of another program is read without an error.
    raise NotImplementedError("a04_scaling/checkpoint.py: read() is yours to write (handout: checkpoint, step 5)")


def save_checkpoint(
    path: Path | str, parts: Mapping[str, Stateful], position: Any, generators: Mapping[str, torch.Generator] = NO_GENERATORS
) -> None:
    """Write snapshot and position into one file.

    position: where in the data and in the run we are, as plain values ({"step": 300}).
    TypeError: a state or the position holds something that is no tensor and no plain value.
    """
    write(path, {**snapshot(parts, generators), "position": position})


def load_checkpoint(
    path: Path | str,
    parts: Mapping[str, Stateful],
    generators: Mapping[str, torch.Generator] = NO_GENERATORS,
    map_location: torch.device | str = "cpu",
) -> Any:
    """Put back what `save_checkpoint` wrote, and return the position.

    FileNotFoundError: there is no such file.
    ValueError: the file is no whole checkpoint, or it is one of other parts or generators.
    """
    state = read(path, map_location)
    restore(state, parts, generators)
    return state["position"]


def young_interval(save: float, mean_time_between_failures: float) -> float:
    """Seconds of work from one checkpoint to the next that lose the least, to first order: √(2 · save · mean time).

    save: seconds that a checkpoint takes.
    mean_time_between_failures: in seconds.
    ValueError: one of the two is not positive.
    """
    if not (save > 0 and mean_time_between_failures > 0):
        raise ValueError(f"both times must be positive; got {save} and {mean_time_between_failures}")
    # TODO: one number (handout: checkpoint, step 6).
    raise NotImplementedError("a04_scaling/checkpoint.py: young_interval() is yours to write (handout: checkpoint, step 6)")


def expected_seconds(work: float, interval: float, save: float, restart: float, mean_time_between_failures: float) -> float:
    """Seconds that a run takes on average. Failures are equally likely at each moment: times between them are exponential.

    A failure costs what was done since the last finished checkpoint, and the restart. It can also come while saving and while
    restarting.  Source: Daly 2006, §3.

    work: seconds of computing in all, a whole number of intervals.
    interval: seconds of computing before each checkpoint.
    save: seconds that a checkpoint takes.
    restart: seconds after a failure before work goes on from the last checkpoint.
    mean_time_between_failures: in seconds.
    """
    # TODO: one formula (handout: checkpoint, step 7).
    # Watch: math.expm1 keeps its digits where failures are rare.
    raise NotImplementedError("a04_scaling/checkpoint.py: expected_seconds() is yours to write (handout: checkpoint, step 7)")


def simulated_seconds(
    work: float, interval: float, save: float, restart: float, mean_time_between_failures: float, generator: torch.Generator
) -> float:
    """Seconds that one such run takes, simulated with failures that are drawn from the generator."""

    # TODO: the simulation (handout: checkpoint, step 8).
    # Watch: what is drawn anew after a failure, and what a failure while saving costs.
    raise NotImplementedError("a04_scaling/checkpoint.py: simulated_seconds() is yours to write (handout: checkpoint, step 8)")


def _copied(tree: Any, device: torch.device | str | None = None) -> Any:
    """The same tree with copies of its tensors.

    device: where the copies are. None: each on the device of its tensor.
    """
    if isinstance(tree, Tensor):
        return tree.detach().to(device or tree.device, copy=True)
    if isinstance(tree, Mapping):
        return {key: _copied(value, device) for key, value in tree.items()}
    return type(tree)(_copied(value, device) for value in tree) if isinstance(tree, list | tuple) else tree


def _packed(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON. Its tensors are put into `tensors`, and their names stand in the tree instead.

    TypeError: there is something in the tree that is no tensor and no plain value.
    """
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().to("cpu").clone(memory_format=torch.contiguous_format)  # shared ones become two
        return {"tensor": name}
    if isinstance(tree, Mapping):  # keys may be numbers, as in the state of an optimiser
        return {"dict": [[_packed(key, tensors), _packed(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return {type(tree).__name__: [_packed(value, tensors) for value in tree]}
    if tree is None or isinstance(tree, str | bool | int | float):
        return tree
    raise TypeError(f"a checkpoint holds tensors and plain values; got {type(tree).__name__}: {tree!r:.80}")


def _unpacked(packed: Any, tensor_of: Any) -> Any:
    """The tree again, from what `_packed` made of it."""
    if not isinstance(packed, dict):
        return packed
    [(kind, content)] = packed.items()
    if kind == "tensor":
        return tensor_of(content)
    if kind == "dict":
        return {_unpacked(key, tensor_of): _unpacked(value, tensor_of) for key, value in content}
    return {"list": list, "tuple": tuple}[kind](_unpacked(value, tensor_of) for value in content)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
