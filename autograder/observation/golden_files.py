"""Golden observations on disk: one pair of files for each test file, in a folder `golden/` beside it.

`golden/test_rope.json` holds structure, noise, tolerances and fingerprints. `golden/test_rope.safetensors` holds the values.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from autograder.errors import GraderFault
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.leaf import Array
from autograder.observation.serialization import read_array

Stamp = tuple[int, ...]  # when the two files were last written

_loaded: dict[Path, tuple[Stamp, dict[str, Golden]]] = {}  # a class is graded against the same values again and again


def load_goldens(path: Path) -> dict[str, Golden]:
    """Golden observations of one test file, by check name.

    path: of the two files, without suffix.
    GraderFault: the files are missing or damaged.
    """
    import safetensors

    files = path.with_suffix(".json"), path.with_suffix(".safetensors")
    try:
        stamp = tuple(file.stat().st_mtime_ns for file in files)
        if path in _loaded and _loaded[path][0] == stamp:
            return _loaded[path][1]
        goldens = _read(*files)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise GraderFault(
            f"golden values of {path.stem} are missing or damaged ({type(error).__name__}: {error}); "
            "an instructor runs `make golden`"
        ) from error
    _loaded[path] = stamp, goldens
    return goldens


def save_goldens(path: Path, goldens: dict[str, Golden]) -> None:
    """Write both files: the same bytes for the same observations.

    path: of the two files, without suffix.
    """
    from safetensors.numpy import save as to_safetensors

    tensors: dict[str, np.ndarray] = {}
    entries = {}
    for name, golden in sorted(goldens.items()):
        entries[name] = _golden_to_json(golden)
        tensors |= {f"{name}/{leaf}": values for leaf, values in _arrays(golden).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(_layout(entries), encoding="utf-8")
    path.with_suffix(".safetensors").write_bytes(to_safetensors(tensors))


def _read(table: Path, values: Path) -> dict[str, Golden]:
    import safetensors

    entries = json.loads(table.read_text(encoding="utf-8"))["checks"]
    tensors = dict(safetensors.deserialize(values.read_bytes()))
    return {name: _golden_from_json(name, entry, tensors) for name, entry in entries.items()}


def _layout(entries: dict[str, dict[str, Any]]) -> str:
    """JSON with one line for each leaf and each fingerprint, so that a diff shows which has changed."""
    checks = []
    for name, entry in entries.items():
        leaves = ",\n   ".join(f"{json.dumps(leaf)}: {json.dumps(expected)}" for leaf, expected in entry["leaves"].items())
        fingerprints = ",\n   ".join(json.dumps(fingerprint) for fingerprint in entry["fingerprints"])
        checks.append(
            f' {json.dumps(name)}: {{"inputs": {json.dumps(entry["inputs"])},\n'
            f'  "leaves": {{{leaves}}},\n'
            f'  "fingerprints": [{fingerprints}]}}'
        )
    return "\n".join(['{"checks": {', *([",\n".join(checks)] if checks else [])]) + "\n}}\n"


def _arrays(golden: Golden) -> dict[str, np.ndarray]:
    """The values that go to the second file, by leaf. A random leaf has none."""
    return {
        leaf: expected.value.values
        for leaf, expected in golden.leaves.items()
        if isinstance(expected.value, Array) and not expected.random
    }


def _golden_to_json(golden: Golden) -> dict[str, Any]:
    return {
        "inputs": golden.inputs,
        "leaves": {leaf: _expected_to_json(expected) for leaf, expected in golden.leaves.items()},
        "fingerprints": [
            {"case": known.case, "distance": _three_digits(known.distance), "leaves": known.leaves}
            for known in golden.fingerprints
        ],
    }


def _golden_from_json(name: str, entry: dict[str, Any], tensors: dict[str, dict]) -> Golden:
    """The golden observation of the check of that name. KeyError: something is missing."""
    leaves = {leaf: _expected_from_json(row, tensors.get(f"{name}/{leaf}")) for leaf, row in entry["leaves"].items()}
    fingerprints = [
        Fingerprint(known["case"], known["leaves"], float("inf") if known["distance"] is None else known["distance"])
        for known in entry["fingerprints"]
    ]
    return Golden(leaves, entry["inputs"], fingerprints)


def _expected_to_json(expected: Expected) -> dict[str, Any]:
    entry: dict[str, Any] = {"noise": _three_digits(expected.noise), "tolerance": _three_digits(expected.tolerance)}
    if expected.random:
        entry["random"] = True
    if isinstance(expected.value, Array):
        return entry | {"dtype": expected.value.dtype, "shape": list(expected.value.shape)}
    return entry | {"value": expected.value}


def _expected_from_json(row: dict[str, Any], tensor: dict | None) -> Expected:
    """tensor: the entry of the second file, where the leaf is an array that is not random."""
    random = row.get("random", False)
    if "dtype" not in row:
        return Expected(row["value"], row["noise"], row["tolerance"], random)
    if random:
        values = np.zeros(row["shape"], dtype=np.float32)
    elif tensor is None:
        raise KeyError("an array has no values")
    else:
        values = read_array(tensor).values.reshape(row["shape"])
    return Expected(Array(row["dtype"], values), row["noise"], row["tolerance"], random)


def _three_digits(number: float) -> float | None:
    """The number as it is stored. JSON knows no infinity, so there is None in its place."""
    return float(f"{number:.3g}") if np.isfinite(number) else None
