"""The page of a class in a real browser; its numbers are those of the gradebook."""

import re

import pytest

from autograder.tests import browser
from autograder.tests.report.test_html import EVIL, MIXED, Outline, check, report
from tools.batch.class_page import bars, render_class_page
from tools.batch.gradebook import Change, Entry, Gradebook, Pair, Student


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
    value.copies = [("submission_2", f"sums.py:3 mean{evil} is token for token a90_toy/sums.py: mean of the given parts")]
    value.changes = [Change("submission_1", 10.0, 12.0, ("test_sums.py::bad",))]
    return value


LINKS = {f"submission_{i}": f"pages/submission_{i}.html" for i in (1, 2, 3)}


def test_the_numbers_are_those_of_the_gradebook():
    text = " ".join(Outline(render_class_page(book(), LINKS)).text.split())
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
        "Berta, Cyril sums.py:3 mean is token for token a90_toy/sums.py: mean",
        *("Berta, Cyril (50 %)", "210", "test_sums.py::bad", "10 12", "1 checks met a fault", "Title of bad. sums.weighted 2"),
    ):
        assert words.replace("submission_1", "Ada") in text, words


def test_the_bars_count_everyone_once_and_full_marks_stand_in_the_last():
    found = bars([0, 9.99, 10, 55, 100, 100], 100)
    assert [bar["count"] for bar in found] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert max(bar["y"] + bar["height"] for bar in found) <= 162 and min(bar["y"] for bar in found) > 10


def test_without_names_no_one_can_be_told():
    text = render_class_page(book(), LINKS, names=False)
    assert not [word for word in ("Ada", "Berta", "Cyril", "example.org", "submission_", "pages/", "zip bomb") if word in text]
    assert "submission 2" in text


def test_without_names_the_order_of_names_is_lost_too():
    """Folders may be called after people; places are by score, and equal scores in an order of no meaning."""
    keys = [f"{letter}_someone" for letter in "abcdefghij"]
    scores = [3.0, 1.0, 2.0] + [5.0] * 7
    entries = [
        Entry(key, [], "", {**report(check("x", "passed")), "score": s}, float(i))
        for i, (key, s) in enumerate(zip(keys, scores, strict=True))
    ]
    table = render_class_page(Gradebook("a01", "A toy", entries), dict.fromkeys(keys, ""), names=False).split('id="submissions"')[
        1
    ]
    rows = [(float(a), int(b)) for a, b in re.findall(r'<td class="n">([\d.]+)</td><td class="n">(\d+)</td>', table)]
    assert [score for score, _ in rows] == sorted(scores, reverse=True)
    tied = [which for score, which in rows if score == 5]
    assert sorted(tied) == list(range(3, 10)) != tied


def test_what_another_machine_would_grade_is_said_once_for_the_class():
    """It is no problem of any submission, and no score depends on it."""
    keys = ("submission_1", "submission_2")
    for points, times in [(4.5, 1), (0.0, 0)]:
        entries = [Entry(key, [], "", report(check("good", "passed"), not_graded_here=points)) for key in keys]
        for names in (True, False):
            text = render_class_page(Gradebook("a01", "A toy", entries), dict.fromkeys(keys, ""), names)
            assert text.count("need a device that is not here. Their 4.5 points lie outside the total") == times


def test_long_tables_fold_and_lose_nothing():
    names = [f"m{i:02d}" for i in range(14)]
    entries = [Entry(n, [], "", report(check(n, "failed", reason="value", misconception=n))) for n in names]
    text = " ".join(Outline(render_class_page(Gradebook("a01", "A toy", entries), dict.fromkeys(names, ""))).text.split())
    assert all(f"Title of {n}." in text and f"{n} {n} 1" in text for n in names) and text.count("4 more") == 2


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), (browser.DARK,)], ids=["light", "dark"])
def test_every_text_is_readable_and_wide_tables_scroll_by_themselves(tmp_path, flags):
    browser.needed()
    seen = browser.measure(render_class_page(book(), LINKS), tmp_path, 375, *flags)
    assert seen["dark"] == bool(flags) and seen["texts"] > 60
    assert seen["contrast"][0] >= 4.5, seen["contrast"]
    assert seen["needs"] <= seen["width"] == 375


@pytest.mark.slow
def test_a_grade_writes_its_page(toy, tmp_path):
    target = tmp_path / "page.html"
    graded = toy.grade(toy.submission(tmp_path / "wrong", weighted="return -(x @ w)"), "--html", str(target))
    text = " ".join(Outline(target.read_text(encoding="utf-8")).text.split())
    assert graded.status == 1 and f"{graded.report['score']:g} of 100 points" in text
    assert " ".join(graded.check("test_value")["message"].split()) in text and [p.name for p in tmp_path.glob(".page*")] == []


@pytest.mark.slow
def test_it_renders_and_markup_is_inert(tmp_path):
    browser.needed()
    path = tmp_path / "class.html"
    path.write_text(render_class_page(book(EVIL), LINKS), encoding="utf-8")
    rendered = browser.render(path, tmp_path / "profile")
    outline = Outline(rendered.dom)
    assert rendered.console == [] and "owned" not in [a.get("id") for _, a in outline.tags]
    assert "<title>a01 A toy: the class</title>" in rendered.dom and "document.title='owned'" in outline.text
    assert not {"script", "img", "iframe"} & {tag for tag, _ in outline.tags} and "\x1b" not in rendered.dom
    browser.picture(path, tmp_path / "class.png", tmp_path / "profile", 1000, 2000)
    browser.print_to(path, tmp_path / "class.pdf", tmp_path / "profile")
