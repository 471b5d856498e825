"""Who resembles whom: a copy with other names is found, what the stubs give counts for nothing, and no file stops it."""

import re
import zipfile

import pytest

from autograder.assignment import Course
from tools.batch.batch import _compare_files
from tools.batch.export import HandedIn
from tools.batch.gradebook import Gradebook
from tools.batch.similarity import MAX_BYTES, similar

FILE = "attention.py"


@pytest.fixture(scope="module")
def assignment():
    return Course.here().load("a01")


@pytest.fixture
def hand_in(tmp_path):
    def hand_in(key: str, text: str | bytes):
        (tmp_path / key).mkdir()
        (tmp_path / key / FILE).write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / key

    return hand_in


@pytest.fixture(scope="module")
def solution(assignment) -> str:
    return (assignment.reference / FILE).read_text(encoding="utf-8")


def disguised(text: str) -> str:
    """Other names for what is assigned, no comments, and another width of lines."""
    for number, name in enumerate(sorted(set(re.findall(r"^\s+(\w+) = ", text, re.M)))):
        text = re.sub(rf"\b{name}\b", f"x{number}", text)
    return re.sub(r"#.*", "", text).replace("    ", "  ")


def test_a_copy_with_other_names_is_found_in_a_folder_and_in_an_archive(assignment, hand_in, solution, tmp_path):
    copy = disguised(solution)
    assert copy != solution
    with zipfile.ZipFile(tmp_path / "late.zip", "w") as archive:
        archive.writestr(f"mine/{FILE}", copy)
    stub = (assignment.folder / FILE).read_text(encoding="utf-8")
    paths = {"a": hand_in("a", solution), "b": hand_in("b", stub), "late.zip": tmp_path / "late.zip"}
    pairs, not_compared = similar(paths, assignment)
    assert [(p.keys, p.file) for p in pairs] == [(("a", "late.zip"), FILE)] and not_compared == []
    assert min(pairs[0].shares) > 0.8 and pairs[0].tokens > 300


def test_what_the_stub_gives_is_nobodys_own(assignment, hand_in):
    stub = (assignment.folder / FILE).read_text(encoding="utf-8")
    paths = {key: hand_in(key, f"{stub}\n{key} = 1\n") for key in ("a", "b", "c")}
    assert similar(paths, assignment) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "(" * (MAX_BYTES - 1),
        "\0" * (MAX_BYTES - 1),
        'f"{' * (MAX_BYTES // 4),
        "x = x + 1\n" * (MAX_BYTES // 11),
        b"\xff\xfe\x00",
        "",
    ],
)
def test_no_file_stops_the_comparison_of_the_others(assignment, hand_in, solution, text):
    """Without the limits of what is compared, these take minutes or for ever: pytest's timeout ends that."""
    paths = {
        "a": hand_in("a", solution),
        "b": hand_in("b", disguised(solution)),
        "c": hand_in("c", text),
        "d": hand_in("d", text),
    }
    pairs, _ = similar(paths, assignment)
    assert ("a", "b") in [p.keys for p in pairs]
    assert not [p for p in pairs if {"a", "b"} & set(p.keys) and {"c", "d"} & set(p.keys)]


def test_links_folders_and_large_files_are_left_out(assignment, hand_in, solution, tmp_path):
    paths = {"a": hand_in("a", solution), "large": hand_in("large", solution + "#" * MAX_BYTES)}
    for key in ("link", "folder"):
        (tmp_path / key).mkdir()
        paths[key] = tmp_path / key
    (tmp_path / "link" / FILE).symlink_to(tmp_path / "a" / FILE)
    (tmp_path / "folder" / FILE).mkdir()
    (tmp_path / "damaged.zip").write_bytes(b"PK")
    paths["damaged.zip"] = tmp_path / "damaged.zip"
    assert similar(paths, assignment) == ([], [])


def test_copies_of_given_parts_stand_in_the_gradebook_with_who_has_them(assignment, hand_in, solution):
    """Whoever wrote alone is the control."""
    given = (assignment.course.given / assignment.package / FILE).read_text(encoding="utf-8")
    submissions = [HandedIn("alone", hand_in("alone", solution)), HandedIn("copied", hand_in("copied", given))]
    book = Gradebook(assignment.id, assignment.title, [])
    _compare_files(book, submissions, assignment)
    assert {key for key, _ in book.copies} == {"copied"} and len(book.copies) >= 3
    assert all(f"{assignment.package}/{FILE}: " in sentence for _, sentence in book.copies)
