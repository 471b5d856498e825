"""Where an observation first differs from the golden one, in words: structure, then dtype and shape, then values."""

from dataclasses import dataclass

import numpy as np

from autograder.observation.golden import Expected
from autograder.observation.leaf import Array, Leaf, Unsupported, is_float, numbers
from autograder.observation.tolerance import gap


@dataclass(frozen=True)
class Mismatch:
    """Where an observation first leaves what is right. reason: one word for statistics; text: for the student."""

    leaf: str
    reason: str
    text: str


def structural_mismatch(path: str, observation: Leaf, expected: Leaf) -> Mismatch | None:
    if observation is None and expected is not None:
        if _is_gradient(path):
            return Mismatch(
                path,
                "no gradient",
                f"no gradient reaches {_short(path)}: the output does not depend on it any more. Was it detached, or left out?",
            )
        return Mismatch(path, "none", f"{path} is None, expected {describe_type(expected)}. Is a return missing?")
    if expected is None:
        return None if observation is None else Mismatch(path, "type", f"{path} should be None, got {describe_type(observation)}")
    if (
        isinstance(observation, Unsupported)
        or isinstance(observation, Array) != isinstance(expected, Array)
        or (not isinstance(observation, Array) and type(observation) is not type(expected))
    ):
        return Mismatch(path, "type", f"{path} is {describe_type(observation)}, expected {describe_type(expected)}")
    if isinstance(expected, Array):
        if observation.shape != expected.shape:
            return Mismatch(path, "shape", f"{path} has shape {_shape(observation.shape)}, expected {_shape(expected.shape)}")
        if observation.dtype != expected.dtype:
            return Mismatch(path, "dtype", f"{path} is {observation.dtype}, expected {expected.dtype}")
    return None


def value_mismatch(path: str, observation: Leaf, expected: Expected, factor: float) -> Mismatch | None:
    if not is_float(expected.value):
        actual, expected_values = (np.asarray(x.values if isinstance(x, Array) else x) for x in (observation, expected.value))
        off = actual != expected_values
        show = str
    else:
        (actual, _), (expected_values, _) = numbers(observation), numbers(expected.value)
        bad = ~np.isfinite(actual) & np.isfinite(expected_values)
        if bad.any():
            return Mismatch(path, "nonfinite", _nonfinite(path, actual, bad, expected_values))
        if gap(observation, expected.value) <= expected.tolerance * factor:
            return None
        same = (actual == expected_values) | (np.isnan(actual) & np.isnan(expected_values))
        with np.errstate(invalid="ignore"):
            off = ~same & ~(np.abs(actual - expected_values) <= expected.tolerance * factor)
        show = lambda x: f"{x:.4g}"
    if not off.any():
        return None
    first = tuple(int(i) for i in np.argwhere(off)[0]) if off.ndim else ()
    text = f"{path}{_index(first)} is the first value that differs: got {show(actual[first])}, expected {show(expected_values[first])}"
    if off.ndim and off.size > 1:
        text += f"\n{off.sum()} of {off.size} values are off{_region(off)}"
        if is_float(expected.value):
            with np.errstate(invalid="ignore"):
                distance = np.nan_to_num(np.where(off, np.abs(actual - expected_values), 0.0), nan=np.inf)
            where = np.unravel_index(int(distance.argmax()), distance.shape)
            text += f"; largest gap {distance.max():.3g} at {_index(tuple(int(i) for i in where))}; tolerance {expected.tolerance * factor:.1e}"
    return Mismatch(path, "value", text)


def _nonfinite(path: str, actual: np.ndarray, bad: np.ndarray, expected_values: np.ndarray) -> str:
    first = tuple(int(i) for i in np.argwhere(bad)[0]) if bad.ndim else ()
    kind = "NaN" if np.isnan(actual[first]) else "infinite"
    count = f"; {bad.sum()} of {bad.size} values are not finite" if bad.size > 1 else ""
    return f"{path}{_index(first)} is {kind}, expected {expected_values[first]:.4g}{count}"


def _region(off: np.ndarray) -> str:
    """ ", all at time-like index 3 and 4 of axis 2" where one axis tells wrong from right; nothing otherwise."""
    for axis in range(off.ndim):
        hit = np.unique(np.argwhere(off)[:, axis])
        if len(hit) < off.shape[axis] and len(hit) <= 4:
            return f", all at {' and '.join(str(int(i)) for i in hit)} of axis {axis} (of {off.shape[axis]})"
    return ""


def _is_gradient(path: str) -> bool:
    return path.startswith("grad") or ".grad" in path


def _short(path: str) -> str:
    return path.split(".", 1)[1] if "." in path else path


def describe_type(leaf: Leaf) -> str:
    if isinstance(leaf, Array):
        return f"a {leaf.dtype} tensor of shape {_shape(leaf.shape)}"
    return f"a {leaf.type_name}" if isinstance(leaf, Unsupported) else "None" if leaf is None else f"a {type(leaf).__name__}"


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""
