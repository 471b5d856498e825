"""An observation on its way from the worker to the parent: a JSON header and a safetensors body.

`serialize` runs beside student code. It takes plain tensors, numbers, strings, booleans, None, and lists, tuples and dicts
of them. `deserialize` runs in the parent and trusts nothing: no pickle, a strict schema, NumPy arrays rebuilt from bytes.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.observation.leaf import Array, Leaf, Observation, Unsupported, flatten

if TYPE_CHECKING:  # the parent has no torch
    from torch import Tensor

MAX_BYTES = 64 << 20
MAX_LEAVES = 10_000

# safetensors' name of a dtype: torch's name, and NumPy's. NumPy has no bfloat16.
_DTYPES = {
    "F64": ("float64", "<f8"),
    "F32": ("float32", "<f4"),
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", ""),
    "I64": ("int64", "<i8"),
    "I32": ("int32", "<i4"),
    "I16": ("int16", "<i2"),
    "I8": ("int8", "i1"),
    "U8": ("uint8", "u1"),
    "BOOL": ("bool", "?"),
}
_SENDABLE = frozenset(f"torch.{name}" for name, _ in _DTYPES.values())

# How a row of the header says what its leaf is. A plain value has the name of its type.
_TENSOR, _UNSUPPORTED = "tensor", "unsupported"


class MalformedObservation(ValueError):
    """The bytes that came back are no observation: cut short, too large, or not of the schema."""


def serialize(value: Any) -> bytes:
    """Bytes of an observation. It is called in the worker, where torch is."""
    from safetensors import TensorSpec
    from safetensors import serialize as to_safetensors

    rows: list[tuple[str, str, object]] = []
    tensors: dict[str, Tensor] = {}
    for path, leaf in flatten(value).items():
        kind, content = _row(leaf)
        if kind == _TENSOR:
            tensors[str(len(rows))] = leaf.detach().cpu().contiguous()
        rows.append((path, kind, content))
    header = json.dumps(rows).encode()
    # safetensors.torch.save does the same by way of NumPy and takes three times as long; a grade calls this a hundred times
    body = {
        name: TensorSpec(dtype=str(t.dtype).removeprefix("torch."), shape=list(t.shape), data_ptr=t.data_ptr(), data_len=t.nbytes)
        for name, t in tensors.items()
    }
    return struct.pack("<I", len(header)) + header + to_safetensors(body)


def deserialize(data: bytes) -> Observation:
    """The observation in `data`. MalformedObservation: it is none; the message says why."""
    import safetensors

    if len(data) > MAX_BYTES:
        raise MalformedObservation(f"the result has {len(data):,} bytes; at most {MAX_BYTES:,} are taken")
    try:
        (size,) = struct.unpack_from("<I", data)
        rows = json.loads(data[4 : 4 + size])
        arrays = {name: read_array(entry) for name, entry in safetensors.deserialize(data[4 + size :])}
    except Exception as error:
        raise MalformedObservation(f"the result cannot be read: {type(error).__name__}") from error
    if not isinstance(rows, list) or len(rows) > MAX_LEAVES:
        raise MalformedObservation("the result has no list of leaves, or too many")
    return dict(_read_row(number, row, arrays.get(str(number))) for number, row in enumerate(rows))


def read_array(entry: dict[str, Any]) -> Array:
    """The array in one entry of a safetensors file, as `safetensors.deserialize` gives it.

    KeyError: the dtype is none of ours.
    ValueError: the bytes do not fit the shape.
    """
    (dtype, numpy_name), shape, data = _DTYPES[entry["dtype"]], entry["shape"], entry["data"]
    if dtype == "bfloat16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype("<u4") << 16
        return Array(dtype, wide.view("<f4").reshape(shape))
    return Array(dtype, np.frombuffer(data, numpy_name).reshape(shape))


def _row(leaf: Any) -> tuple[str, object]:
    """What the header says of a leaf: its kind, and its value if that is plain."""
    import torch

    if type(leaf) in (torch.Tensor, torch.nn.Parameter):
        if leaf.is_meta or leaf.layout is not torch.strided or str(leaf.dtype) not in _SENDABLE:
            return _UNSUPPORTED, f"{leaf.layout} tensor of {leaf.dtype} on {leaf.device}"
        return _TENSOR, None
    if leaf is None or type(leaf) in (bool, int, float, str):
        return type(leaf).__name__, leaf
    return _UNSUPPORTED, f"{type(leaf).__module__}.{type(leaf).__qualname__}".removeprefix("builtins.")


def _read_row(number: int, row: object, array: Array | None) -> tuple[str, Leaf]:
    """Path and leaf of a row of the header. MalformedObservation: it is not of the schema."""
    match row:
        case [str(path), "tensor", None] if array is not None:
            return path, array
        case [str(path), "unsupported", str(name)]:
            return path, Unsupported(name[:200])
        case [str(path), str(kind), None | bool() | int() | float() | str() as leaf] if type(leaf).__name__ == kind:
            return path, leaf
    raise MalformedObservation(f"leaf {number} of the result is not of the schema")
