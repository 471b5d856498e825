"""The list of functions in `given`, by which a copy of one is recognised. It only grows, because old releases stay about."""

import json
from pathlib import Path

from autograder.files import write_atomically
from autograder.source.copies import KNOWN, MIN_TOKENS, functions, known_functions
from tools.author.stubs import stubs


def present_functions(root: Path) -> dict[str, str]:
    """Origins of the functions that are given now, by digest: those that stubs do not hold, and that are long enough."""
    in_stubs = {function.digest for text in stubs(root).values() for function in functions(text)}
    return {
        function.digest: f"{path.parent.name}/{path.name}: {function.name}"
        for path in sorted((root / "assignments" / "given").rglob("*.py"))
        for function in functions(path.read_text(encoding="utf-8"))
        if function.tokens >= MIN_TOKENS and function.digest not in in_stubs
    }


def write_given_functions(root: Path) -> Path | None:
    """Add what is given now to the list, and return its path. None: it is there already."""
    before = known_functions(root / "reference")
    after = before | {digest: origin for digest, origin in present_functions(root).items() if digest not in before}
    if after == before:
        return None
    path = root / "reference" / KNOWN
    write_atomically(path, json.dumps(dict(sorted(after.items(), key=lambda item: (item[1], item[0]))), indent=1) + "\n")
    return path
