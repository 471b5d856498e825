"""A submission that knows every public golden value: it asks the worker which check runs, and sends what is recorded for it."""

import base64
import json
import zlib
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.collecting import collect
from autograder.check.inputs import PUBLIC
from autograder.observation.golden import Expected
from autograder.observation.golden_files import load_goldens
from autograder.observation.leaf import Array

_HEAD = """
import base64, json, os, sys, zlib

import torch

KNOWN = json.loads(zlib.decompress(base64.b64decode("{known}")))


def leaf(stored):
    if "value" in stored:
        return stored["value"]
    values = torch.tensor(stored["numbers"], dtype=torch.float64).reshape(stored["shape"])
    return values.to(getattr(torch, stored["dtype"]))


def replay():
    frame = sys._getframe()
    while frame:
        names = frame.f_locals
        if {{"send", "draw", "request"}} <= names.keys() and names["request"].get("name") in KNOWN:
            recorded = KNOWN[names["request"]["name"]]
            observation = {{path: leaf(stored) for path, stored in recorded["leaves"].items()}}
            names["send"](b"{observation}", {{"observation": observation, "inputs": recorded["inputs"]}})
            os._exit(0)
        frame = frame.f_back


replay()
"""


def write_replay(assignment: Assignment, folder: Path) -> Path:
    """The submission in a folder."""
    from autograder.sandbox import framing

    known = {}
    for check in collect(assignment):
        if not check.on_request:
            golden = load_goldens(PUBLIC.golden_of(check))[check.name]
            leaves = {path: _stored(expected) for path, expected in golden.leaves.items()}
            known[check.name] = {"leaves": leaves, "inputs": golden.inputs}
    text = base64.b64encode(zlib.compress(json.dumps(known).encode())).decode()
    for name in assignment.deliverables:
        if name.endswith(".py"):
            (folder / name).write_text(_HEAD.format(known=text, observation=framing.OBSERVATION.decode("latin-1")))
    return folder


def _stored(expected: Expected) -> dict:
    value = expected.value
    if isinstance(value, Array):
        return {"dtype": value.dtype, "shape": list(value.shape), "numbers": value.values.astype("float64").ravel().tolist()}
    return {"value": value}
