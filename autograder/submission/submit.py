"""`submission a01`: the zip that a student uploads, checked before it is written.

It holds the deliverables and a manifest with their hashes, the same bytes for the same files. What would only be noticed
after the upload is refused here; what is merely unfinished is a warning. Nothing is executed.
"""

import ast
import hashlib
import io
import json
import stat
import tomllib
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.source.stub_text import Unwritten, parse
from autograder.submission.deliverables import Unreadable, read_regular_file

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


@dataclass(frozen=True)
class Upload:
    """What is to be uploaded. sha256: of the manifest's lines, which name every file and its hash."""

    data: bytes
    files: int
    sha256: str
    warnings: tuple[str, ...]


def build(source: Path, assignment: Assignment) -> Upload:
    """The zip of the deliverables in a folder. BadInput lists all that is wrong, a line each."""
    if not source.is_dir():
        raise BadInput(f"{source} is not a folder; give the folder that holds {', '.join(assignment.deliverables[:3])} …")
    files, wrong, unfinished = {}, [], []
    for name in assignment.deliverables:
        try:
            files[name] = read_regular_file(source / name)
            unfinished += _unfinished(name, files[name])
        except Unreadable as error:
            wrong.append(f"  {name} {error.refusal}")
        except BadInput as error:
            wrong.append(f"  {name}{error}")
    if wrong:
        raise BadInput("\n".join([f"{source} cannot be submitted as {assignment.id}:", *wrong, "Mend this, then try again."]))
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    sha256 = hashlib.sha256("".join(f"{h}  {n}\n" for n, h in hashes.items()).encode()).hexdigest()
    manifest = {"schema": 1, "assignment": assignment.id, "sha256": sha256, "files": hashes}
    files["manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    return Upload(make_zip(files), len(hashes), sha256, tuple(unfinished))


def make_zip(files: dict[str, bytes], executable: tuple[str, ...] = ()) -> bytes:
    """A zip of these files in this order, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED  # Unix, whatever this machine is
            info.external_attr = (stat.S_IFREG | (0o755 if name in executable else 0o644)) << 16
            archive.writestr(info, data, compresslevel=9)
    return out.getvalue()


def _unfinished(name: str, data: bytes) -> list[str]:
    """What is still open in a file, as a warning. BadInput if it cannot be parsed."""
    try:
        if name.endswith(".py"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(data)
            todo = [name for node in ast.walk(tree) if isinstance(node, ast.Raise) for name in _unwritten(node)]
            return [f"{name}: {', '.join(todo)} still to be written"] if todo else []
        if name.endswith(".toml"):
            table = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
            todo = [key for key, value in table.items() if value == ""]
            return [f"{name}: {', '.join(todo)} still without an answer"] if todo else []
    except SyntaxError as error:
        place = f":{error.lineno}" if error.lineno else ""
        raise BadInput(f"{place}: syntax error: {error.msg}") from None
    except ValueError as error:  # null bytes, no UTF-8, no TOML
        raise BadInput(f": {error}") from None
    except (RecursionError, MemoryError):
        raise BadInput(": it is nested too deeply to be parsed") from None
    return []


def _unwritten(node: ast.Raise) -> Iterator[str]:
    """The function that a stub's line names: raise NotImplementedError("a01_x/rope.py: rotate() is yours to write …")."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            sentence = parse(part.value)
            if isinstance(sentence, Unwritten):
                yield sentence.function
