"""Bring a release up to date in place, without losing anything that a student has changed.

`.release/manifest.json` holds the hash of each file as it was shipped. A file with another hash was changed. Files that
students write in (deliverables, demo, notebook) stay as they are, and a newer version is put beside them as FILE.new1. All
others become those of the newer release, because a corrected check must be the one that runs. What was changed there is
kept beside as FILE.mine1. Left out: merging two versions of a file, which a person (or git) does better.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autograder.errors import BadInput
from autograder.files import write_atomically
from autograder.submission.reset import RELEASE, keep_beside, put_beside

MANIFEST = f"{RELEASE}/manifest.json"


@dataclass
class Changes:
    """What an update did, as paths in the release.

    beside: newer versions that were put beside changed files.
    kept: copies of changed files that were replaced or removed.
    """

    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What a person should know: the counts, and every file that needs a look."""
        if not any((self.new, self.replaced, self.removed, self.beside, self.kept)):
            return ["nothing to do: this is that release already"]
        counts = (len(self.new), "new"), (len(self.replaced), "replaced"), (len(self.removed), "removed")
        lines = [f"files: {', '.join(f'{n} {what}' for n, what in counts if n) or 'none replaced'}"]
        lines += [
            f"  {name}: the course has changed this file, and so have you; look at it and take over" for name in self.beside
        ]
        return lines + [f"  {name}: what you had changed in a file that the course replaced" for name in self.kept]


@dataclass(frozen=True)
class Manifest:
    """What was shipped. files: SHA-256 by path; yours: paths of the files that students write in."""

    files: dict[str, str]
    yours: frozenset[str]

    @classmethod
    def of(cls, files: dict[str, bytes], yours: set[str]) -> "Manifest":
        """The manifest of these files."""
        return cls({name: sha256(data) for name, data in files.items()}, frozenset(yours))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of the release in a folder. BadInput: the folder is no release, or the manifest is damaged."""
        try:
            table = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            manifest = cls({str(k): str(v) for k, v in table["files"].items()}, frozenset(table["yours"]))
        except FileNotFoundError:
            raise BadInput(f"{folder} is no release of this course: it has no {MANIFEST}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{folder / MANIFEST} is damaged ({type(error).__name__}: {error}); fetch the release anew") from error
        for name in manifest.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or ".git" in path.parts:
                raise BadInput(f"{folder / MANIFEST} names a path outside the release: {name!r}")
        return manifest

    def dumps(self) -> bytes:
        """The bytes of the file."""
        table = {"schema": 1, "yours": sorted(self.yours), "files": dict(sorted(self.files.items()))}
        return (json.dumps(table, indent=1) + "\n").encode()


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def update(newer: Path, root: Path) -> Changes:
    """Make the release at `root` the newer one.

    It can be called again after it was cut off, because the manifest is written last.
    BadInput: one of the two is no release, both are the same folder, or the newer one is not complete. Nothing has been
    written then.
    """
    if newer.resolve() == root.resolve():
        raise BadInput("the newer release lies in a folder of its own; say in which one: make update FROM=../newer-release")
    before, after = Manifest.read(root), Manifest.read(newer)
    data = {name: _shipped(newer, name, expected) for name, expected in after.files.items()}
    for name in data:
        if not (root / name).parent.resolve().is_relative_to(root.resolve()):
            raise BadInput(f"{root / name} lies outside the release, behind a link; put a folder in the place of the link")
        if (root / name).is_dir():
            raise BadInput(f"{root / name} is a folder, and the newer release has a file there; move it away, then update again")
    changes = Changes()
    for name, content in data.items():
        _bring(root, name, content, (newer / name).stat().st_mode & 0o777, before, name in after.yours, changes)
    for name in before.files.keys() - after.files.keys():
        _remove(root, name, before, changes)
    write_atomically(root / MANIFEST, after.dumps())
    return changes


def _shipped(newer: Path, name: str, expected: str) -> bytes:
    """A file of the newer release. BadInput if its hash is not the expected one."""
    try:
        content = (newer / name).read_bytes()
    except OSError as error:
        raise BadInput(f"{newer} is not whole: {name} cannot be read ({error.strerror}); fetch it anew") from error
    if sha256(content) != expected:
        raise BadInput(f"{newer} is not as it was released: {name} differs; fetch it anew (is it a folder that you work in?)")
    return content


def _bring(root: Path, name: str, content: bytes, mode: int, before: Manifest, yours: bool, changes: Changes) -> None:
    """Bring one file of the newer release. yours: whether students write in it."""
    path, shipped = root / name, before.files.get(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content, mode)
        changes.new.append(name)
        return
    present = path.read_bytes()
    if present == content:
        return
    touched = sha256(present) != shipped
    if touched and yours:
        if shipped != sha256(content):  # otherwise the course has not changed it
            changes.beside.append(str(put_beside(path, "new", content).relative_to(root)))
        return
    if touched:
        changes.kept.append(_kept(path, root))
    write_atomically(path, content, mode)
    changes.replaced.append(name)


def _remove(root: Path, name: str, before: Manifest, changes: Changes) -> None:
    """Remove one file that the newer release does not have, unless students write in it and this one was changed."""
    path = root / name
    if not path.is_file() or not path.parent.resolve().is_relative_to(root.resolve()):
        return
    if sha256(path.read_bytes()) != before.files[name]:
        if name in before.yours:
            return
        changes.kept.append(_kept(path, root))
    path.unlink()
    changes.removed.append(name)


def _kept(path: Path, root: Path) -> str:
    """Keep a copy of a file that is there beside it, and return its path in the release."""
    copy = keep_beside(path)
    assert copy is not None
    return str(copy.relative_to(root))
