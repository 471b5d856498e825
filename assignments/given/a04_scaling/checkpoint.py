"""Checkpoints in one safetensors file. The format is that of the assignment."""

import copy
import functools
import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch.utils import _pytree as pytree

FORMAT = "training checkpoint, 1"
NO_GENERATORS: Mapping[str, torch.Generator] = {}


class Stateful(Protocol):
    """Whatever can be saved and put back."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...


def snapshot(parts: Mapping[str, Stateful], generators: Mapping[str, torch.Generator] = NO_GENERATORS) -> dict[str, Any]:
    """The state of all parts and of everything random, as it is now. Tensors are copies on the CPU."""
    live = {
        "random": random_state(),
        "generators": {name: one.get_state() for name, one in generators.items()},
        "parts": {name: dict(one.state_dict()) for name, one in parts.items()},
    }
    return pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.detach().cpu().clone(), live)


def restore(
    state: Mapping[str, Any], parts: Mapping[str, Stateful], generators: Mapping[str, torch.Generator] = NO_GENERATORS
) -> None:
    """Put everything back as it was at the `snapshot`.

    ValueError: the parts or generators are not those of the snapshot.
    """
    for kind, names in {"parts": set(parts), "generators": set(generators)}.items():
        if odd := names ^ set(state[kind]):
            raise ValueError(f"the {kind} of the checkpoint are not those to put back; on one side alone: {sorted(odd)}")
    for name in parts:
        parts[name].load_state_dict(copy.deepcopy(state["parts"][name]))
    for name in generators:
        generators[name].set_state(torch.ByteTensor(state["generators"][name].cpu()))
    restore_random_state(state["random"])


def random_state() -> dict[str, Any]:
    """What Python, NumPy and PyTorch will draw next: {"python", "numpy", "torch", "cuda": a state for each device}."""
    kind, key, position, has_gauss, gauss = np.random.get_state()
    mersenne = {"key": torch.tensor(key.tolist()), "pos": position}
    ours = {"bit_generator": kind, "state": mersenne, "has_gauss": has_gauss, "gauss": gauss}
    return dict(
        python=random.getstate(), numpy=ours, torch=torch.random.get_rng_state(), cuda=list(torch.cuda.get_rng_state_all())
    )


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put the four states of `random_state` back.

    Those of CUDA are put back if there are as many devices as there were. Otherwise they are left out.
    """
    ours = state["numpy"]
    key = np.array(ours["state"]["key"].tolist(), np.uint32)
    np.random.set_state((ours["bit_generator"], key, ours["state"]["pos"], ours["has_gauss"], ours["gauss"]))
    random.setstate(state["python"])
    torch.random.set_rng_state(state["torch"].to("cpu"))
    if torch.cuda.device_count() == len(state["cuda"]):
        for number, one in enumerate(state["cuda"]):
            torch.cuda.set_rng_state(one.to("cpu"), number)


@functools.singledispatch
def _plain(value: Any, keep: Any) -> Any:
    raise TypeError(f"a checkpoint holds tensors and plain values; got {type(value).__name__}: {value!r:.80}")


for _kind in (str, bool, int, float, type(None)):
    _plain.register(_kind)(lambda value, keep: value)
for _kind in (list, tuple):
    _plain.register(_kind)(lambda value, keep: {type(value).__name__: [_plain(one, keep) for one in value]})
_plain.register(Mapping)(lambda value, keep: {"dict": [[_plain(k, keep), _plain(v, keep)] for k, v in value.items()]})
_plain.register(torch.Tensor)(lambda value, keep: {"tensor": keep(value)})


def write(path: Path | str, state: Any) -> None:
    """Write dicts, lists, tuples, tensors and plain values into one file. The write is atomic.

    TypeError: there is something else in the tree. Nothing is written then.
    """
    tensors: list[torch.Tensor] = []
    tree = _plain(state, lambda tensor: tensors.append(tensor.detach().cpu().contiguous().clone()) or str(len(tensors) - 1))
    named = {str(number): tensor for number, tensor in enumerate(tensors)}
    data = safetensors.torch.save(named, {"tree": json.dumps(tree), "format": FORMAT})
    beside = f"{path}.part"
    with open(beside, "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file)
    os.replace(beside, path)  # noqa: PTH105
    folder = os.open(Path(path).parent, os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def read(path: Path | str, map_location: torch.device | str = "cpu") -> Any:
    """What `write` wrote, with all tensors on one device.

    FileNotFoundError: there is no such file.
    ValueError: the file is cut short, or holds something else.
    """
    data = Path(path).read_bytes()
    try:
        tensors = safetensors.torch.load(data)
        about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is cut short, or no checkpoint at all: {error}") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this course: its format is {about.get('format')!r}")
    makers = {"list": list, "tuple": tuple, "dict": dict, "tensor": lambda name: tensors[name].to(map_location)}
    return json.loads(about["tree"], object_hook=lambda one: next(makers[kind](content) for kind, content in one.items()))


def save_checkpoint(
    path: Path | str, parts: Mapping[str, Stateful], position: Any, generators: Mapping[str, torch.Generator] = NO_GENERATORS
) -> None:
    """Write snapshot and position into one file.

    position: where in the data and in the run we are, as plain values.
    TypeError: a state or the position holds something that is no tensor and no plain value.
    """
    write(path, snapshot(parts, generators) | {"position": position})


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
    content = read(path, map_location)
    restore(content, parts, generators)
    return content["position"]


def young_interval(save: float, mean_time_between_failures: float) -> float:
    """Seconds of work from one checkpoint to the next, by Young's rule.

    ValueError: one of the arguments is not positive.
    """
    if min(save, mean_time_between_failures) <= 0:
        raise ValueError(f"both times must be positive; got {save} and {mean_time_between_failures}")
    return float(np.sqrt(2.0) * np.sqrt(save) * np.sqrt(mean_time_between_failures))


def expected_seconds(work: float, interval: float, save: float, restart: float, mean_time_between_failures: float) -> float:
    """Seconds that a run takes on average, by Daly's formula. All arguments are in seconds."""
    rate = 1 / mean_time_between_failures
    each = (np.expm1((interval + save) * rate)) * np.exp(restart * rate) / rate
    return float(each * work / interval)


def simulated_seconds(
    work: float, interval: float, save: float, restart: float, mean_time_between_failures: float, generator: torch.Generator
) -> float:
    """Seconds that one such run takes, with failures drawn from the generator. All arguments are in seconds.

    Times between failures have no memory, so each attempt may draw its own failure.
    """
    seconds, failed = 0.0, False
    left = round(work / interval)
    while left > 0:
        needed = interval + save + restart * failed
        until = torch.empty(1, dtype=torch.float64).exponential_(1 / mean_time_between_failures, generator=generator).item()
        failed = until < needed
        seconds += min(until, needed)
        left -= not failed
    return seconds
