"""The values that an observation consists of."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Array:
    """A tensor as the parent sees it.

    dtype: torch's name of it.
    values: bfloat16 arrives widened to float32.
    """

    dtype: str
    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.values.shape

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return "float" in self.dtype


@dataclass(frozen=True)
class Unsupported:
    """A value of a type that may not leave the worker. Only the name of the type does."""

    type_name: str


Leaf = Array | Unsupported | int | float | bool | str | None

Observation = dict[str, Leaf]  # path ("grad.input 0", "out[1]") → leaf, in the order of the check's return value


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested dicts, lists and tuples by path. A value that is none of these is the leaf "result"."""
    if type(value) in (dict, OrderedDict):  # the second is what a state dict is
        inner = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return {path or "result": value}
    return {leaf: item for name, nested in inner for leaf, item in flatten(nested, name).items()}


def numbers(value: Leaf) -> tuple[np.ndarray, str]:
    """A float leaf as float64 values and the name of its dtype. None is taken for NaN.

    ValueError, TypeError: the leaf is no number.
    """
    if isinstance(value, Array):
        return value.values.astype(np.float64), value.dtype
    if isinstance(value, Unsupported):
        raise TypeError(f"a {value.type_name} is no number")
    return np.asarray(value, dtype=np.float64), "float"


def is_float(value: Leaf) -> bool:
    """Whether a leaf is a floating-point number or a tensor of such."""
    return value.is_float if isinstance(value, Array) else type(value) is float
