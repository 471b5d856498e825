"""The texts in a file, whatever its kind: a program, prose, a picture, JSON, a notebook's cells, a file of tensors.

Each comes with a name for its place where lines of the file are none. Left out: images of pixels and archives, which are
no files of a release.
"""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path


def texts(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """(place, text) for all of them. ValueError if the file is not what its name says."""
    suffix = Path(path).suffix
    if suffix == ".ipynb":
        for number, cell in enumerate(json.loads(data)["cells"], 1):
            yield f" cell {number}", "".join(cell["source"])
            yield from ((f" cell {number}, {where.strip()}", text) for where, text in _strings(cell.get("outputs", [])))
    elif suffix == ".json":
        yield from _strings(json.loads(data))
    elif suffix == ".safetensors":  # numbers, and whatever text somebody may have put between them
        yield " text in it", "\n".join(run.decode() for run in re.findall(rb"[\x20-\x7e\n\t]{40,}", data))
    else:
        text = data.decode("utf-8-sig")
        if suffix in (".svg", ".html", ".j2"):
            text = html.unescape(re.sub(r"<[^<>]*>", lambda tag: re.sub(r"[^\n]", " ", tag[0]), text))
        elif suffix == ".md":
            text = re.sub(r"(?m)^[ \t]*>+", "", text)
        yield "", text


def _strings(node: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Strings of a JSON document; a list of strings is one text, a number belongs to its key."""
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
