"""Write what students clone: stubs, handouts, public checks with golden values, `given`, corpora, notebooks, the grader.

A release is made by an allow-list, and scanned before a byte is written. A new folder appears in one step. A release that
is there already is brought up to date in place. Left out: version control, which is the instructor's (`git init` there,
commit, push).
"""

import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment, Course
from autograder.check.collecting import read_checks
from autograder.errors import BadInput
from autograder.source.given_parts import given_files
from autograder.submission.reset import RELEASE
from autograder.submission.update import MANIFEST, Changes, Manifest, update
from tools.author.stubs import stubs
from tools.grader_files import course, files_below, grader_files
from tools.release.imports import missing_imports
from tools.release.scan import RUN, WORDS, Finding, Scanner, scan_tree

_EXECUTABLE = {"autograder/setup.sh"}
_CORPORA = {".py", ".md", ".txt", ".json", ".jsonl", ".csv", ".toml", ".safetensors", ".npy", ".gz"}
_NOT_FOR_STUDENTS = {"sources", "sources.py", "tests"}  # of datasets/, because they hold grammars and oracles
_TABLES = ("project", "tool.setuptools.packages.find", "tool.pytest.ini_options", "tool.ruff", "tool.ruff.lint")


@dataclass(frozen=True)
class Released:
    """What was written.

    files, size: how many files the release has, and how many bytes they have together.
    changes: what an update did. None for a new folder.
    shared: the longest runs in common with solutions, as `Scanner.longest_shared` returns them.
    """

    files: int
    size: int
    changes: Changes | None
    shared: dict[str, tuple[int, str]]

    def headroom(self) -> Iterator[str]:
        """Sentences that say how far the release is from being refused."""
        for (name, (length, place)), limit in zip(self.shared.items(), (RUN, WORDS), strict=True):
            yield f"longest run shared with a solution, {name}: {length} tokens, {limit} are refused; {place}"


def release(published: Course, to: Path, only: tuple[str, ...] = (), through: str = "") -> Released:
    """Write the release of a course to a folder, or update the one that is there.

    The given parts of the last assignment are sealed, because that one is due. Those before it are source.

    only: the assignments that are published, as "a01". By default all of them.
    through: the last of them. A release that grows with the course never holds the given parts of what is still due.
    BadInput: `to` is something else than a release, or the scanner has findings, which are listed. Nothing has been written
    then, unless the findings are in files of an older release.
    """
    new = not to.exists() or (to.is_dir() and not any(to.iterdir()))
    if not new and not (to / MANIFEST).is_file():
        raise BadInput(f"{to} is there already and is no release (it has no {MANIFEST}); give a folder that does not exist yet")
    last = published.load(through).id if through else max(published.known(), default="")
    loaded = map(published.load, only or published.known())
    assignments = sorted({one.id: one for one in loaded if one.id <= last}.values(), key=lambda one: one.id)
    if not assignments:
        raise BadInput(f"there is nothing to release: {published.assignments} has no assignment with an assignment.toml")
    files, yours = contents(assignments)
    files[MANIFEST] = Manifest.of(files, yours).dumps()
    if findings := list(missing_imports(files, published.root, course())):
        raise BadInput(_listed("the release would not run, because files import what does not ship:", findings))
    scanner = Scanner(published.root, due=assignments[-1].package)
    if findings := scanner.scan(files, files.__contains__):
        raise BadInput(_listed(f"the release would hold {len(findings)} things that students must not get:", findings))
    shared = scanner.longest_shared({name: data for name, data in files.items() if not name.startswith("datasets/")})
    changes = _write(to, files, new)
    if findings := scan_tree(scanner, to, files.__contains__):
        raise BadInput(_listed(f"{to} is up to date, but holds {len(findings)} things that must not be published:", findings))
    return Released(len(files), sum(map(len, files.values())), changes, shared)


def contents(assignments: list[Assignment]) -> tuple[dict[str, bytes], set[str]]:
    """Every file of the release by its path, and the paths of those that students write in.

    assignments: at least one, all of the same course.
    BadInput: a file is missing.
    """
    published = assignments[0].course
    files: dict[str, bytes] = {}
    yours: set[str] = set()
    for one in assignments:
        for name, data, is_yours in _assignment(one):
            files[name] = data
            if is_yours:
                yours.add(name)
    files |= {f"assignments/given/{name}": data for name, data in given_files(published, assignments[-1].package).items()}
    files |= {f"autograder/{name}": data for name, data in _tree(course() / "autograder", grader_files())}
    files |= {f"datasets/{name}": data for name, data in _corpora(published.root / "datasets")}
    files["Makefile"] = student_makefile((course() / "Makefile").read_text(encoding="utf-8")).encode()
    files["pyproject.toml"] = student_project((course() / "pyproject.toml").read_text(encoding="utf-8")).encode()
    files["README.md"] = _readme(assignments).encode()
    ignored = (course() / ".gitignore").read_text(encoding="utf-8").splitlines()
    files[".gitignore"] = "".join(f"{line}\n" for line in ignored if line not in ("*.ipynb", "/release/")).encode()
    for name in ("constraints.txt", ".gitattributes", "docs/report.svg", "LICENSE"):
        if (course() / name).is_file():
            files[name] = (course() / name).read_bytes()
    return files, yours


