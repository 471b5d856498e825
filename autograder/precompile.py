"""The files of a submission are compiled once for a whole grade, and not once for each check.

A worker compiles them and runs nothing of them. What it sends back is never opened here. It is put beside the sources, where
Python looks for it. A file that does not compile is left to the workers, which say why.
"""

import importlib.util
from pathlib import Path

import numpy as np

from autograder.observation.leaf import Array
from autograder.running import Runner
from autograder.submission.working_copy import Tree

WORTH_IT = 20  # checks; for fewer, compiling where it is needed takes no longer
_UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)  # PEP 552: not compared with the source


def precompile(runner: Runner, tree: Tree) -> None:
    """Put compiled code beside the sources of the package in this tree."""
    outcome = runner.compile(tree)
    cache = tree.folder / "__pycache__"
    cache.mkdir()
    cache.chmod(0o755)
    names = {path.name for path in tree.folder.glob("*.py")}
    for name, leaf in outcome.observation.items():
        source = tree.folder / f"{name}.py"
        if isinstance(leaf, Array) and leaf.values.dtype == np.uint8 and source.name in names:
            Path(importlib.util.cache_from_source(str(source))).write_bytes(_UNCHECKED + leaf.values.tobytes())
