"""Golden observations: what the reference was seen to do, how far float32 may lie from it, and what mistakes look like.

One pair of files a test file, beside the checks: `golden/test_rope.json` (structure, noise, tolerances, sketches) and
`golden/test_rope.safetensors` (the values). Written by `python -m tools golden`, read here; the reference never ships.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autograder.errors import GraderFault
from autograder.observation import Array, Leaf, Observation, array_of
from autograder.sketch import project

FACTOR = 32  # tolerance in units of the measured noise; verify asks for at least ten
FLOOR_ULPS = 8  # below this many units in the last place of the largest value, two sound orders of summation differ
DEVICE_FACTOR = {"cpu": 1.0, "cuda": 16.0, "mps": 32.0}  # other summation orders and libraries, TF32 off
_EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7, "float": 2.0**-23}


_loaded: dict[Path, tuple] = {}  # a class is graded against the same values again and again


@dataclass
class Expected:
    """One golden leaf. value: Array or plain value; noise and tolerance: absolute; random: only shape and dtype count."""

    value: Leaf
    noise: float = 0.0
    tolerance: float = 0.0
    random: bool = False


@dataclass
class Sketch:
    """What one misconception looks like in one check: a projection of each float leaf, anything else in short.

    One that raises has the single leaf "raised", the exception's type and message. distance: the largest departure of a
    float32 or float64 leaf in units of its tolerance; inf where something else tells.
    """

    case: str
    leaves: dict[str, list | str]
    distance: float


@dataclass
class Golden:
    """What one check expects."""

    leaves: dict[str, Expected] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    sketches: list[Sketch] = field(default_factory=list)


def tolerance(noise: float, value: Leaf) -> float:
    """FACTOR times the noise, and not less than a few ulps of the leaf's dtype at its scale."""
    values, dtype = numbers(value)
    finite = np.abs(values[np.isfinite(values)])
    return max(FACTOR * noise, FLOOR_ULPS * _EPS[dtype] * float(finite.max(initial=0.0)))


def numbers(value: Leaf) -> tuple[np.ndarray, str]:
    """A float leaf as float64 values and the name of its dtype."""
    if isinstance(value, Array):
        return value.values.astype(np.float64), value.dtype
    return np.asarray(value, dtype=np.float64), "float"


def is_float(value: Leaf) -> bool:
    return value.is_float if isinstance(value, Array) else type(value) is float


def gap(seen: Leaf, expected: Leaf) -> float:
    """Largest absolute difference of two float leaves of one shape; equal infinities differ by nothing, NaN by all."""
    (a, _), (b, _) = numbers(seen), numbers(expected)
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))


def sketch(seen: Observation, golden: Golden) -> dict[str, list | str]:
    """A short description of an observation that two runs of the same mistake share."""
    return {path: _describe(leaf, path in golden.leaves and golden.leaves[path].random) for path, leaf in seen.items()}


def same_sketch(mine: dict[str, list | str], stored: dict[str, list | str], golden: Golden) -> bool:
    """Whether a sketch looks like a stored one: as near as tolerance, or four digits where the numbers are large.

    A random leaf is compared by the share of its zeros, its mean and its deviation, to a twentieth of the deviation, and by
    its shape: mean distance from the mean in deviations, 0.80 for a bell and 0.87 for an even spread.
    """
    return mine.keys() == stored.keys() and all(_alike(mine[p], stored[p], golden.leaves.get(p)) for p in mine)


def _alike(mine: list | str, theirs: list | str, expected: Expected | None) -> bool:
    if isinstance(mine, str) or isinstance(theirs, str):
        return mine == theirs
    if mine[:2] != theirs[:2] or len(mine[2]) != len(theirs[2]):
        return False
    a, b = np.array(mine[2]), np.array(theirs[2])
    if expected is not None and expected.random:
        return bool(np.all(np.abs(a - b) <= np.array([0.05, 0.05 * b[2], 0.05 * b[2], 0.03]) + 1e-6))
    return bool(np.all(np.abs(a - b) <= 4 * (expected.tolerance if expected else 0.0) + 1e-4 * np.abs(b).max(initial=0.0)))


