"""Every formula of every page renders, as GitHub hands it to its renderer.

GitHub reads Markdown first. Between plain dollars Markdown eats backslashes: `a\\,b` reaches the renderer as `a,b`, which is a
formula too, and another one. It leaves alone what stands in a ```math block or in $`…`$, so formulas stand there and nowhere else.
GitHub renders with MathJax, and VS Code's preview with KaTeX. KaTeX judges here, because it is the stricter one: it knows fewer
commands, and `strict` forbids what it would only guess at.
"""

import html
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from autograder.assignment import Course
from autograder.tests import browser

ROOT = Course.here().root
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.md")
    if not any(part.startswith((".", "__")) for part in path.relative_to(ROOT).parts)
)
KATEX = Path("/usr/share/javascript/katex/katex.min.js")  # Debian's libjs-katex
JUDGE = """
const judge = ([tex, displayMode]) => {
  try { katex.renderToString(tex, {displayMode, throwOnError: true, strict: "error"}); return null; }
  catch (error) { return error.message; }
};
document.querySelector("pre").textContent = JSON.stringify(FORMULAS.map(judge));
"""


@dataclass(frozen=True)
class Formula:
    """A formula as the renderer gets it. line: where its block begins, from 1."""

    line: int
    tex: str
    display: bool


def read(page: str) -> tuple[list[Formula], list[str]]:
    """The formulas of a page, and its pieces of text that hold a plain dollar, as Markdown leaves them."""
    formulas, dollars = [], []
    for block in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        if block.type == "fence" and block.info.strip() == "math":
            formulas.append(Formula(block.map[0] + 1, block.content, display=True))
        spans = [("" if span.type == "softbreak" else span.content, span.type) for span in block.children or []]
        text = ["\n" if kind == "softbreak" else content if kind == "text" else "" for content, kind in spans]
        for i, (content, kind) in enumerate(spans):
            if kind == "code_inline" and 0 < i < len(spans) - 1 and text[i - 1].endswith("$") and text[i + 1].startswith("$"):
                formulas.append(Formula(block.map[0] + 1, content, display=False))
                text[i - 1], text[i + 1] = text[i - 1][:-1], text[i + 1][1:]
        dollars += [piece for piece in text if "$" in piece]
    return formulas, dollars


def complaints(formulas: list[Formula], folder: Path) -> list[str | None]:
    """What KaTeX says about each formula, None where nothing; all of them in one start of the browser."""
    _needed()
    data = json.dumps([(formula.tex, formula.display) for formula in formulas]).replace("</", "<\\/")
    page = folder / "formulas.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><pre></pre><script src="{KATEX.as_uri()}"></script>'
        f"<script>const FORMULAS = {data};{JUDGE}</script>",
        encoding="utf-8",
    )
    dom = browser.render(page, folder / "profile").dom
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", dom, re.DOTALL)[1]))


def _needed() -> None:
    """Skip the test where the renderer is missing; in CI its absence is a failure."""
    browser.needed()
    if not KATEX.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs KaTeX: apt-get install libjs-katex")


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_formula_renders(tmp_path):
    found = [(name, formula) for name in PAGES for formula in read(_page(name))[0]]
    handouts = {name.split("/")[1] for name, _ in found if name.startswith("assignments/")}
    assert handouts == {path.parent.name for path in ROOT.glob("assignments/a*/README.md")}, "each handout has formulas"
    said = complaints([formula for _, formula in found], tmp_path)
    wrong = [f"{name}:{f.line}: {words}" for (name, f), words in zip(found, said, strict=True) if words]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PAGES)
def test_no_formula_stands_between_plain_dollars(name):
    """A dollar that is none of a formula's is written in code, or as a word."""
    assert read(_page(name))[1] == []


def test_what_is_wrong_in_a_formula_is_found(tmp_path):
    wrong = {
        "a command that does not exist": "```math\n\\sofmax(x)\n```\n",
        "a brace that is not closed": "```math\n\\frac{1}{2\n```\n",
        "a bracket of one side": "```math\n\\left( a\n```\n",
        "a word without \\text": "```math\ngröße\n```\n",
        "in a line of text": "The rate $`\\thetaa_i`$ of a pair.\n",
        "in a table": "| a | b |\n|---|---|\n| $`\\frac12`$ | $`x_{i`$ |\n",
    }
    right = "```math\n\\mathcal L = \\frac1n\\sum_p \\ell_p\\,\\Big(a \\;\\text{or}\\; b\\Big)\n```\n\nand $`\\theta_i`$, twice $`x^*`$.\n"
    pages = [read(page)[0] for page in [*wrong.values(), right]]
    assert [len(page) for page in pages] == [1, 1, 1, 1, 1, 2, 3]
    said = complaints([formula for page in pages for formula in page], tmp_path)
    assert [bool(words) for words in said] == [True] * 5 + [False, True] + [False] * 3, said


@pytest.mark.parametrize(
    ("page", "handed_on"),
    [
        ("$$a\\,b\\;c$$\n", "$$a,b;c$$"),
        ("The set $\\{x\\}$.\n", "The set ${x}$."),
        ("| a |\n|---|\n| $`|x|`$ |\n", "$`"),  # a cell ends at the bar
        ("It costs $5.\n", "It costs $5."),
    ],
)
def test_what_markdown_eats_is_found(page, handed_on):
    formulas, dollars = read(page)
    assert formulas == [] and dollars == [handed_on]
