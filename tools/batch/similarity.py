"""Which submissions share code beyond the stubs: fingerprints by `copydetect`, file by file, for a person to look at.

A high share is a reason to read two files side by side and nothing else: short parts have few ways to be right.
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

K, WINDOW = 25, 1  # tokens of a match that is certain to be found, and no thinning of fingerprints: files are short
SHARE, TOKENS = 0.6, 60  # pairs from here on are listed
MAX_BYTES = 200_000
MOST = 50


def similar(paths: dict[str, Path], assignment: Assignment) -> tuple[list[Pair], list[str]]:
    """Pairs with the largest share first, at most MOST; and sentences about files that were not compared."""
    pairs, skipped = [], []
    texts = {key: _texts(path, assignment) for key, path in paths.items()}
    for name in assignment.deliverables:
        if not name.endswith(".py"):
            continue
        stub = (assignment.folder / name).read_text(encoding="utf-8")
        boilerplate, made, prints = _fingerprint(name, stub).hashes, {}, {}
        for key, files in texts.items():
            text = files.get(name, stub)
            if text == stub:  # nothing of one's own in it
                continue
            try:
                prints[key] = made[text] = made.get(text) or _fingerprint(name, text, boilerplate)
            except Exception as error:  # a file may be anything; the others are compared all the same
                skipped.append(f"{name} of {key} was not compared: {type(error).__name__}")
        pairs += _pairs(name, prints)
    return sorted(pairs, key=lambda p: (-max(p.shares), p.keys))[:MOST], skipped


def _pairs(name: str, prints: dict) -> list[Pair]:
    """Only those that share a fingerprint at all are compared in full."""
    holders = defaultdict(list)
    for key, one in prints.items():
        for value in set(one.hashes):
            holders[value].append(key)
    shared: dict[tuple[str, str], int] = defaultdict(int)
    for keys in holders.values():
        if len(keys) <= max(2, len(prints) // 2):  # what half the class has is the natural way to write it
            for pair in combinations(keys, 2):
                shared[pair] += 1
    found = []
    for (a, b), count in shared.items():
        if count >= 5:
            tokens, shares, _ = copydetect.compare_files(prints[a], prints[b])
            if max(shares) >= SHARE and tokens >= TOKENS:
                found.append(Pair((a, b), name, (float(shares[0]), float(shares[1])), int(tokens)))
    return found


def _fingerprint(name: str, text: str, boilerplate=()) -> copydetect.CodeFingerprint:
    return copydetect.CodeFingerprint(name, K, WINDOW, np.array(sorted(boilerplate)), fp=io.StringIO(text))


def _texts(path: Path, assignment: Assignment) -> dict[str, str]:
    """The deliverables as text. What is no plain file or too large is left out, and nothing is there of a refused archive."""
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
