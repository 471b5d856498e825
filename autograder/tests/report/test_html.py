"""The page of a report: complete, readable, and inert whatever a submission has written; rendered in a real browser."""

import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autograder
from autograder.report.html import render_page
from autograder.report.status import Status
from autograder.tests import browser

EVIL = (
    "</pre></title></style><script>document.title='owned'; document.body.id='owned'</script>"
    "<img src=x onerror=\"document.body.id='owned'\"><svg onload=\"document.body.id='owned'\"></svg>"
    "<style>*{display:none}</style>{{ 7*7 }}{% raw %}<a href=\"javascript:document.body.id='owned'\">x</a>\x1b[2J\u202e"
)


def check(name: str, status: str, **values) -> dict:
    return {
        **{
            "id": f"test_sums.py::{name}",
            "number": "1.1",
            "part": "sums.weighted",
            "title": f"Title of {name}.",
            "status": status,
        },
        **{"points": 5.0 if status == "passed" else 0.0, "max_points": 5.0, "reason": "", "message": "", "hint": ""},
        **{"misconception": None, "given": [], "seconds": 0.1, "output": "", **values},
    }


def report(*checks: dict, **values) -> dict:
    earned = sum(c["points"] for c in checks)
    part = {"name": "sums.weighted", "title": "weighted sum", "number": 1, "points": earned, "max_points": 100.0}
    return {
        **{
            "assignment": "a90",
            "title": "A toy",
            "score": earned,
            "max_score": 100.0,
            "not_graded_here": 0.0,
            "interrupted": False,
        },
        **{
            "isolation_level": 3,
            "environment": {"python": "3.11"},
            "manifest_sha256": "0" * 64,
            "grader_version": "1",
            "seconds": 1.0,
        },
        **{"notes": [], "next": ["Next: fix sums.weighted."], "parts": [part], "checks": list(checks), **values},
    }


MIXED = report(
    check("good", "passed"),
    check(
        "bad",
        "failed",
        reason="value",
        message="out[0] is the first value that differs",
        hint="Looks like: a sign.",
        misconception="m",
    ),
    check(
        "same", "failed", reason="value", message="out[1] differs", hint="Looks like: a sign.", misconception="m", output="said"
    ),
    check("slow", "partial", reason="pace", message="2.5 times", points=2.0),
    check("waits", "not_attempted", message="because sums.mean does not pass yet"),
    check("cuda", "not_graded_here", message="for want of a CUDA device", max_points=0.0),
    check("fault", "grader_fault", message="golden value missing"),
    check("given", "passed", given=["sums.mean"]),
    notes=["sums.py: it is a link"],
)
ATTACK = report(
    check("x", "failed", reason="raised", message=EVIL, hint=EVIL, output=EVIL, title=EVIL, misconception=EVIL),
    notes=[EVIL],
    next=[EVIL],
)


class Outline(HTMLParser):
    """Tags with their attributes in order, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def shown(tmp_path):
    """Writes a page and renders it."""
    browser.needed()

    def show(value: dict, *flags: str) -> tuple[Path, browser.Rendered]:
        path = tmp_path / "page.html"
        path.write_text(render_page(value, "A Student"), encoding="utf-8")
        return path, browser.render(path, tmp_path / "profile", *flags)

    return show


def test_everything_that_the_report_says_is_on_the_page():
    text = " ".join(Outline(render_page(MIXED, "A Student")).text.split())
    for words in (
        *(
            "a90 A toy",
            "A Student",
            "12 of 100 points",
            "Title of good.",
            "out[0] is the first value that differs",
            "Looks like: a sign.",
        ),
        *("Looks like the same mistake.", "said", "2 / 5", "Not attempted, because sums.mean", "for want of a CUDA device"),
        *(
            "golden value missing",
            "The points are granted for now",
            "Judged with the given sums.mean",
            "it is a link",
            "level 3 of 3",
        ),
    ):
        assert words in text, words
    assert text.count("Looks like: a sign.") == 1


def test_structure_for_keyboard_and_screen_reader():
    tags = Outline(render_page(MIXED)).tags
    names = [tag for tag, _ in tags]
    assert ("html", {"lang": "en"}) in tags and names.count("h1") == names.count("main") == names.count("title") == 1
    assert {"header", "main", "footer", "details", "summary"} <= set(names)
    headings = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(headings))
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a} <= ids
    assert next(a["href"] for tag, a in tags if tag == "a") == "#main"
    assert all("aria-label" in a for _, a in tags if a.get("role") == "img")


def test_colour_is_never_alone_and_contrast_is_enough():
    html = render_page(MIXED)
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", block)) for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)]
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        for ink in ("ink", "soft", "accent", "good", "bad", "warn", "fault"):
            for paper in ("paper", "card", "tint"):
                assert contrast(scheme[ink], scheme[paper]) >= 4.5, (ink, paper, scheme)
    for words in ("passed", "failed", "partly", "not attempted", "not graded here", "fault of the grader"):
        assert words in html


def contrast(a: str, b: str) -> float:
    """WCAG 2.2: ratio of relative luminances, the lighter over the darker."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_nothing_is_fetched_and_nothing_runs():
    for value in (MIXED, ATTACK):
        outline = Outline(render_page(value))
        policy = next(a["content"] for tag, a in outline.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'")
        assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in outline.tags}
        assert not [
            a
            for _, a in outline.tags
            for key in a
            if key.startswith("on") or (key in ("href", "src") and ":" in a[key][:12] and a[key] != "data:,")
        ]
        assert "\x1b" not in outline.text and "\u202e" not in outline.text


