"""What a check saw, on its way from the worker to the parent: a JSON header and a safetensors body.

`pack` runs beside student code and takes plain tensors, numbers, strings, booleans, None, and lists, tuples and dicts of
them. `unpack` runs in the parent and trusts nothing: no pickle, a strict schema, NumPy arrays rebuilt from bytes.
"""

import json
import struct
from typing import Any

import numpy as np

from autograder.observation.leaf import Array, Observation, Unsupported, flatten

MAX_BYTES = 64 << 20


MAX_LEAVES = 10_000


_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


class MalformedObservation(ValueError):
    """The bytes that came back are no observation: cut short, too large, or not of the schema."""


def serialize(value: Any) -> bytes:
    """Bytes of an observation. Called in the worker, where torch is."""
    import torch
    from safetensors import TensorSpec, serialize

    leaves, tensors = [], {}
    for path, leaf in flatten(value).items():
        if type(leaf) in (torch.Tensor, torch.nn.Parameter):
            tensor = leaf.detach()
            if tensor.is_meta or tensor.layout is not torch.strided or tensor.dtype not in _sendable(torch):
                leaves.append([path, "alien", f"{tensor.layout} tensor of {tensor.dtype} on {tensor.device}"])
                continue
            tensors[str(len(leaves))] = tensor.cpu().contiguous()
            leaves.append([path, "tensor", None])
        elif leaf is None or type(leaf) in (bool, int, float, str):
            leaves.append([path, type(leaf).__name__, leaf])
        else:
            leaves.append([path, "alien", f"{type(leaf).__module__}.{type(leaf).__qualname__}".removeprefix("builtins.")])
    header = json.dumps(leaves).encode()
    # safetensors.torch.save does the same by way of NumPy and takes three times as long; a grade calls this a hundred times
    body = {
        name: TensorSpec(dtype=str(t.dtype).removeprefix("torch."), shape=list(t.shape), data_ptr=t.data_ptr(), data_len=t.nbytes)
        for name, t in tensors.items()
    }
    return struct.pack("<I", len(header)) + header + serialize(body)


def deserialize(data: bytes) -> Observation:
    """The observation in `data`. MalformedObservation says what is wrong with it."""
    import safetensors

    if len(data) > MAX_BYTES:
        raise MalformedObservation(f"the result has {len(data):,} bytes; at most {MAX_BYTES:,} are taken")
    try:
        (size,) = struct.unpack_from("<I", data)
        leaves = json.loads(data[4 : 4 + size])
        tensors = {name: array_of(entry) for name, entry in safetensors.deserialize(data[4 + size :])}
    except Exception as error:
        raise MalformedObservation(f"the result cannot be read: {type(error).__name__}") from error
    if not isinstance(leaves, list) or len(leaves) > MAX_LEAVES:
        raise MalformedObservation("the result has no list of leaves, or too many")
    observation: Observation = {}
    for number, row in enumerate(leaves):
        match row:
            case [str(path), "tensor", None] if str(number) in tensors:
                observation[path] = tensors[str(number)]
            case [str(path), "alien", str(name)]:
                observation[path] = Unsupported(name[:200])
            case [str(path), ("NoneType" | "bool" | "int" | "float" | "str") as kind, leaf] if type(leaf).__name__ == kind:
                observation[path] = leaf
            case _:
                raise MalformedObservation(f"leaf {number} of the result is not of the schema")
    return observation


def _sendable(torch) -> set:
    return {getattr(torch, name) for name in _NAMES.values()}


def array_of(entry: dict) -> Array:
    """The array in one entry of a safetensors file, as `safetensors.deserialize` gives it."""
    dtype, shape, data = entry["dtype"], entry["shape"], entry["data"]
    if dtype == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype("<u4") << 16
        return Array("bfloat16", wide.view("<f4").reshape(shape))
    return Array(_NAMES[dtype], np.frombuffer(data, _NUMPY[dtype]).reshape(shape))
