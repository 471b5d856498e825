"""Loading: the shipped files are what the sources write, and need nothing but themselves."""

import subprocess
import sys

import corpora
import pytest
from corpora.sources.build import SOURCES
from corpora.sources.tales import language

from autograder.errors import BadInput


@pytest.mark.parametrize("name", corpora.GENERATED)
def test_the_shipped_file_is_what_the_source_writes(name):
    made, loaded = SOURCES[name](), corpora.load(name)
    assert (loaded.train, loaded.held_out, loaded.end) == (made.train, made.held_out, made.end)
    assert loaded.floor == (made.floor and pytest.approx(made.floor, rel=1e-12))  # the logarithm is the platform's
    assert all(
        text.endswith(made.end) and text.count(made.end) == 1 and text.isascii() for text in loaded.train + loaded.held_out
    )


def test_what_is_shipped_is_small():
    assert sum(path.stat().st_size for path in corpora.DATA.iterdir()) < 1_000_000
    assert {path.name for path in corpora.DATA.iterdir()} == {f"{name}.json.gz" for name in corpora.GENERATED}


def test_loading_needs_no_sources():
    code = (
        "import sys; sys.modules['corpora.sources'] = None; import corpora; "
        "print([len(corpora.load(name).train) for name in corpora.GENERATED], 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[8442, 1032, 12, 48] False False"


def test_a_part_keeps_the_held_out_documents_and_their_floor():
    part, whole = corpora.load("tales", 10_000), corpora.load("tales")
    assert 9_800 < len(part.text) <= 10_000 and whole.text.startswith(part.text) and part.held_out == whole.held_out
    assert part.floor == pytest.approx(language().floor(whole.held_out)) and whole.held_out_text.endswith("\n")
    assert part.longest <= 144


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_size_that_is_not_there_is_refused(size):
    with pytest.raises(BadInput, match=f"size={size:,}"):
        corpora.load("tales", size)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(BadInput, match=r"no corpus 'stories'; there are tales, .*tinystories"):
        corpora.load("stories")