def _assignment(one: Assignment) -> Iterator[tuple[str, bytes, bool]]:
    """(path, bytes, whether students write in it) of every file that students get of one assignment."""
    folder, package, fresh = one.folder, f"assignments/{one.package}", stubs(one.course.root)
    for name in one.deliverables:
        path = folder / name
        data = fresh[path].encode() if path in fresh else _read(path, one)
        yield f"{package}/{name}", data, True
        yield f"{RELEASE}/stubs/{one.package}/{name}", data, False
    yield f"{package}/assignment.toml", _read(folder / "assignment.toml", one), False
    for name in ("README.md", "__init__.py", "demo.py", "explore.py", *_also(one)):
        if (folder / name).is_file():
            yield f"{package}/{name}", _read(folder / name, one), name in ("demo.py", "explore.py")
    if (folder / "explore.py").is_file():
        yield f"{package}/explore.ipynb", notebook((folder / "explore.py").read_text(encoding="utf-8")), True
    checks = sorted((folder / "tests").glob("test_*.py"))
    if not checks:
        raise BadInput(f"{one.package} has no checks in tests/; leave it out: release --only …")
    for path in checks:
        yield f"{package}/tests/{path.name}", _read(path, one), False
        if all(check.on_request for check in read_checks(path)):
            continue  # the values that these expect are made on request
        for suffix in (".json", ".safetensors"):
            golden = f"{path.stem}{suffix}"
            yield f"{package}/tests/golden/{golden}", _read(folder / "tests" / "golden" / golden, one), False
    yield f"{package}/tests/golden/hints.json", _read(folder / "tests" / "golden" / "hints.json", one), False


def notebook(source: str) -> bytes:
    """A notebook made of a percent script. It has no outputs, and the same bytes each time."""
    import jupytext

    book = jupytext.reads(source, fmt="py:percent")
    for number, cell in enumerate(book.cells, 1):
        cell["id"] = f"cell-{number}"  # nbformat draws them at random
    return jupytext.writes(book, fmt="ipynb").encode()


def student_makefile(text: str) -> str:
    """The Makefile without the targets that call anything but the grader. `help` and `setup` call no Python, and stay."""
    blocks = [block for block in text.split("\n\n") if not re.search(r"\$\(PY\) -m (?!autograder\b)", block)]
    kept = set(re.findall(r"^([a-z]+):", "\n\n".join(blocks), re.MULTILINE))
    blocks[0] = re.sub(
        r"^\.PHONY:.*$",
        lambda line: " ".join([".PHONY:", *(name for name in line[0].split()[1:] if name in kept)]),
        blocks[0],
        flags=re.MULTILINE,
    )
    return "\n\n".join(blocks).rstrip("\n").replace(" or `python -m tools`", "") + "\n"


def student_project(text: str) -> str:
    """pyproject.toml without what only instructors need."""
    kept = [block for block in re.split(r"^(?=\[)", text, flags=re.MULTILINE) if block.strip()]
    kept = [block for block in kept if block[1 : block.index("]")] in _TABLES]
    out = re.sub(r"^testpaths = .*$", 'testpaths = ["assignments"]', "".join(kept), flags=re.MULTILINE)
    out = out.replace('"tools*", ', "")
    out = "".join(line for line in out.splitlines(keepends=True) if "tools/" not in line and "tests/toy" not in line)
    tomllib.loads(out)
    return out.rstrip() + "\n"


def _readme(assignments: list[Assignment]) -> str:
    rows = [f"| `{a.id}` | [{a.title}](assignments/{a.package}/README.md) | {a.points:g} |" for a in assignments]
    text = Path(__file__).with_name("student_readme.md").read_text(encoding="utf-8")
    first = assignments[0]
    words = {"@ASSIGNMENTS@": "\n".join(rows), "@A@": first.id, "@PACKAGE@": first.package, "@FILE@": first.deliverables[0]}
    words["@ONLY@"] = first.parts[0].name.rpartition(".")[2]
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _also(one: Assignment) -> Iterator[str]:
    """Further files that an assignment names in assignment.toml, as in also = ["figures/heads.svg"]."""
    for name in one.also:
        if not (one.folder / name).is_file() or not (one.folder / name).resolve().is_relative_to(one.folder.resolve()):
            raise BadInput(f"{one.package}/assignment.toml: also names {name!r}, which is no file of this folder")
        yield name


def _corpora(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of what ships of datasets/. BadInput: a file is of a kind that is on no list; left out, it would be missed."""
    for path in files_below(folder, leave_out=_NOT_FOR_STUDENTS):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith("."):
            continue
        if path.suffix not in _CORPORA:
            raise BadInput(
                f"datasets/{name} is of a kind that is on no list; add it to _CORPORA or _NOT_FOR_STUDENTS, or remove it"
            )
        yield name, path.read_bytes()


def _tree(folder: Path, paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """The files among these paths, each with its path in the folder."""
    return ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths if path.is_file())


def _read(path: Path, one: Assignment) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        name = path.relative_to(one.course.root)
        hint = "make golden" if "golden" in path.parts else "write it, or take it out of assignment.toml"
        raise BadInput(f"{name} is missing: {hint}; or leave the assignment out: release --only …") from None


def _write(to: Path, files: dict[str, bytes], new: bool) -> Changes | None:
    """Write the files to a folder beside the target. It then becomes the target in one step, or the target is updated."""
    to = to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        fresh = Path(scratch) / "release"
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if name in _EXECUTABLE else 0o644)
        if not new:
            return update(fresh, to)
        fresh.replace(to)  # an empty folder may stand there
        return None


def _listed(title: str, findings: list[Finding]) -> str:
    more = [f"  … and {len(findings) - 30} more"] if len(findings) > 30 else []
    return "\n".join([title, *(f"  {finding}" for finding in findings[:30]), *more])
