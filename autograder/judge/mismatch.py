"""Where an observation first differs from the golden one, in words for the student."""

from dataclasses import dataclass

import numpy as np

from autograder.judge.reason import Reason
from autograder.observation.golden import Expected
from autograder.observation.leaf import Array, Leaf, Unsupported, is_float, numbers
from autograder.observation.tolerance import gap


@dataclass(frozen=True)
class Mismatch:
    """The first thing that is not right.

    leaf: the leaf of the observation that it was found in.
    text: what the student reads.
    share: share of the points that the check earns all the same.
    """

    leaf: str
    reason: Reason
    text: str
    share: float = 0.0


def structural_mismatch(path: str, actual: Leaf, expected: Leaf) -> Mismatch | None:
    """A leaf of another type, shape or dtype than the golden one. Values are not looked at."""
    if actual is None and expected is not None:
        return _none(path, expected)
    if expected is None:
        return None if actual is None else Mismatch(path, Reason.TYPE, f"{path} should be None, got {describe_type(actual)}")
    if _kind(actual) != _kind(expected):
        return Mismatch(path, Reason.TYPE, f"{path} is {describe_type(actual)}, expected {describe_type(expected)}")
    if isinstance(actual, Array) and isinstance(expected, Array):
        if actual.shape != expected.shape:
            text = f"{path} has shape {_format_shape(actual.shape)}, expected {_format_shape(expected.shape)}"
            return Mismatch(path, Reason.SHAPE, text)
        if actual.dtype != expected.dtype:
            return Mismatch(path, Reason.DTYPE, f"{path} is {actual.dtype}, expected {expected.dtype}")
    return None


def value_mismatch(path: str, actual: Leaf, expected: Expected, factor: float) -> Mismatch | None:
    """A leaf whose values differ from the golden ones by more than `factor` times the tolerance. Its structure is right."""
    if not is_float(expected.value):
        return _exact_mismatch(path, actual, expected.value)
    (values, _), (golden, _) = numbers(actual), numbers(expected.value)
    if (nonfinite := ~np.isfinite(values) & np.isfinite(golden)).any():
        return _nonfinite(path, values, golden, nonfinite)
    tolerance = expected.tolerance * factor
    if gap(actual, expected.value) <= tolerance:
        return None
    same = (values == golden) | (np.isnan(values) & np.isnan(golden))
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.where(same, 0.0, np.abs(values - golden)), nan=np.inf, posinf=np.inf)
    wrong = distance > tolerance
    first = _first(wrong)
    text = f"{path}{_index(first)} is the first value that differs: got {values[first]:.4g}, expected {golden[first]:.4g}"
    if wrong.size > 1:
        largest = tuple(int(i) for i in np.unravel_index(int(distance.argmax()), distance.shape))
        text += f"\n{wrong.sum()} of {wrong.size} values are off{_region(wrong)}"
        text += f"; largest gap {distance.max():.3g} at {_index(largest)}; tolerance {tolerance:.1e}"
    return Mismatch(path, Reason.VALUE, text)


def not_finite(path: str, actual: Leaf) -> Mismatch | None:
    """A leaf that holds NaN or an infinite number. Its golden values do not count."""
    if not is_float(actual):
        return None
    values, _ = numbers(actual)
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return None
    first = _first(wrong)
    kind = "NaN" if np.isnan(values[first]) else "infinite"
    return Mismatch(
        path, Reason.NONFINITE, f"{path}{_index(first)} is {kind}; {wrong.sum()} of {wrong.size} values are not finite"
    )


def describe_type(leaf: Leaf) -> str:
    """What a leaf is, in a few words: "a float32 tensor of shape (2, 3)", "a tuple", "None"."""
    if isinstance(leaf, Array):
        return f"a {leaf.dtype} tensor of shape {_format_shape(leaf.shape)}"
    return f"a {leaf.type_name}" if isinstance(leaf, Unsupported) else "None" if leaf is None else f"a {type(leaf).__name__}"


def _none(path: str, expected: Leaf) -> Mismatch:
    if path.startswith("grad") or ".grad" in path:
        name = path.partition(".")[2] or path
        text = f"no gradient reaches {name}: the output does not depend on it any more. Was it detached, or left out?"
        return Mismatch(path, Reason.NO_GRADIENT, text)
    return Mismatch(path, Reason.NONE, f"{path} is None, expected {describe_type(expected)}. Is a return missing?")


def _kind(leaf: Leaf) -> object:
    """What must be equal before shapes or values can be compared. A type that cannot be compared equals nothing."""
    return object() if isinstance(leaf, Unsupported) else type(leaf)


def _exact_mismatch(path: str, actual: Leaf, expected: Leaf) -> Mismatch | None:
    values, golden = (np.asarray(leaf.values if isinstance(leaf, Array) else leaf) for leaf in (actual, expected))
    wrong = np.asarray(values != golden)
    if not wrong.any():
        return None
    first = _first(wrong)
    text = f"{path}{_index(first)} is the first value that differs: got {values[first]}, expected {golden[first]}"
    if wrong.size > 1:
        text += f"\n{wrong.sum()} of {wrong.size} values are off{_region(wrong)}"
    return Mismatch(path, Reason.VALUE, text)


def _nonfinite(path: str, values: np.ndarray, golden: np.ndarray, where: np.ndarray) -> Mismatch:
    first = _first(where)
    kind = "NaN" if np.isnan(values[first]) else "infinite"
    count = f"; {where.sum()} of {where.size} values are not finite" if where.size > 1 else ""
    return Mismatch(path, Reason.NONFINITE, f"{path}{_index(first)} is {kind}, expected {golden[first]:.4g}{count}")


def _first(where: np.ndarray) -> tuple[int, ...]:
    """The index of the first True. It is empty for an array without axes."""
    return tuple(int(i) for i in np.argwhere(where)[0])


def _region(wrong: np.ndarray) -> str:
    """ ", all at 3 and 4 of axis 2 (of 5)" where few places along one axis hold all that is wrong; nothing otherwise."""
    for axis in range(wrong.ndim):
        places = np.unique(np.argwhere(wrong)[:, axis])
        if len(places) < wrong.shape[axis] and len(places) <= 4:
            return f", all at {' and '.join(str(int(i)) for i in places)} of axis {axis} (of {wrong.shape[axis]})"
    return ""


def _format_shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""
