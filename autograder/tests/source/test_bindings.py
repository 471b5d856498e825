"""Whether a file defines a name is read off its syntax tree, so a longer name or a comment is no definition."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from autograder.source.bindings import MAX_SOURCE, defines


@pytest.mark.parametrize(
    "source",
    [
        "def mask(x): pass",
        "class mask: pass",
        "async def mask(): pass",
        "mask = print",
        "a, (mask, b) = 1, (2, 3)",
        "mask: int = 3",
        "import numpy as mask",
        "from m import causal_mask as mask",
        "if True:\n    def mask(): pass",
        "try:\n    from m import mask\nexcept ImportError:\n    pass",
        "\ufeffdef mask(): pass\r\n",
    ],
)
def test_a_name_that_is_bound_at_the_top_level_is_defined(source):
    assert defines(source, "mask")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def causal_mask_bias(x): pass",
        "def causal_mask(x): pass",
        "# a mask\nx = ' mask'",
        "def f(mask): mask = 1; return mask",
        "class Head:\n    mask = 3\n    def mask(self): pass",
        "print( mask)",
        "x = [mask for mask in y]",
        "from m import mask as other",
        "from m import *",
        "def mask(:",
        "x = '\x00'\ndef mask(): pass",
        "-" * 200_000 + "1",
        "mask = 1\n" + "#" * MAX_SOURCE,
    ],
)
def test_a_name_that_is_only_mentioned_is_not_defined(source):
    assert not defines(source, "mask")


@pytest.fixture
def interrupted_threads():
    """Threads change places whenever garbage is collected, which is often, as it may happen in any program."""
    threshold, change = gc.get_threshold(), lambda phase, info: time.sleep(2e-4)
    gc.callbacks.append(change)
    gc.set_threshold(200)
    yield
    gc.callbacks.remove(change)
    gc.set_threshold(*threshold)


def test_sources_are_parsed_in_threads(interrupted_threads):
    """As in a batch. Python 3.11.2 raises SystemError where two threads parse at once."""
    source = "".join(f"def f{i}(x):\n    return [x + {i}, (x, {{x: [x]}})]\n" for i in range(100))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: defines(source, "f99"), range(20)))
