"""Which submissions share code beyond the stubs: fingerprints by `copydetect`, file by file, for a person to look at.

A high share is a reason to read two files side by side, and no more. Short parts have few ways to be right.
"""

import io
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import copydetect
import numpy as np

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.submission.deliverables import find_deliverables, read_regular_files
from autograder.submission.opening import open_submission
from tools.batch.gradebook import Pair

K, WINDOW = 25, 1  # tokens of a match that is certain to be found; no thinning of fingerprints, because files are short
SHARE, TOKENS = 0.6, 60  # pairs that share at least this much are listed
MAX_BYTES = 200_000  # of a file that is compared
MOST = 50  # pairs in the list


def similar(paths: dict[str, Path], assignment: Assignment) -> tuple[list[Pair], list[str]]:
    """At most MOST pairs, those with the largest share first. And sentences about files that were not compared.

    paths: the submissions by key, each a folder or an archive.
    """
    pairs: list[Pair] = []
    skipped: list[str] = []
    texts = {key: _texts(path, assignment) for key, path in paths.items()}
    for name in assignment.deliverables:
        if not name.endswith(".py"):
            continue
        stub = (assignment.folder / name).read_text(encoding="utf-8")
        boilerplate = _fingerprint(name, stub).hashes
        of_text: dict[str, copydetect.CodeFingerprint] = {}  # the same text is looked at once
        fingerprints = {}
        for key, files in texts.items():
            text = files.get(name, stub)
            if text == stub:  # nothing of the student's own is in it
                continue
            try:
                of_text[text] = of_text.get(text) or _fingerprint(name, text, boilerplate)
            except Exception as error:  # a file may be anything, and the others are compared all the same
                skipped.append(f"{name} of {key} was not compared: {type(error).__name__}")
            else:
                fingerprints[key] = of_text[text]
        pairs += _pairs(name, fingerprints)
    return sorted(pairs, key=lambda p: (-max(p.shares), p.keys))[:MOST], skipped


def _pairs(name: str, fingerprints: dict[str, copydetect.CodeFingerprint]) -> list[Pair]:
    """The pairs whose files of this name are alike. Only those that have a hash in common are compared in full."""
    holders = defaultdict(list)
    for key, fingerprint in fingerprints.items():
        for value in set(fingerprint.hashes):
            holders[value].append(key)
    shared: dict[tuple[str, str], int] = defaultdict(int)
    for keys in holders.values():
        if len(keys) <= max(2, len(fingerprints) // 2):  # what half the class has is the natural way to write it
            for pair in combinations(keys, 2):
                shared[pair] += 1
    pairs = []
    for (a, b), count in shared.items():
        if count >= 5:
            tokens, shares, _ = copydetect.compare_files(fingerprints[a], fingerprints[b])
            if max(shares) >= SHARE and tokens >= TOKENS:
                pairs.append(Pair((a, b), name, (float(shares[0]), float(shares[1])), int(tokens)))
    return pairs


def _fingerprint(name: str, text: str, boilerplate=()) -> copydetect.CodeFingerprint:
    return copydetect.CodeFingerprint(name, K, WINDOW, np.array(sorted(boilerplate)), fp=io.StringIO(text))


def _texts(path: Path, assignment: Assignment) -> dict[str, str]:
    """The deliverables as text. What is no plain file, or too large, is left out. Of a refused archive there is nothing."""
    try:
        with open_submission(path, assignment.deliverables) as opened:
            folder = find_deliverables(opened.folder, assignment.deliverables)
            files = read_regular_files(folder, assignment.deliverables, MAX_BYTES)
            return {name: _decoded(data) for name, data in files if isinstance(data, bytes)}
    except BadInput:  # the grade says so
        return {}


def _decoded(data: bytes) -> str:
    """As text with plain line ends; what is not UTF-8 is replaced."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
