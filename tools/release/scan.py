"""Look for solutions in what students receive: a release, the tree of an autograder zip, a notebook.

Text of every kind is read as one stream of words and signs. So comments, strings, prose and cells count, while line breaks,
brackets and quotation marks do not. Secret are the solutions, the misconceptions, the alternates and the hidden checks. A
file must not share with one of them
- `RUN` tokens of code in a row, whatever the names are called,
- `WORDS` tokens in a row as they stand,
- or a whole piece that is shorter.
Left out: a solution in other words, in another order or encoded, and a renamed piece of code below `WHOLE_RUN` tokens,
which every program has.
"""

import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.grader_files import LEFT_OUT
from tools.release.file_texts import cells_with_outputs, texts
from tools.release.solution_text import Secret, answers, secrets
from tools.release.token_stream import Stream, streams

# Measured: what the release of a01 rightly shares with a secret is at most 29 tokens with names changed, 28 as they stand,
# and whole pieces of 22 and 8 tokens. Every release measures the first two again and says how much room is left.
RUN, WHOLE_RUN = 40, 30
WORDS, WHOLE_WORDS = 36, 10

_NOT_PUBLISHED = LEFT_OUT | {".git", ".venv", ".pytest_cache"}  # of a folder in which somebody works
_COMPILED = {".pyc", ".pyo", ".so", ".pyd"}


@dataclass(frozen=True)
class Finding:
    """One reason not to publish a file. where: a line or a cell, or empty; what: the reason."""

    path: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}{':' if self.where else ''}{self.where}: {self.what}"


class Scanner:
    """Finds the secrets of a course in files.

    root: the course, with its reference.
    hidden: whether hidden checks may be there, as on Gradescope.
    due: the package of the assignment that is due. Its given parts and those of later ones are secret. By default none are.
    """

    def __init__(self, root: Path, hidden: bool = False, due: str = ""):
        self.secrets = [s for s in secrets(root, due) if not (hidden and "/hidden/" in s.origin)]
        self.answers = dict(answers(root))
        self._indexes = [_Index(self.secrets, renamed=True), _Index(self.secrets, renamed=False)]

    def scan(self, files: dict[str, bytes], allowed: Callable[[str], bool] = lambda path: True) -> list[Finding]:
        """The reasons not to publish these files. files: bytes by path; allowed: whether a path is on the list."""
        return [finding for path, data in files.items() for finding in self._file(path, data, allowed)]

    def longest_shared(self, files: dict[str, bytes]) -> dict[str, tuple[int, str]]:
        """The longest run that files share with secrets, in tokens, and its place: {"renamed": (28, "…"), "as it stands": …}."""
        placed = ((path, where, text) for path, data in files.items() for where, text in texts(path, data))
        published = [(path, where, one) for path, where, text in placed for one in streams(text)]
        ways = ("renamed", True), ("as it stands", False)
        return {name: _longest(self.secrets, published, renamed) for name, renamed in ways}

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
        """(line, reason) for each reason not to publish a text."""
        reported = set()
        if marker := re.search(r"^[ \t]*# (BEGIN|END) SOLUTION", text, re.MULTILINE):
            yield text.count("\n", 0, marker.start()) + 1, "a marker of a solution"
        for index, one in itertools.product(self._indexes, streams(text)):
            for start, length, origin in index.matches(one):
                if origin not in reported:
                    reported.add(origin)
                    how = "whatever its names are called" if index.renamed else "as it stands"
                    yield one.lines[start], f"{length} or more tokens in a row are those of {origin}, {how}"
        for number, line in enumerate(text.splitlines(), 1):
            for key, answer in self.answers.items():
                if answer in line and re.search(rf"\b{key}\b.*(?<![\w.]){re.escape(answer)}(?!\w)", line):
                    yield number, f"the answer to the sum {key!r}"


class _Index:
    """The windows of secrets by their length, for one way to compare: with names renamed, or as they stand."""

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
        """Note the windows with every name alike, which make a first, quick comparison possible."""
        self.shapes = {n: {tuple("_" if isinstance(w, int) else w for w in k) for k in t} for n, t in self.windows.items()}

    def add(self, secret: Secret, length: int) -> None:
        """Note every window of this length of a secret."""
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
    """The findings in all that would be published of a folder. A link is a finding, whatever it leads to."""
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


def _longest(secrets: list[Secret], published: list[tuple[str, str, Stream]], renamed: bool) -> tuple[int, str]:
    """The length of the longest shared run, and its place. It is found by bisection, because parts of it are shared too."""

    def shared(length: int) -> str | None:
        index = _Index([], renamed)
        for secret in secrets:
            if len(secret.stream.words) >= length and not (renamed and secret.prose):
                index.add(secret, length)
        index.finish()
        for path, where, one in published:
            for start, _, origin in index.matches(one):
                return str(Finding(path, _place(where, one.lines[start]), f"shared with {origin}"))
        return None

    low, high, place = 0, 2 * RUN, ""
    while low < high:
        middle = (low + high + 1) // 2
        if shared_at := shared(middle):
            low, place = middle, shared_at
        else:
            high = middle - 1
    return low, place


def _place(where: str, line: int) -> str:
    return f"{where}, line {line}" if where else str(line)
