"""A stub comes back and an update brings what is new; what a student wrote is there afterwards, byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.assignment import read
from autograder.errors import BadInput
from autograder.submission.reset import reset
from autograder.submission.update import MANIFEST, Manifest, update

TOML = 'title = "X"\ndeliverables = ["m.py", "by_hand.toml"]\nforbidden = []\nparts = []\n[limits]\nseconds = 1\nmemory_mb = 1\n'
PACKAGE = "assignments/a01_x"
FILES = {
    f"{PACKAGE}/m.py": "stub\n",
    f"{PACKAGE}/by_hand.toml": 'x = ""\n',
    f"{PACKAGE}/assignment.toml": TOML,
    f"{PACKAGE}/tests/test_m.py": "check 1\n",
    f"{PACKAGE}/demo.py": "demo 1\n",
    ".release/stubs/a01_x/m.py": "stub\n",
    ".release/stubs/a01_x/by_hand.toml": 'x = ""\n',
    "autograder/old.py": "old\n",
}
YOURS = {f"{PACKAGE}/m.py", f"{PACKAGE}/by_hand.toml", f"{PACKAGE}/demo.py"}


def released(root: Path, drop: tuple[str, ...] = (), **changed: str) -> Path:
    """A release with some files of other content, named by their last part: test_m="…"; or left out."""
    files = {n: changed.get(Path(n).stem, text) for n, text in FILES.items() if Path(n).name not in drop}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    encoded = {name: text.encode() for name, text in files.items()}
    (root / MANIFEST).write_bytes(Manifest.of(encoded, YOURS).dumps())
    return root


@pytest.fixture
def mine(tmp_path) -> Path:
    return released(tmp_path / "mine")


def folder_of(root: Path) -> Path:
    return root / PACKAGE


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_stub_comes_back_and_each_version_is_kept(mine):
    one, path = read(folder_of(mine)), folder_of(mine) / "m.py"
    for number, text in enumerate(("first\n", "second\n", "third\n"), 1):
        path.write_text(text)
        assert reset(one, "m.py") == path.with_name(f"m.py.mine{number}")
        assert path.read_text() == "stub\n"
    assert [path.with_name(f"m.py.mine{n}").read_text() for n in (1, 2, 3)] == ["first\n", "second\n", "third\n"]


def test_a_copy_that_is_kept_already_is_not_kept_twice(mine):
    one, path = read(folder_of(mine)), folder_of(mine) / "m.py"
    for _ in range(2):
        path.write_text("same\n")
        assert reset(one, f"{PACKAGE}/m.py") == path.with_name("m.py.mine1")
    assert len(list(folder_of(mine).glob("m.py.*"))) == 1


def test_a_file_that_was_deleted_or_is_a_link_becomes_the_stub(mine, tmp_path):
    one, path = read(folder_of(mine)), folder_of(mine) / "m.py"
    path.unlink()
    assert reset(one, "m.py") is None
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("precious\n")
    path.unlink()
    path.symlink_to(elsewhere)
    assert reset(one, "m.py").read_text() == "precious\n"
    assert (path.is_symlink(), path.read_text(), elsewhere.read_text()) == (False, "stub\n", "precious\n")


@pytest.mark.parametrize("name", ["x.py", "assignment.toml", "../m.py", "/etc/passwd", "a02_y/m.py", ""])
def test_what_is_no_file_to_write_is_refused_with_the_names_that_are(mine, name):
    before = everything(mine)
    with pytest.raises(BadInput, match=r"is no file of a01 that you write; those are m\.py, by_hand\.toml"):
        reset(read(folder_of(mine)), name)
    assert everything(mine) == before


def test_an_untouched_stub_a_missing_stub_and_a_folder_are_said_to_be_so(mine):
    one = read(folder_of(mine))
    with pytest.raises(BadInput, match="is the stub already"):
        reset(one, "m.py")
    (mine / ".release/stubs/a01_x/m.py").unlink()
    with pytest.raises(BadInput, match="no student release"):
        reset(one, "m.py")
    (folder_of(mine) / "by_hand.toml").unlink()
    (folder_of(mine) / "by_hand.toml").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        reset(one, "by_hand.toml")


def test_an_update_replaces_what_nobody_touched(mine, tmp_path):
    newer = released(tmp_path / "newer", ("old.py",), m="stub 2\n", test_m="check 2\n")
    changes = update(newer, mine)
    assert everything(mine) == everything(newer)
    assert changes.removed == ["autograder/old.py"]
    assert (changes.beside, changes.kept) == ([], [])
    assert len(update(newer, mine).lines()) == 1


def test_an_update_leaves_touched_files_and_puts_what_is_new_beside(mine, tmp_path):
    folder = folder_of(mine)
    (folder / "m.py").write_text("my work\n")
    (folder / "by_hand.toml").write_text('x = "4"\n')
    (folder / "notes.txt").write_text("mine\n")
    changes = update(released(tmp_path / "newer", m="stub 2\n"), mine)
    assert (folder / "m.py").read_text() == "my work\n"
    assert (folder / "m.py.new1").read_text() == "stub 2\n"
    assert (folder / "by_hand.toml").read_text() == 'x = "4"\n' and not (folder / "by_hand.toml.new1").exists()
    assert (folder / "notes.txt").read_text() == "mine\n"
    assert changes.beside == [f"{PACKAGE}/m.py.new1"]
    assert any("m.py.new1: the course has changed this file, and so have you" in line for line in changes.lines())
    assert reset(read(folder), "m.py").read_text() == "my work\n"
    assert (folder / "m.py").read_text() == "stub 2\n", "the newer stub"


def test_each_newer_version_of_a_touched_file_is_put_beside(mine, tmp_path):
    folder = folder_of(mine)
    (folder / "m.py").write_text("my work\n")
    for number in (2, 3):
        update(released(tmp_path / f"newer{number}", m=f"stub {number}\n"), mine)
        (folder / f"m.py.new{number - 1}").write_text("looked at, and mine now\n")
    assert (folder / "m.py").read_text() == "my work\n"
    assert update(released(tmp_path / "newer4", m="stub 4\n"), mine).beside == [f"{PACKAGE}/m.py.new3"]
    assert (folder / "m.py.new1").read_text() == "looked at, and mine now\n"


def test_a_mended_check_is_the_one_that_runs_and_a_touched_one_is_kept(mine, tmp_path):
    check = folder_of(mine) / "tests" / "test_m.py"
    check.write_text("print('debugging')\n")
    changes = update(released(tmp_path / "newer", test_m="check 2\n"), mine)
    assert check.read_text() == "check 2\n"
    assert check.with_name("test_m.py.mine1").read_text() == "print('debugging')\n"
    assert changes.kept == [f"{PACKAGE}/tests/test_m.py.mine1"]


def test_what_the_course_has_dropped_goes_but_not_a_students_work(mine, tmp_path):
    (folder_of(mine) / "demo.py").write_text("my demo\n")
    (mine / "autograder/old.py").write_text("my grader\n")
    changes = update(released(tmp_path / "newer", ("demo.py", "old.py")), mine)
    assert (folder_of(mine) / "demo.py").read_text() == "my demo\n"
    assert changes.removed == ["autograder/old.py"]
    assert (mine / "autograder/old.py.mine1").read_text() == "my grader\n"


def test_an_update_that_was_cut_off_goes_on(mine, tmp_path):
    (folder_of(mine) / "m.py").write_text("my work\n")
    newer = released(tmp_path / "newer", ("old.py",), m="stub 2\n", test_m="check 2\n")
    half = released(tmp_path / "half")
    (folder_of(half) / "m.py").write_text("my work\n")
    (folder_of(half) / "m.py.new1").write_text("stub 2\n")  # as far as it got: the manifest is still the old one
    (folder_of(half) / "tests" / "test_m.py").write_text("check 2\n")
    update(newer, half)
    update(newer, mine)
    assert everything(half) == everything(mine)


def test_what_is_no_release_is_refused_and_nothing_is_written(mine, tmp_path):
    before = everything(mine)
    newer = released(tmp_path / "newer", test_m="check 2\n")
    (folder_of(newer) / "m.py").write_text("work in it\n")
    with pytest.raises(BadInput, match=r"is not as it was released: assignments/a01_x/m\.py differs"):
        update(newer, mine)
    (folder_of(newer) / "m.py").unlink()
    with pytest.raises(BadInput, match=r"is not whole: assignments/a01_x/m\.py"):
        update(newer, mine)
    with pytest.raises(BadInput, match="is no release of this course"):
        update(tmp_path, mine)
    (newer / MANIFEST).write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        update(newer, mine)
    (newer / MANIFEST).write_text(json.dumps({"files": {"../../evil.py": "0"}, "yours": []}))
    with pytest.raises(BadInput, match="outside the release"):
        update(newer, mine)
    assert everything(mine) == before


def test_nothing_is_written_through_a_link_out_of_the_release(mine, tmp_path):
    outside = tmp_path / "outside"
    (folder_of(mine) / "tests").rename(outside)
    (folder_of(mine) / "tests").symlink_to(outside)
    with pytest.raises(BadInput, match="lies outside the release"):
        update(released(tmp_path / "newer", test_m="check 2\n"), mine)
    assert (outside / "test_m.py").read_text() == "check 1\n"


def test_the_commands_say_what_they_did(mine, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "COURSE_DIR": str(mine)}
        command = [sys.executable, "-m", "autograder", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)

    (folder_of(mine) / "m.py").write_text("my work\n")
    done = run("reset", "a01", "m.py")
    assert (done.returncode, done.stdout) == (0, "m.py is the stub again; yours is kept as m.py.mine1\n"), done.stderr
    done = run("reset", "a01", "n.py")
    assert done.returncode == 2 and done.stderr.startswith("Error: 'n.py' is no file of a01")
    done = run("update", str(released(tmp_path / "newer", test_m="check 2\n")))
    assert (done.returncode, done.stdout) == (0, "files: 1 replaced\n"), done.stderr
    done = run("update", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "is no release of this course" in done.stderr
