"""The values that an observation consists of."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Array:
    """A tensor as the parent sees it. dtype: torch's name of it; values: bfloat16 arrives widened to float32."""

    dtype: str
    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def is_float(self) -> bool:
        return "float" in self.dtype


@dataclass(frozen=True)
class Unsupported:
    """A value of a type that may not leave the worker; only the name of the type does."""

    type_name: str


Leaf = Array | Unsupported | int | float | bool | str | None


Observation = dict[str, Leaf]  # path ("grad.input 0", "out[1]") → leaf, in the order of the check's return value


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested dicts, lists and tuples by path."""
    if type(value) in (dict, OrderedDict):  # the second is what a state dict is
        return {p: v for key, inner in value.items() for p, v in flatten(inner, f"{path}.{key}" if path else str(key)).items()}
    if isinstance(value, (list, tuple)):
        return {p: v for i, inner in enumerate(value) for p, v in flatten(inner, f"{path}[{i}]").items()}
    return {path or "result": value}


def numbers(value: Leaf) -> tuple[np.ndarray, str]:
    """A float leaf as float64 values and the name of its dtype."""
    if isinstance(value, Array):
        return value.values.astype(np.float64), value.dtype
    return np.asarray(value, dtype=np.float64), "float"


def is_float(value: Leaf) -> bool:
    return value.is_float if isinstance(value, Array) else type(value) is float