def test_no_markup_of_ours_stands_there_as_text():
    assert "<" not in Outline(render_page(MIXED, "A Student")).text


def test_what_is_not_written_is_one_line_also_with_hidden_checks():
    todo = report(
        check("a", "failed", reason="todo", message="yours to write"),
        check("b", "failed", reason="todo", message="yours to write"),
        check("c", "failed", id="hidden/test_sums.py::c", message="a hidden check; what it saw is not shown"),
    )
    text = Outline(render_page(todo)).text
    assert text.count("Not written yet.") == 1 and "yours to write" not in text and "hidden check" not in text


def test_a_message_is_shown_once_and_names_of_code_are_set_as_code():
    twice = [check(name, "failed", reason="raised", message="ValueError: no `k`", hint="What is `k` for?") for name in "ab"]
    outline = Outline(render_page(report(*twice, next=["Quick: make grade A=a90"])))
    assert outline.text.count("ValueError: no `k`") == 1 and outline.text.count("The same as above.") == 1
    assert "What is  k for?" in outline.text and "Quick:  make grade A=a90" in outline.text  # a tag is a blank in `text`
    assert "make grade A=a90 ONLY=a" in outline.text


def test_a_fault_alone_is_no_point_lost():
    faulty = check("a", "grader_fault", points=5.0, message="golden value missing")
    text = " ".join(Outline(render_page(report(check("b", "passed"), faulty))).text.split())
    assert "sums.weighted , fault of the grader 10 / 100 points" in text and "points lost" not in text


def test_a_page_that_cannot_be_written_is_refused_before_grading(tmp_path):
    for target, why in ((tmp_path / "no" / "x.html", "there is no folder"), (tmp_path, "it is a folder")):
        command = [sys.executable, "-m", "autograder", "grade", "a01", "--html", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 2 and why in done.stderr and not done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("width", [375, 1000])
@pytest.mark.parametrize("flags", [(), (browser.DARK,)], ids=["light", "dark"])
def test_every_text_is_readable_and_nothing_is_wider_than_the_page(tmp_path, flags, width):
    browser.needed()
    long = check("long", "failed", message="0" * 2000, output="1" * 500, reason="value", title="t" * 300)
    seen = browser.measure(render_page(report(*MIXED["checks"], long, notes=["n" * 300])), tmp_path, width, *flags)
    assert seen["dark"] == bool(flags) and seen["opened"] >= 2 and seen["texts"] > 50
    assert seen["contrast"][0] >= 4.5, seen["contrast"]
    assert seen["needs"] <= seen["width"] == width


@pytest.mark.slow
def test_markup_is_inert_even_without_the_policy(tmp_path):
    """Escaping alone holds; and the same markup, not escaped, does take over the page, so the test can fail."""
    browser.needed()
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render_page(ATTACK))
    assert "Content-Security-Policy" not in bare
    seen = browser.measure(bare, tmp_path, 1000)
    assert seen["title"] == "a90 A toy" and seen["id"] == "" and seen["texts"] > 20
    assert browser.measure(bare.replace("<main", EVIL + "<main"), tmp_path, 1000)["id"] == "owned"


@pytest.mark.slow
def test_the_policy_alone_holds_too(tmp_path):
    browser.needed()
    seen = browser.measure(render_page(ATTACK).replace("<main", EVIL + "<main"), tmp_path, 1000)
    assert seen["title"] == "a90 A toy" and seen["id"] == ""


@pytest.mark.slow
def test_it_is_the_same_without_javascript(tmp_path):
    browser.needed()
    with_scripts, without = (browser.measure(render_page(ATTACK), tmp_path, 1000, scripts=scripts) for scripts in (True, False))
    assert with_scripts == without and without["texts"] > 20


@pytest.mark.slow
def test_markup_of_a_submission_is_inert_in_a_browser(shown):
    _, rendered = shown(ATTACK)
    outline = Outline(rendered.dom)
    assert "owned" not in [a.get("id") for _, a in outline.tags] and "<title>a90 A toy: A Student</title>" in rendered.dom
    assert "document.title='owned'" in outline.text and "{{ 7*7 }}" in outline.text  # shown as the text that it is
    assert rendered.console == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "flags"),
    [("light", 1000, ()), ("dark", 1000, (browser.DARK,)), ("narrow", 500, ())],
)
def test_it_renders_light_dark_and_narrow(shown, tmp_path, name, width, flags):
    path, rendered = shown(MIXED)
    assert rendered.console == []
    with Image.open(browser.picture(path, tmp_path / f"{name}.png", tmp_path / "profile", width, 1400, *flags)) as image:
        pixels = np.asarray(image.convert("L"), dtype=float)
    assert (pixels.mean() < 80) == (name == "dark")
    assert pixels.std() > 10  # not a blank page
    assert np.ptp(pixels[:, -4:]) < 16  # nothing is cut off at the right edge


@pytest.mark.slow
def test_it_prints(shown, tmp_path):
    path, _ = shown(MIXED)
    browser.print_to(path, tmp_path / "page.pdf", tmp_path / "profile")


def test_the_schema_knows_every_status_and_no_other():
    schema = json.loads((Path(autograder.__file__).parent / "report" / "schema" / "report.schema.json").read_text())
    assert schema["properties"]["checks"]["items"]["properties"]["status"]["enum"] == [status.value for status in Status]
