"""A new assignment from the template: a whole small one that works, in which an author changes one thing after the other.

`tools/author/template/` is a tree of real files. Four names stand in it for what differs: the package `aNN_name`, the
number `aNN`, the `Title` and the module `distill`. The stubs are no part of it, because they follow from the reference.
"""

import keyword
import re
import shutil
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import BadInput
from tools.author.stubs import make_stub

TEMPLATE = Path(__file__).with_name("template")
MODULE = "distill"
ROOMS = ("assignments", "assignments/given", "reference")  # an assignment has a folder in each
_LENGTH = 16  # letters of the package's name behind its number
_TITLE = 60  # characters
_FILLERS = {"a", "an", "the", "and", "or", "of", "in", "on", "to", "for", "from", "with", "by"}
_TAKEN = {"demo", "explore", "tests", "by_hand", "golden"}  # names that mean something else in an assignment


@dataclass(frozen=True)
class Made:
    """A new assignment. id: "a11"; package: "a11_experts"; module: of its functions; files: their paths below the root."""

    id: str
    package: str
    module: str
    files: tuple[Path, ...]

    def next_steps(self) -> list[str]:
        """What an author does next, a line each."""
        assignment, reference = f"assignments/{self.package}", f"reference/{self.package}"
        return [
            f"make golden A={self.id}    record what its checks expect; after every change of reference/ or of a check",
            f"make verify A={self.id}    measure it; ARGS=--quick leaves the mutants out",
            "It passes both as it stands. Now change one thing after the other, and call them again:",
            f"  {reference}/{self.module}.py    the solutions; then `make stubs`, never a stub by hand",
            f"  assignments/given/{self.package}/    the same by PyTorch's own functions",
            f"  {assignment}/tests/ and {reference}/hidden/    public and hidden checks",
            f"  {reference}/misconceptions/ and alternates/    wrong and other right versions, a file for each module",
            f"  {reference}/tests/test_independent.py    the reference against code of others",
            f"  {assignment}/assignment.toml    parts, points, forbidden functions, limits",
            f"  {assignment}/by_hand.toml and {reference}/by_hand.toml    sums, and their answers",
            f"  {assignment}/README.md, demo.py, explore.py    the handout, and what can be seen",
            f"Then tell the course's own tests: COURSE in tools/tests/test_assignments.py gets an entry {self.id!r}.",
        ]


def new(root: Path, name: str, title: str, module: str = "") -> Made:
    """Write the assignment `name` ("a11") with this title into the course at `root`.

    title: one line of at most 60 characters; its first words give the package its name.
    module: of the two functions; that of the template by default.

    BadInput if the number is none or is taken, if the title or the module is of no use, or if nothing can be written.
    """
    title, module = title.strip(), module or MODULE
    _refuse_number(root, name)
    _refuse_title(title)
    _refuse_module(module)
    package = package_name(name, title)
    files = _files({"aNN_name": package, "aNN": name, "Title": title, MODULE: module})
    solution, stub = Path("reference", package, f"{module}.py"), Path("assignments", package, f"{module}.py")
    files[stub] = make_stub(files[solution], package, stub.name)
    folders = [root / room / package for room in ROOMS]
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    except OSError as error:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise BadInput(f"{error.filename} cannot be written ({error.strerror}); nothing was made") from error
    return Made(name, package, module, tuple(sorted(files)))


def package_name(name: str, title: str) -> str:
    """The package of an assignment: "a05_mixture_experts" for "a05" and "A mixture of experts".

    It has the title's first words in lower-case ASCII, as many as fit. BadInput if the title has no letter of that kind.
    """
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    words = [word for word in words if word not in _FILLERS] or words
    if not words:
        raise BadInput(f"the title {title!r} has no Latin letter to name a folder by; give another one, and change it later")
    chosen = words[0][:_LENGTH]
    for word in words[1:]:
        if len(longer := f"{chosen}_{word}") > _LENGTH:
            break
        chosen = longer
    return f"{name}_{chosen}"


def _refuse_number(root: Path, name: str) -> None:
    if not re.fullmatch(r"a[0-9]{2}", name):
        raise BadInput(f"an assignment is called by an a and two digits, as in a11; got {name!r}")
    for room in ROOMS:
        for folder in sorted((root / room).glob(f"{name}_*")):
            raise BadInput(f"there is an {name} already: {folder.relative_to(root)}; choose another number, or remove it first")


def _refuse_title(title: str) -> None:
    """BadInput if the title could not stand in a handout, a docstring and a TOML string."""
    if not title:
        raise BadInput('an assignment needs a title, as in: new a11 "A mixture of experts"')
    if len(title) > _TITLE:
        raise BadInput(f"a title has at most {_TITLE} characters; {title!r} has {len(title)}")
    if odd := sorted({c for c in title if not c.isprintable() or c in '"\\|'}):
        raise BadInput(f"a title is one line without quotation marks, \\ and |; {title!r} has {', '.join(map(repr, odd))}")


def _refuse_module(module: str) -> None:
    if module in sys.stdlib_module_names:
        raise BadInput(f"Python has a module {module!r}, and a file of that name would hide it; choose another name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module) or keyword.iskeyword(module) or module in _TAKEN:
        taken = ", ".join(sorted(_TAKEN))
        raise BadInput(f"a module's name has lower-case letters, digits and _, and is none of {taken}; got {module!r}")


def _files(words: dict[str, str]) -> dict[Path, str]:
    """Every file of the filled-in template by its path below the root. words: what stands for what."""
    paths = sorted(p for p in TEMPLATE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {
        Path(_filled(path.relative_to(TEMPLATE).as_posix(), words)): _filled(path.read_text(encoding="utf-8"), words)
        for path in paths
    }


def _filled(text: str, words: dict[str, str]) -> str:
    """The text with each word replaced. A column that is set off by three spaces or more stays where it is."""

    def fill(found: re.Match) -> str:
        rest, gap = found[2] or "", found[3] or ""
        new = words[found[1]] + rest
        return new + " " * max(1, len(found[0]) - len(new)) if gap else new

    return re.sub(rf"(?<![A-Za-z0-9])({'|'.join(words)})(?![A-Za-z0-9_])(?:(\S*)( {{3,}}))?", fill, text)
