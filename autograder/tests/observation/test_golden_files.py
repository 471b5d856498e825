"""Golden files: reading and writing them changes no byte, and a damaged one is a fault of the grader."""

import json
from pathlib import Path

import numpy as np
import pytest

import autograder
from autograder.errors import GraderFault
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.golden_files import load_goldens, save_goldens
from autograder.observation.leaf import Array

COURSE = Path(autograder.__file__).parents[1]
FILES = sorted([*COURSE.glob("assignments/*/tests/golden/test_*.json"), *COURSE.glob("reference/*/hidden/golden/test_*.json")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-4]}-{path.stem}")
def test_loading_and_saving_changes_no_byte(path, tmp_path):
    save_goldens(tmp_path / path.stem, load_goldens(path.with_suffix("")))
    for suffix in (".json", ".safetensors"):
        assert (tmp_path / path.stem).with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()


@pytest.fixture
def saved(tmp_path) -> Path:
    leaves = {
        "out": Expected(Array("float32", np.arange(6, dtype=np.float32).reshape(2, 3)), noise=1.23456e-7, tolerance=1e-5),
        "mask": Expected(Array("bool", np.array([True, False]))),
        "drawn": Expected(Array("float32", np.ones((4, 5), dtype=np.float32)), random=True),
        "name": Expected("ü → ∞"),
        "nothing": Expected(None),
    }
    prints = [
        Fingerprint("forgets", {"out": ["float32 (2, 3)", [0, 0, 0], [1.0]]}, float("inf")),
        Fingerprint("adds", {}, 12.3456),
    ]
    save_goldens(tmp_path / "golden" / "test_x", {"test_b": Golden(leaves, ["0123"], prints), "test_a": Golden()})
    return tmp_path / "golden" / "test_x"


def test_what_was_saved_is_loaded_in_three_digits(saved):
    goldens = load_goldens(saved)
    assert list(goldens) == ["test_a", "test_b"]
    golden = goldens["test_b"]
    out = golden.leaves["out"]
    assert (out.noise, out.tolerance, out.value.dtype, out.value.values.tolist()) == (
        1.23e-7,
        1e-5,
        "float32",
        [[0, 1, 2], [3, 4, 5]],
    )
    assert golden.leaves["mask"].value.values.tolist() == [True, False]
    assert golden.leaves["drawn"].random and golden.leaves["drawn"].value.shape == (4, 5)  # its values are not kept
    assert not golden.leaves["drawn"].value.values.any()
    assert (golden.leaves["name"].value, golden.leaves["nothing"].value, golden.inputs) == ("ü → ∞", None, ["0123"])
    assert [(known.case, known.distance) for known in golden.fingerprints] == [("forgets", float("inf")), ("adds", 12.3)]


def test_a_file_that_was_written_anew_is_read_anew(saved):
    assert load_goldens(saved) is load_goldens(saved)
    before = load_goldens(saved)
    save_goldens(saved, {"test_c": Golden(inputs=["changed"])})
    assert list(load_goldens(saved)) == ["test_c"] != list(before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".safetensors").unlink(),
        lambda path: path.with_suffix(".json").write_text("{"),
        lambda path: path.with_suffix(".safetensors").write_bytes(b"no"),
        lambda path: path.with_suffix(".json").write_text(json.dumps({"checks": {"test_a": {"leaves": {}}}})),
        lambda path: path.with_suffix(".json").write_text(path.with_suffix(".json").read_text().replace('"mask"', '"other"')),
    ],
    ids=["no table", "no values", "cut table", "cut values", "incomplete table", "a leaf without values"],
)
def test_damage_is_the_graders_fault(saved, damage):
    damage(saved)
    with pytest.raises(GraderFault, match="missing or damaged"):
        load_goldens(saved)
