"""Writes the files that `corpora.load` reads: `python -m corpora.sources.build`."""

import gzip
import json
from collections.abc import Callable
from dataclasses import asdict

import corpora
from corpora.corpus import Corpus
from corpora.sources import fourletters, snippets, tales

SOURCES: dict[str, Callable[[], Corpus]] = {
    "tales": tales.corpus,
    "snippets": snippets.corpus,
    "fourletters": fourletters.corpus,
    "fourletters48": fourletters.arbitrary,
}


def main() -> None:
    """Write the file of every corpus."""
    corpora.DATA.mkdir(exist_ok=True)
    for name, make in SOURCES.items():
        # No time stamp, so that the same corpus is the same file.
        packed = gzip.compress(json.dumps(asdict(make())).encode("ascii"), mtime=0)
        (corpora.DATA / f"{name}.json.gz").write_bytes(packed)
        print(f"{name}.json.gz  {len(packed):,} bytes")


if __name__ == "__main__":
    main()
