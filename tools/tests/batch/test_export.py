"""What a class handed in, as Gradescope exports it and as a plain folder."""

import shutil

import pytest
import yaml

from autograder.errors import BadInput
from tools.batch.export import METADATA, opened
from tools.batch.gradebook import Student

RUBY = """
submission_7:
  :submitters:
  - :name: Zoë Ωmega
    :sid: 0042
    :email: zoe@example.org
  - :name: "=cmd|' /C calc'!A0"
    :sid: '00043'
    :email:
  :created_at: 2023-11-06 07:13:47.644186000 Z
  :score: 3.5
  :results: {tests: []}
submission_8:
  :submitters:
  - :name: null
    :sid: 123456789
  :created_at: "2023-11-06 07:13:48.000000000 Z"
submission_9:
  :submitters: nobody
submission_10:
  :submitters: []
"""


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "assignment_1_export"
    for key in ("submission_7", "submission_8", "submission_9", "submission_11"):
        (folder / key).mkdir(parents=True)
        (folder / key / "sums.py").write_text("")
    (folder / METADATA).write_text(RUBY, encoding="utf-8")
    return folder


def test_names_groups_and_every_spelling_of_a_sid(export):
    with opened(export) as (handed, missing):
        people = {h.key: h.students for h in handed}
    assert people["submission_7"] == (
        Student("Zoë Ωmega", "0042", "zoe@example.org"),
        Student("=cmd|' /C calc'!A0", "00043", ""),
    )
    assert people["submission_8"] == (Student("", "123456789", ""),)
    assert people["submission_9"] == people["submission_11"] == ()
    assert missing == [
        "submission_10 stands in submission_metadata.yml, but there is no such folder",
        "submission_11 is not named in submission_metadata.yml; graded without a name",
    ]


def test_a_time_stays_as_it_was_written(export):
    with opened(export) as (handed, _):
        assert [h.created_at for h in handed if h.key in ("submission_7", "submission_8")] == [
            "2023-11-06 07:13:47.644186000 Z",
            "2023-11-06 07:13:48.000000000 Z",
        ]


@pytest.mark.parametrize("inside", [True, False])
def test_a_zip_of_the_export_is_the_same(export, tmp_path, inside):
    base = export.name if inside else "."
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", export.parent if inside else export, base)
    from pathlib import Path

    with opened(export) as one, opened(Path(archive)) as other:
        strip = lambda found: ([(h.key, h.students, h.created_at) for h in found[0]], found[1])
        assert strip(one) == strip(other)


def test_a_plain_folder_holds_folders_and_archives(tmp_path):
    for name in ("b", ".hidden", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with opened(tmp_path) as (handed, missing):
        assert ([h.key for h in handed], missing) == (["a.zip", "b"], [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1\n- 2", "is a list; a table of submissions"),
        ("a: [", "cannot be read"),
        ("submission_7: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("submission_99: {}", "names no submission whose folder is there"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused_with_a_reason(tmp_path, text, words):
    (tmp_path / METADATA).write_text(text)
    with pytest.raises(BadInput, match=words), opened(tmp_path):
        pass


def test_what_is_no_class_is_refused_with_a_reason(tmp_path):
    (tmp_path / "file.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    for name, words in (("nowhere", "does not exist"), ("file.zip", "neither a folder nor a zip"), ("empty", "no submissions")):
        with pytest.raises(BadInput, match=words), opened(tmp_path / name):
            pass


def test_a_folder_named_outside_of_the_export_is_not_read(tmp_path):
    folder = tmp_path / "export"
    (folder / "submission_1").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (folder / METADATA).write_text(yaml.safe_dump({"../secret": {}, "submission_1": {}}))
    with opened(folder) as (handed, missing):
        assert [h.key for h in handed] == ["submission_1"] and "../secret" in missing[0]


def test_names_that_lead_elsewhere_are_not_followed(tmp_path):
    folder = tmp_path / "export"
    for key in ("submission_1", "submission_2/inner"):
        (folder / key).mkdir(parents=True)
    (folder / "submission_3").symlink_to(folder / "submission_1")
    keys = ["..", ".", "", "submission_2/inner", "submission_1/..", str(tmp_path), "submission_3", "submission_1"]
    (folder / METADATA).write_text(yaml.safe_dump({key: {} for key in keys}))
    with opened(folder) as (handed, missing):
        assert [h.key for h in handed] == ["submission_1", "submission_2"]  # the second one has no entry of its own
    assert len(missing) == len(keys)


def test_names_that_look_alike_once_cleaned_are_told_apart(tmp_path):
    for name in ("a\x01", "a\x02", "a\u202e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sums.py").write_text("")
    with opened(tmp_path) as (handed, _):
        assert len({h.key for h in handed}) == len({h.path for h in handed}) == 3
        assert all(h.key.isprintable() for h in handed)


def test_names_hold_no_control_characters(tmp_path):
    (tmp_path / "submission_1").mkdir()
    entry = {":submitters": [{":name": "A\x1b[2J\nB", ":sid": "1\t2", ":email": "a\u202e@b"}], ":created_at": "then\r"}
    (tmp_path / METADATA).write_text(yaml.safe_dump({"submission_1": entry}), encoding="utf-8")
    with opened(tmp_path) as (handed, _):
        assert handed[0].students == (Student("A�[2J�B", "1�2", "a�@b"),) and handed[0].created_at == "then�"
