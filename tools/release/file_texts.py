"""The texts in a file of any kind: a program, prose, a vector image, JSON, the cells of a notebook, a file of tensors.

A file that gzip has packed, such as a corpus, is read as what is in it. Each text comes with a name for its place if it has
no lines of the file. Left out: images of pixels and archives, which are no files of a release.
"""

import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from autograder.source.seal import SUFFIX


def texts(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """(place, text) of each text in a file. ValueError: the file is not what the suffix of its path says."""
    suffix = Path(path).suffix
    if suffix == ".gz":
        yield from texts(path.removesuffix(suffix), _unpacked(data))
    elif suffix == ".ipynb":
        for number, cell in enumerate(json.loads(data)["cells"], 1):
            yield f" cell {number}", "".join(cell["source"])
            yield from ((f" cell {number}, {where.strip()}", text) for where, text in _strings(cell.get("outputs", [])))
    elif suffix == ".json":
        yield from _strings(json.loads(data))
    elif suffix == ".safetensors":  # numbers, but somebody may have put text between them
        yield " text in it", "\n".join(run.decode() for run in re.findall(rb"[\x20-\x7e\n\t]{40,}", data))
    elif suffix != SUFFIX:  # a seal is opened by the grader alone
        text = data.decode("utf-8-sig")
        if suffix in (".svg", ".html", ".j2"):
            text = html.unescape(re.sub(r"<[^<>]*>", lambda tag: re.sub(r"[^\n]", " ", tag[0]), text))
        elif suffix == ".md":
            text = re.sub(r"(?m)^[ \t]*>+", "", text)
        yield "", text


def _unpacked(data: bytes) -> bytes:
    """What gzip has packed. ValueError: it did not."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def _strings(node: object, where: str = "") -> Iterator[tuple[str, str]]:
    """The strings of a JSON document. A list of strings is one text, and a number comes with its key."""
    if isinstance(node, list) and node and all(isinstance(item, str) for item in node):
        yield f" {where}", "\n".join(item.removesuffix("\n") for item in node)
    elif isinstance(node, list):
        for item in node:
            yield from _strings(item, where)
    elif isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, list | dict):
                yield from _strings(value, f"{where}/{key}")
            else:
                yield f" {where}/{key}", f"{key} = {value}"
    elif isinstance(node, str):
        yield f" {where}", node


def cells_with_outputs(data: bytes) -> Iterator[int]:
    """Numbers of the cells, from 1, of a notebook that was run or carries pictures."""
    for number, cell in enumerate(json.loads(data)["cells"], 1):
        if cell.get("outputs") or cell.get("execution_count") is not None or cell.get("attachments"):
            yield number
