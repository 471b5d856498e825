"""Whatever the layout of a submission, each way to grade it reads the same files and says the same about the others.

A layout is a function that makes one and returns what is graded. Beside it stands what a local grade reads and notes.
`OTHERWISE` lists where another way differs, and nothing else may.
"""

import os
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from autograder import grading
from autograder.assignment import Assignment, Course
from autograder.errors import BadInput
from autograder.gradescope.run import PartialReport, grade_upload
from autograder.report.report import Report
from autograder.running import Runner
from autograder.session import grade_submission
from autograder.submission.deliverables import MAX_FILE_BYTES
from autograder.submission.submit import build
from autograder.submission.working_copy import Tree
from tools.batch.grade import grade_one, submission_digest
from tools.batch.scheduler import packed
from tools.batch.similarity import MAX_BYTES, _texts

ROPE, BYHAND = b"x = 1\n", b'angle = "0.54"\n'
FILES = {"rope.py": ROPE, "by_hand.toml": BYHAND}
MARKED = {"rope.py": b"\xef\xbb\xbfx = 1\r\n", "by_hand.toml": b'\xef\xbb\xbfangle = "1"\r\n'}
MISSING = "the file is missing"
NOTHING = (
    "this folder holds none of the files of a03: rope.py, by_hand.toml",
    f"rope.py: {MISSING}",
    f"by_hand.toml: {MISSING}",
)
EXTRA = "not read, because it is no deliverable: "
SPECIAL = "rope.py: it is not a regular file, so it was not read"
DAMAGED = "s.zip cannot be unpacked: File is not a zip file"


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return replace(Course.here().load("a01"), id="a03", package="a03_toy", deliverables=("rope.py", "by_hand.toml"))


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@dataclass(frozen=True)
class Result:
    """What was read, and what the report says about the rest; or why all was refused."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: str = ""


LAYOUTS: dict[str, Callable[[Path], Path]] = {}
EXPECTED: dict[str, Result] = {}


def layout(files: dict[str, bytes] = FILES, notes: tuple[str, ...] = (), refused: str = ""):
    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        LAYOUTS[make.__name__], EXPECTED[make.__name__] = make, Result(files, notes, refused)
        return make

    return register


@layout()
def plain(root):
    write(root, FILES)
    return root


@layout()
def nested(root):
    write(root / "hw", FILES)
    return root


@layout()
def above(root):
    write(root / "course/assignments/a03_toy", FILES)
    write(root / "course/assignments/given/a03_toy", {"rope.py": b"given\n"})
    write(root / "course/reference/a03_toy", {"rope.py": b"reference\n"})
    return root


@layout(notes=(EXTRA + "helper.py, notes.txt",))
def with_extra_files(root):
    write(root, FILES | {"notes.txt": b"", "helper.py": b"", "README.md": b"", "tests/test_x.py": b"", "rope.py.mine1": b""})
    return root


@layout()
def with_clutter(root):
    mac = {"__MACOSX/._rope.py": b"\0", ".DS_Store": b"\0", "__pycache__/rope.pyc": b"\0", "manifest.json": b"{}"}
    write(root, FILES | mac)
    return root


@layout()
def with_clutter_of_other_systems(root):
    write(root, FILES | {"Thumbs.db": b"\0", "desktop.ini": b"\0", "._rope.py": b"\0", ".git/config": b""})
    return root


@layout()
def archive(root):
    zipped(root / "s.zip", FILES)
    return root / "s.zip"


@layout()
def archive_of_a_folder_from_macos(root):
    mac = {"hw/.DS_Store": b"\0", "__MACOSX/hw/._rope.py": b"\0", "hw/__pycache__/rope.pyc": b"\0"}
    zipped(root / "s.zip", {f"hw/{name}": data for name, data in FILES.items()} | mac)
    return root / "s.zip"


@layout(notes=("graded what is in s.zip",))
def archive_in_a_folder(root):
    zipped(root / "s.zip", FILES)
    return root


@layout({}, notes=(*NOTHING, EXTRA + "s.zip, t.zip"))
def two_archives_in_a_folder(root):
    zipped(root / "s.zip", FILES)
    zipped(root / "t.zip", FILES)
    return root


@layout(notes=(EXTRA + "s.zip",))
def archive_beside_the_files(root):
    zipped(root / "s.zip", {"rope.py": b"old\n"})
    write(root, FILES)
    return root


@layout({}, refused=DAMAGED)
def damaged_archive(root):
    (root / "s.zip").write_bytes(b"PK")
    return root / "s.zip"


@layout({}, refused=DAMAGED)
def damaged_archive_in_a_folder(root):
    (root / "s.zip").write_bytes(b"PK")
    return root


@layout({"by_hand.toml": BYHAND}, notes=(SPECIAL, EXTRA + "elsewhere"))
def link(root):
    write(root, {"elsewhere/secret.py": b"secret\n", "by_hand.toml": BYHAND})
    (root / "rope.py").symlink_to(root / "elsewhere/secret.py")
    return root


@layout({"by_hand.toml": BYHAND}, notes=(SPECIAL,))
def dangling_link(root):
    write(root, {"by_hand.toml": BYHAND})
    (root / "rope.py").symlink_to(root / "nowhere.py")
    return root


@layout({"by_hand.toml": BYHAND}, notes=(SPECIAL,))
def fifo(root):
    write(root, {"by_hand.toml": BYHAND})
    os.mkfifo(root / "rope.py")
    return root


@layout({}, notes=(NOTHING[0], SPECIAL, NOTHING[2], EXTRA + "hw"))
def fifo_above_a_folder_with_the_files(root):
    os.mkfifo(root / "rope.py")
    write(root / "hw", FILES)
    return root


@layout({"by_hand.toml": BYHAND}, notes=(SPECIAL,))
def folder_with_the_name_of_a_file(root):
    write(root, {"by_hand.toml": BYHAND, "rope.py/x.py": b""})
    return root


@layout({"by_hand.toml": BYHAND}, notes=("rope.py: it has 1,048,585 bytes, at most 1,048,576 are read",))
def too_large(root):
    write(root, {"rope.py": b"#" * (MAX_FILE_BYTES + 9), "by_hand.toml": BYHAND})
    return root


@layout(FILES | {"rope.py": b"#" * MAX_FILE_BYTES})
def as_large_as_allowed(root):
    write(root, {"rope.py": b"#" * MAX_FILE_BYTES, "by_hand.toml": BYHAND})
    return root


@layout({"rope.py": ROPE}, notes=(NOTHING[2],))
def one_missing(root):
    write(root, {"rope.py": ROPE})
    return root


@layout({}, notes=(*NOTHING, EXTRA + "notes.txt"))
def all_missing(root):
    write(root, {"notes.txt": b""})
    return root


@layout({}, notes=NOTHING)
def empty(root):
    return root


@layout(MARKED)
def crlf_and_mark(root):
    write(root, MARKED)
    return root


def read_by(entry_point: Callable[[], Report]) -> Result:
    """What an entry point reads and notes. In the place of the grade stands a look at the tree that would be graded."""
    trees: list[dict[str, bytes]] = []

    def read_files(runner: Runner, tree: Tree, *_: object) -> Report:
        names = [name for name in runner.assignment.deliverables if name not in tree.missing]
        trees.append({name: (tree.folder / name).read_bytes() for name in names})
        return Report(runner.assignment, [], 0, notes=tree.notes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "grade", read_files)
        notes = entry_point().notes
    return Result(trees[-1], notes)


def local(path: Path, assignment: Assignment) -> Result:
    try:
        return read_by(lambda: grade_submission(path, assignment, [], server=None))
    except BadInput as error:
        return Result(refused=str(error))


def gradescope(path: Path, assignment: Assignment) -> Result:
    """Gradescope hands over a folder. An archive alone in it is what was uploaded."""
    folder = path if path.is_dir() else path.parent
    partial = PartialReport(assignment, [], save=lambda report: None)
    return read_by(lambda: grade_upload(folder, assignment, [], server=None, jobs=1, partial=partial))


def batch(path: Path, assignment: Assignment) -> Result:
    refused = []

    def grade() -> Report:
        graded = grade_one(path, assignment, [], server=None)
        refused.append(graded.refused)
        return Report(assignment, [], 0, notes=tuple(graded.report["notes"]))

    try:
        return read_by(grade)
    except IndexError:  # no tree was made
        return Result(refused=refused[-1])


def cluster(path: Path, assignment: Assignment) -> Result:
    name, files = packed(path, assignment)
    with tempfile.TemporaryDirectory() as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        return batch(Path(folder) / name, assignment)


IN_ARCHIVE = Result(FILES, ("graded what is in s.zip",))
REFUSED_ARCHIVE = Result(notes=(f"the archive was refused: {DAMAGED}", *NOTHING))
NOT_SENT = Result({"by_hand.toml": BYHAND}, (f"rope.py: {MISSING}",))
OTHERWISE: dict[tuple[Callable, str], Result] = {
    (gradescope, "archive"): IN_ARCHIVE,
    (gradescope, "archive_of_a_folder_from_macos"): IN_ARCHIVE,
    (gradescope, "damaged_archive"): REFUSED_ARCHIVE,
    (gradescope, "damaged_archive_in_a_folder"): REFUSED_ARCHIVE,
    (cluster, "fifo_above_a_folder_with_the_files"): Result({}, NOTHING),
    (cluster, "link"): NOT_SENT,
    (cluster, "dangling_link"): NOT_SENT,
    (cluster, "fifo"): NOT_SENT,
    (cluster, "folder_with_the_name_of_a_file"): NOT_SENT,
    (cluster, "too_large"): Result(
        {"by_hand.toml": BYHAND},
        ("rope.py: it has 1,048,577 bytes, at most 1,048,576 are read",),  # one too many is sent
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("way", [local, gradescope, batch, cluster])
def test_each_way_reads_the_same_and_notes_the_same(tmp_path, assignment, way, name):
    expected = OTHERWISE.get((way, name), EXPECTED[name])
    if way is cluster:  # what is no deliverable does not travel
        expected = replace(expected, notes=tuple(note for note in expected.notes if not note.startswith(EXTRA)))
    assert way(LAYOUTS[name](tmp_path), assignment) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_similarity_compares_what_is_graded(tmp_path, assignment, name):
    files = OTHERWISE.get((batch, name), EXPECTED[name]).files
    texts = {n: d.decode().replace("\r\n", "\n") for n, d in files.items() if len(d) <= MAX_BYTES}
    assert _texts(LAYOUTS[name](tmp_path), assignment) == texts


def test_a_digest_tells_apart_what_is_graded_differently_and_nothing_else(tmp_path, assignment):
    results = defaultdict(list)
    for name, make in LAYOUTS.items():
        (tmp_path / name).mkdir()
        path = make(tmp_path / name)
        if path.is_dir():  # an archive has a digest of its own
            notes = [note for note in EXPECTED[name].notes if not note.startswith(EXTRA)]
            results[submission_digest(path, assignment)].append((EXPECTED[name].files, notes))
    assert all(result == same[0] for same in results.values() for result in same)
    assert sum((FILES, []) in same for same in results.values()) == 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_grade_would_not_read_is_not_submitted(tmp_path, assignment, name):
    path = LAYOUTS[name](tmp_path)
    complete = path.is_dir() and all((path / n).exists() for n in FILES) and len(EXPECTED[name].files) == len(FILES)
    if complete:
        assert build(path, assignment).files == len(FILES)
    else:
        with pytest.raises(BadInput, match=r"is not a folder|cannot be submitted"):
            build(path, assignment)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("link", "  rope.py is not a regular file (a link or a folder); put the file itself there\n"),
        ("fifo", "  rope.py is not a regular file (a link or a folder); put the file itself there\n"),
        ("too_large", "  rope.py has 1,048,585 bytes; at most 1,048,576 are graded\n"),
        ("one_missing", "  by_hand.toml is missing\n"),
    ],
)
def test_who_submits_reads_what_to_do(tmp_path, assignment, name, words):
    with pytest.raises(BadInput) as caught:
        build(LAYOUTS[name](tmp_path), assignment)
    assert words in str(caught.value)
