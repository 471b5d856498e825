"""`submission a01`: the zip that a student uploads, checked before it is written.

It holds the deliverables and a manifest with their hashes. The same files give the same bytes. What would only be noticed
after the upload is refused here. What is not finished is a warning. Nothing is executed.
"""

import ast
import hashlib
import io
import json
import stat
import tomllib
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.errors import BadInput
from autograder.source.stub_text import Unwritten, parse
from autograder.submission.deliverables import Unreadable, read_regular_file

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


@dataclass(frozen=True)
class Upload:
    """What is to be uploaded.

    data: the zip.
    files: how many deliverables it holds.
    sha256: hash of the manifest's lines, which name every file and its hash.
    warnings: sentences about what is not finished.
    """

    data: bytes
    files: int
    sha256: str
    warnings: tuple[str, ...]


def build(source: Path, assignment: Assignment) -> Upload:
    """The zip of the deliverables in a folder. BadInput lists everything that is wrong, a line each."""
    if not source.is_dir():
        raise BadInput(f"{source} is not a folder; give the folder that holds {', '.join(assignment.deliverables[:3])} …")
    files: dict[str, bytes] = {}
    wrong, unfinished = [], []
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
    """A zip of these files in this order, with the same bytes each time. executable: names of files that may be run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED  # Unix, whatever this machine is
            info.external_attr = (stat.S_IFREG | (0o755 if name in executable else 0o644)) << 16
            archive.writestr(info, data, compresslevel=9)
    return out.getvalue()


def _unfinished(name: str, data: bytes) -> list[str]:
    """What is still open in a file, as a warning. BadInput if the file cannot be parsed."""
    try:
        if name.endswith(".py") and (todo := _unwritten_functions(data)):
            return [f"{name}: {', '.join(todo)} still to be written"]
        if name.endswith(".toml") and (todo := _open_questions(data)):
            return [f"{name}: {', '.join(todo)} still without an answer"]
    except SyntaxError as error:
        place = f":{error.lineno}" if error.lineno else ""
        raise BadInput(f"{place}: syntax error: {error.msg}") from None
    except ValueError as error:  # null bytes, no UTF-8, no TOML
        raise BadInput(f": {error}") from None
    except (RecursionError, MemoryError):
        raise BadInput(": it is nested too deeply to be parsed") from None
    return []


def _unwritten_functions(data: bytes) -> list[str]:
    """The functions that are stubs: raise NotImplementedError("a01_x/rope.py: rotate() is yours to write …")."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in strings
        tree = ast.parse(data)
    raised = (part for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node))
    texts = (part.value for part in raised if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return [sentence.function for sentence in map(parse, texts) if isinstance(sentence, Unwritten)]


def _open_questions(data: bytes) -> list[str]:
    """The keys of a TOML file that have no answer yet."""
    table = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
    return [key for key, value in table.items() if value == ""]
