"""The page of a class in a real browser; its numbers are those of the gradebook."""

import pytest

from autograder.tests import browser
from autograder.tests.test_html import EVIL, MIXED, Outline, check, report
from tools.class_page import bars, page
from tools.gradebook import Change, Entry, Gradebook, Pair, Student


def book(evil: str = "") -> Gradebook:
    entries = [
        Entry("submission_1", [Student(f"Ada {evil}", "1", "a@example.org")], "", MIXED, 1.0),
        Entry("submission_2", [Student("Berta", "2"), Student("Cyril", "3")], "", report(check("good", "passed")), 2.0),
        Entry(
            "submission_3", [], "", report(check("bad", "failed", reason="value", misconception=evil or "m")), 30.0, "a zip bomb"
        ),
    ]
    value = Gradebook("a01", "A toy", entries, missing=[f"submission_9 {evil} is not there"], graded_now=3)
    value.pairs = [Pair(("submission_1", "submission_2"), f"sums{evil}.py", (0.91, 0.5), 210)]
    value.changes = [Change("submission_1", 10.0, 12.0, ("test_sums.py::bad",))]
    return value


LINKS = {f"submission_{i}": f"pages/submission_{i}.html" for i in (1, 2, 3)}


def test_the_numbers_are_those_of_the_gradebook():
    text = " ".join(Outline(page(book(), LINKS)).text.split())
    for words in (
        *(
            "median of 3 submissions",
            "mean 5.67",
            "Berta, Cyril",
            "a zip bomb",
            "submission_9 is not there",
            "submission_1",
            "Ada (91 %)",
        ),
        *("Berta, Cyril (50 %)", "210", "test_sums.py::bad", "10 12", "1 checks met a fault", "Title of bad. sums.weighted 2"),
    ):
        assert words.replace("submission_1", "Ada") in text, words


def test_the_bars_count_everyone_once_and_full_marks_stand_in_the_last():
    found = bars([0, 9.99, 10, 55, 100, 100], 100)
    assert [bar["count"] for bar in found] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert max(bar["y"] + bar["height"] for bar in found) <= 162 and min(bar["y"] for bar in found) > 10


def test_without_names_no_one_can_be_told():
    text = page(book(), LINKS, names=False)
    assert not [word for word in ("Ada", "Berta", "Cyril", "example.org", "submission_", "pages/", "zip bomb") if word in text]
    assert "submission 2" in text


@pytest.mark.slow
def test_it_renders_and_markup_is_inert(tmp_path):
    browser.needed()
    path = tmp_path / "class.html"
    path.write_text(page(book(EVIL), LINKS), encoding="utf-8")
    rendered = browser.render(path, tmp_path / "profile")
    outline = Outline(rendered.dom)
    assert rendered.console == [] and "owned" not in [a.get("id") for _, a in outline.tags]
    assert "<title>a01 A toy: the class</title>" in rendered.dom and "document.title='owned'" in outline.text
    assert not {"script", "img", "iframe"} & {tag for tag, _ in outline.tags} and "\x1b" not in rendered.dom
    browser.picture(path, tmp_path / "class.png", tmp_path / "profile", 1000, 2000)
    browser.print_to(path, tmp_path / "class.pdf", tmp_path / "profile")
