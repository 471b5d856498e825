"""Look for solutions in what students receive: a release, an autograder zip's tree, a notebook.

Text of every kind is read as one stream of words and signs, so that comments, strings, prose and cells count, while line
breaks, brackets and quotation marks do not. No piece of a solution, misconception, other right version or hidden check may
turn up: not `RUN` tokens of code in a row, whatever the names are called; not `WORDS` tokens as they stand; and no whole
piece that is shorter. Left out: a solution that is told in other words, reordered or encoded, and a renamed piece of code
below `WHOLE_RUN` tokens, which every program has.
"""

import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.release.file_texts import cells_with_outputs, texts
from tools.release.solution_text import Secret, answers, secrets
from tools.release.token_stream import Stream, streams

# The longest that a01's release rightly shares with a secret was measured: 29 tokens with names changed and 28 as they stand;
# whole pieces of 22 and 8 tokens. Every release measures the first two again and says how much room is left.
RUN, WHOLE_RUN = 40, 30
WORDS, WHOLE_WORDS = 36, 10

_NOT_PUBLISHED = {".git", ".venv", "__pycache__", ".pytest_cache", ".ipynb_checkpoints"}
_COMPILED = {".pyc", ".pyo", ".so", ".pyd"}


@dataclass(frozen=True)
class Finding:
    """One reason not to publish. where: a line or a cell, as far as there is one."""

    path: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}{':' if self.where else ''}{self.where}: {self.what}"


class Scanner:
    """Knows the secrets of a course and finds them in files. hidden: whether hidden checks may be there (Gradescope)."""

    def __init__(self, root: Path, hidden: bool = False):
        self.secrets = [s for s in secrets(root) if not (hidden and "/hidden/" in s.origin)]
        self.answers = dict(answers(root))
        self._indexes = [_Index(self.secrets, renamed=True), _Index(self.secrets, renamed=False)]

    def scan(self, files: dict[str, bytes], allowed: Callable[[str], bool] = lambda path: True) -> list[Finding]:
        """Everything that is wrong with these files, by path."""
        return [finding for path, data in files.items() for finding in self._file(path, data, allowed)]

    def longest_shared(self, files: dict[str, bytes]) -> dict[str, tuple[int, str]]:
        """The longest run that files share with secrets, in tokens and where: {"renamed": (28, "…"), "as it stands": …}."""
        found = ((path, where, text) for path, data in files.items() for where, text in texts(path, data))
        read = [(path, where, one) for path, where, text in found for one in streams(text)]
        return {name: _longest(self.secrets, read, renamed) for name, renamed in (("renamed", True), ("as it stands", False))}

    def _file(self, path: str, data: bytes, allowed: Callable[[str], bool]) -> Iterator[Finding]:
        if Path(path).suffix in _COMPILED:
            yield Finding(path, "", "a compiled file; it may hold anything")
            return
        if not allowed(path):
            yield Finding(path, "", "not on the list of what is published")
        try:
            if path.endswith(".ipynb"):
                yield from (Finding(path, f"cell {n}", "a cell of the notebook holds outputs") for n in cells_with_outputs(data))
            for where, text in texts(path, data):
                yield from (Finding(path, _place(where, line), what) for line, what in sorted(self._text(text)))
        except ValueError as error:
            yield Finding(path, "", f"cannot be read as what its name says: {error}")

    def _text(self, text: str) -> Iterator[tuple[int, str]]:
        """(line, what) of one text."""
        found = set()
        if marker := re.search(r"^[ \t]*# (BEGIN|END) SOLUTION", text, re.MULTILINE):
            yield text.count("\n", 0, marker.start()) + 1, "a marker of a solution"
        for index, one in itertools.product(self._indexes, streams(text)):
            for start, length, origin in index.matches(one):
                if origin not in found:
                    found.add(origin)
                    how = "whatever its names are called" if index.renamed else "as it stands"
                    yield one.lines[start], f"{length} or more tokens in a row are those of {origin}, {how}"
        for number, line in enumerate(text.splitlines(), 1):
            for key, answer in self.answers.items():
                if answer in line and re.search(rf"\b{key}\b.*(?<![\w.]){re.escape(answer)}(?!\w)", line):
                    yield number, f"the answer to the sum {key!r}"


class _Index:
    """Windows of secrets by length, for one way of looking at them."""

    def __init__(self, secrets: list[Secret], renamed: bool):
        self.renamed = renamed
        most, least = (RUN, WHOLE_RUN) if renamed else (WORDS, WHOLE_WORDS)
        self.windows: dict[int, dict[tuple, str]] = {}
        for secret in secrets:
            length = min(len(secret.stream.words), most)
            if length >= least and not (renamed and secret.prose):
                self.add(secret, length)
        self.finish()

    def finish(self) -> None:
        """The windows with every name alike: a first, quick comparison."""
        self.shapes = {n: {tuple("_" if isinstance(w, int) else w for w in k) for k in t} for n, t in self.windows.items()}

    def add(self, secret: Secret, length: int) -> None:
        one, table = secret.stream, self.windows.setdefault(length, {})
        for start in one.code_starts(length) if self.renamed else range(len(one.words) - length + 1):
            table.setdefault(one.renamed(start, length) if self.renamed else one.words[start : start + length], secret.origin)

    def matches(self, one: Stream) -> Iterator[tuple[int, int, str]]:
        """(start, length, origin) of every window that is a secret's."""
        for length, table in self.windows.items():
            shapes = self.shapes[length]
            for start in range(len(one.words) - length + 1):
                if not self.renamed:
                    origin = table.get(one.words[start : start + length])
                elif one.shape[start : start + length] in shapes:
                    origin = table.get(one.renamed(start, length))
                else:
                    origin = None
                if origin:
                    yield start, length, origin


def scan_tree(scanner: Scanner, folder: Path, allowed: Callable[[str], bool] = lambda path: True) -> list[Finding]:
    """`Scanner.scan` of all that is published of a folder; links are findings, whatever they lead to."""
    files, links = {}, []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if _NOT_PUBLISHED & set(name.parts) or any(part.endswith(".egg-info") for part in name.parts):
            continue
        if path.is_symlink():
            links.append(Finding(str(name), "", "a link; only files are published"))
        elif path.is_file():
            files[str(name)] = path.read_bytes()
    return [*links, *scanner.scan(files, allowed)]


def read_files(path: Path) -> dict[str, bytes]:
    """The files of a zip by their paths in it, or the one file that `path` is."""
    if path.suffix != ".zip":
        return {path.name: path.read_bytes()}
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def _longest(secrets: list[Secret], read: list[tuple[str, str, Stream]], renamed: bool) -> tuple[int, str]:
    """By doubling and halving: a run that is shared has all its parts in common, too."""

    def shared(length: int) -> str | None:
        index = _Index([], renamed)
        for secret in secrets:
            if len(secret.stream.words) >= length and not (renamed and secret.prose):
                index.add(secret, length)
        index.finish()
        for path, where, one in read:
            for start, _, origin in index.matches(one):
                return str(Finding(path, _place(where, one.lines[start]), f"shared with {origin}"))
        return None

    low, high, place = 0, 2 * RUN, ""
    while low < high:
        middle = (low + high + 1) // 2
        if found := shared(middle):
            low, place = middle, found
        else:
            high = middle - 1
    return low, place


def _place(where: str, line: int) -> str:
    return f"{where}, line {line}" if where else str(line)