def _describe(leaf: Leaf, random: bool) -> list | str:
    if not is_float(leaf):
        if isinstance(leaf, Array):
            return f"{leaf.dtype} {leaf.shape} {hashlib.sha256(np.ascontiguousarray(leaf.values).tobytes()).hexdigest()[:12]}"
        return repr(leaf)[:200]
    values, dtype = numbers(leaf)
    odd = [int(np.isnan(values).sum()), int(np.isposinf(values).sum()), int(np.isneginf(values).sum())]
    clean = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), -1e30, 1e30)
    few = _moments(clean) if random and clean.size else project(clean)
    return [f"{dtype} {tuple(values.shape)}", odd, [float(f"{x:.7g}") for x in few]]


def _moments(values: np.ndarray) -> list[float]:
    mean, deviation = values.mean(), values.std()
    return [(values == 0).mean(), mean, deviation, np.abs(values - mean).mean() / max(deviation, 1e-30)]


def load(path: Path) -> dict[str, Golden]:
    """Golden observations of one test file, by check name. GraderFault when they are missing or damaged."""
    import safetensors

    files = path.with_suffix(".json"), path.with_suffix(".safetensors")
    try:
        stamp = tuple(file.stat().st_mtime_ns for file in files)
        if (known := _loaded.get(path)) and known[0] == stamp:
            return known[1]
        goldens = _read(*files)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise GraderFault(
            f"golden values of {path.stem} are missing or damaged ({type(error).__name__}: {error}); "
            "an instructor runs `make golden`"
        ) from error
    _loaded[path] = stamp, goldens
    return goldens


def _read(table: Path, body: Path) -> dict[str, Golden]:
    import safetensors

    entries = json.loads(table.read_text())["checks"]
    tensors = dict(safetensors.deserialize(body.read_bytes()))
    return {name: _from_json(name, entry, tensors) for name, entry in entries.items()}


def save(path: Path, goldens: dict[str, Golden]) -> None:
    """Write both files, the same bytes for the same observations."""
    from safetensors.numpy import save as pack

    body: dict[str, np.ndarray] = {}
    table = {name: _to_json(name, golden, body) for name, golden in sorted(goldens.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(_lines(table))
    path.with_suffix(".safetensors").write_bytes(pack(body))


def _lines(table: dict) -> str:
    """JSON with one line a leaf and a sketch, so that a diff shows which moved."""
    out = ['{"checks": {']
    for i, (name, entry) in enumerate(table.items()):
        out.append(f' {json.dumps(name)}: {{"inputs": {json.dumps(entry["inputs"])},')
        out.append(
            '  "leaves": {' + ",\n   ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in entry["leaves"].items()) + "},"
        )
        out.append(
            '  "sketches": ['
            + ",\n   ".join(json.dumps(s) for s in entry["sketches"])
            + f"]}}{',' if i + 1 < len(table) else ''}"
        )
    return "\n".join(out) + "\n}}\n"


def _to_json(name: str, golden: Golden, body: dict) -> dict:
    leaves = {}
    for path, expected in golden.leaves.items():
        entry: dict = {"noise": float(f"{expected.noise:.3g}"), "tolerance": float(f"{expected.tolerance:.3g}")}
        if expected.random:
            entry["random"] = True
        if isinstance(expected.value, Array):
            entry["dtype"], entry["shape"] = expected.value.dtype, list(expected.value.shape)
            if not expected.random:
                body[f"{name}/{path}"] = expected.value.values
        else:
            entry["value"] = expected.value
        leaves[path] = entry
    sketches = [
        {"case": s.case, "distance": float(f"{s.distance:.3g}") if np.isfinite(s.distance) else None, "leaves": s.leaves}
        for s in golden.sketches
    ]
    return {"inputs": golden.inputs, "leaves": leaves, "sketches": sketches}


def _from_json(name: str, entry: dict, body: dict) -> Golden:
    leaves = {}
    for path, row in entry["leaves"].items():
        if "dtype" in row and not row.get("random"):
            value: Leaf = Array(row["dtype"], array_of(body[f"{name}/{path}"]).values.reshape(row["shape"]))
        elif "dtype" in row:
            value = Array(row["dtype"], np.zeros(row["shape"], dtype=np.float32))
        else:
            value = row["value"]
        leaves[path] = Expected(value, row["noise"], row["tolerance"], row.get("random", False))
    return Golden(
        leaves,
        entry["inputs"],
        [Sketch(s["case"], s["leaves"], float("inf") if s["distance"] is None else s["distance"]) for s in entry["sketches"]],
    )
