"""Headless Chromium on a page: what it becomes after rendering, what the console says, how it looks, what it measures."""

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0", "--hide-scrollbars"),
)


DARK = "--blink-settings=preferredColorScheme=0"
MEASURE = """
const frame = document.querySelector("iframe");
const channels = colour => colour.match(/[0-9.]+/g).map(Number);
const luminance = colour => channels(colour).slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
function paper(view, element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = view.getComputedStyle(e).backgroundColor;
    if ((channels(colour)[3] ?? 1) === 1) return colour;
  }
  throw new Error("no element has an opaque background");
}
frame.onload = () => setTimeout(() => {
  const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
  const closed = page.querySelectorAll("details:not([open])");
  closed.forEach(details => { details.open = true; });
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    if (!text || ["STYLE", "SCRIPT", "TITLE", "DESC"].includes(element.tagName.toUpperCase())) continue;
    const style = view.getComputedStyle(element), svg = element.namespaceURI.endsWith("svg");
    const [low, high] = [luminance(svg ? style.fill : style.color), luminance(paper(view, element))].sort((a, b) => a - b);
    texts.push([(high + 0.05) / (low + 0.05), text.slice(0, 60)]);
  }
  texts.sort((a, b) => a[0] - b[0]);
  document.querySelector("pre").textContent = JSON.stringify({
    title: page.title, id: page.body.id, dark: view.matchMedia("(prefers-color-scheme: dark)").matches, opened: closed.length,
    width: root.clientWidth, needs: root.scrollWidth, contrast: texts[0], texts: texts.length,
  });
}, 100);
"""


def needed() -> None:
    """Skip the test where there is no Chromium; in CI its absence is a failure."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium: apt-get install chromium")


@dataclass(frozen=True)
class Rendered:
    """dom: the document after scripts, if any, have run; console: what the page made the browser say."""

    dom: str
    console: list[str]


def render(page: Path, profile: Path, *flags: str) -> Rendered:
    done = _run(profile, "--dump-dom", *flags, page.as_uri())
    return Rendered(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def measure(text: str, folder: Path, width: int, *flags: str, scripts: bool = True) -> dict:
    """A page in a frame of that width, all of it unfolded: the width it needs, its weakest contrast (WCAG 2.2) with the text.

    Scripts of the page would run, if `scripts`: `title` and `id` of the body say whether they have.
    """
    source, sandbox = html.escape(text, quote=True), "" if scripts else ' sandbox="allow-same-origin"'
    page = folder / "frame.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f'<iframe{sandbox} width="{width}" height="900" style="border: 0" srcdoc="{source}"></iframe><pre></pre><script>{MEASURE}</script>',
        encoding="utf-8",
    )
    dom = render(page, folder / "profile", "--virtual-time-budget=5000", *flags).dom
    return json.loads(html.unescape(re.search(r"<pre>(\{.*?\})</pre>", dom)[1]))


def picture(page: Path, to: Path, profile: Path, width: int, height: int, *flags: str) -> Path:
    """A screenshot, which must be there afterwards."""
    _run(profile, f"--screenshot={to}", f"--window-size={width},{height}", *flags, page.as_uri())
    assert to.stat().st_size > 1000
    return to


def print_to(page: Path, to: Path, profile: Path) -> Path:
    _run(profile, f"--print-to-pdf={to}", "--no-pdf-header-footer", page.as_uri())
    assert to.read_bytes().startswith(b"%PDF")
    return to


def _run(profile: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments], capture_output=True, text=True, timeout=600, check=False
    )
