"""Real text: found in a folder or downloaded once, and checked before it is used.

The folder is $CORPUS_DIR, or else a cache of the course. A file whose checksum is known to us must have it. One whose checksum is
not (TinyStories: we could not fetch it to compute one) is pinned at first use: its checksum is written beside it, and from then
on it must stay the same. That shows a change; it does not show that the first copy was the right one.
"""

import hashlib
import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import BadInput
from corpora.corpus import Corpus

HELD_OUT = 0.1  # the last tenth is kept to measure with


@dataclass(frozen=True)
class File:
    """name: in the folder. sha256: None where it is pinned at first use. end: what ends a document; "": it is all one."""

    name: str
    url: str
    sha256: str | None
    end: str


FILES = {
    "shakespeare": File(
        "tinyshakespeare.txt",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        "",
    ),
    "tinystories": File(
        "TinyStoriesV2-GPT4-valid.txt",
        "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-valid.txt",
        None,
        "<|endoftext|>",
    ),
}


def load(name: str) -> Corpus:
    """The text, divided into documents where it has ends, its last tenth held out. BadInput as of `fetch`."""
    file = FILES[name]
    text = fetch(file).read_bytes().decode("utf-8")
    if file.end:
        documents = [part.strip() + file.end for part in text.split(file.end) if part.strip()]
        cut = len(documents) - max(1, int(len(documents) * HELD_OUT))
        return Corpus(name, tuple(documents[:cut]), tuple(documents[cut:]), end=file.end)
    cut = len(text) - int(len(text) * HELD_OUT)
    return Corpus(name, (text[:cut],), (text[cut:],), end="")


def folder() -> Path:
    """Where files are looked for and downloaded to."""
    if given := os.environ.get("CORPUS_DIR"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-course"


def fetch(file: File) -> Path:
    """The path of the checked file. BadInput, saying what to put where, if it is not there and cannot be downloaded,
    or if it is another file than the one expected.
    """
    path = folder() / file.name
    if not path.is_file():
        _download(file, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pin = path.with_name(f"{path.name}.sha256")
    expected = file.sha256 or (pin.read_text().split()[0] if pin.is_file() else None)
    if expected is None:
        _pin(pin, digest)
    elif digest != expected:
        raise BadInput(
            f"{path} is not the expected file: its SHA-256 is {digest}, expected {expected}"
            f"{'' if file.sha256 else f' (pinned in {pin.name} at first use)'}. Delete it and put the file of {file.url} "
            "there, byte for byte (an editor, or git on Windows, may have changed its line ends)"
        )
    return path


def _pin(pin: Path, digest: str) -> None:
    try:
        pin.write_text(f"{digest}  {pin.stem}\n")
        done = f"pinned in {pin}; a later change will be noticed"
    except OSError as error:
        done = f"not pinned, because {pin} cannot be written ({error.strerror})"
    print(f"{pin.stem}: no checksum is known for it. Its SHA-256 is {digest}: {done}", file=sys.stderr)


def _download(file: File, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(file.url, timeout=30) as answer, part.open("wb") as out:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while chunk := answer.read(1 << 18):
                out.write(chunk)
                done += len(chunk)
                _progress(file.name, done, total)
        if total and done != total:
            raise OSError(f"the connection ended after {done:,} of {total:,} bytes")
        part.replace(path)
    except OSError as error:  # urllib's errors are among them
        part.unlink(missing_ok=True)
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise BadInput(
            f"{file.name} is not in {path.parent} and could not be downloaded ({error}). "
            f"Get {file.url} where there is a network, and put it there as {path}; or name another folder by CORPUS_DIR"
        ) from error


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        share = f"{done / total:4.0%} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        print(f"\r{name}: {share}", end="\n" if done == total else "", file=sys.stderr, flush=True)
