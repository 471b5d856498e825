"""Golden observations on disk: one pair of files for each test file."""

import json
from pathlib import Path

import numpy as np

from autograder.errors import GraderFault
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.leaf import Array, Leaf
from autograder.observation.serialization import array_of

_loaded: dict[Path, tuple] = {}  # a class is graded against the same values again and again


def load_goldens(path: Path) -> dict[str, Golden]:
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


def save_goldens(path: Path, goldens: dict[str, Golden]) -> None:
    """Write both files, the same bytes for the same observations."""
    from safetensors.numpy import save as to_safetensors

    body: dict[str, np.ndarray] = {}
    table = {name: _to_json(name, golden, body) for name, golden in sorted(goldens.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(_lines(table))
    path.with_suffix(".safetensors").write_bytes(to_safetensors(body))


def _lines(table: dict) -> str:
    """JSON with one line a leaf and a fingerprint, so that a diff shows which moved."""
    out = ['{"checks": {']
    for i, (name, entry) in enumerate(table.items()):
        out.append(f' {json.dumps(name)}: {{"inputs": {json.dumps(entry["inputs"])},')
        out.append(
            '  "leaves": {' + ",\n   ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in entry["leaves"].items()) + "},"
        )
        out.append(
            '  "fingerprints": ['
            + ",\n   ".join(json.dumps(s) for s in entry["fingerprints"])
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
    fingerprints = [
        {"case": s.case, "distance": float(f"{s.distance:.3g}") if np.isfinite(s.distance) else None, "leaves": s.leaves}
        for s in golden.fingerprints
    ]
    return {"inputs": golden.inputs, "leaves": leaves, "fingerprints": fingerprints}


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
        [
            Fingerprint(s["case"], s["leaves"], float("inf") if s["distance"] is None else s["distance"])
            for s in entry["fingerprints"]
        ],
    )
